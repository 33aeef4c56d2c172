"""Rounds as a list: who is trained, from which weights, by whom taught, and who votes."""

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file
from timm.layers import resample_abs_pos_embed
from torch import nn

from conftest import PLACE, Tiny
from goldfold.base.errors import ConfigError
from goldfold.bundles.card import _rounds
from goldfold.commands import preflight
from goldfold.config import parse, slices
from goldfold.config.dependencies import recipe
from goldfold.planning.grid import grid_of
from goldfold.planning.plan import Job, Plan, job_of, plan_of
from goldfold.planning.runs import Member, Run, Start
from goldfold.report import choices, scores, training
from goldfold.report import rounds as page
from goldfold.training.learner import network_of
from goldfold.training.spec import read
from test_workflow import TINY
from whole_task import whole

NET = {"network": "small_resnet", "params": {"widths": [4, 4]}, "image_size_px": 12}
B0, B3, WIDE = {"name": "b0", **NET}, {"name": "b3", **NET}, {"name": "wide", **NET, "params": {"widths": [8, 8]}}
BASE: dict[str, Any] = {**{key: TINY[key] for key in ("name", "data", "folds", "train", "tta")}, "models": [B0, B3]}
TEACHER: dict[str, Any] = {"teacher": {}}
EXAMPLE: list[dict[str, Any]] = [
    {},
    {"models": ["b3"], "train": {"lr": 0.5}, "start": "b0", "teacher": {"threshold": 0.5, "weight": 0.25}},
    {"models": ["b0"], "start": "previous", "teacher": {"round": 0, "models": ["b3"]}},
    {},
]


def plan(rounds: list[dict[str, Any]] | None = EXAMPLE, **changes: Any) -> Plan:
    return plan_of(parse({**BASE, "rounds": rounds, **changes}))


def recipes(**changes: Any) -> dict[str, Any]:
    """Recipe of every job, its code aside."""
    config = parse({**BASE, **changes})
    jobs = [job for stage in plan_of(config).stages() for job in plan_of(config).jobs(stage)]
    return {job.name: {key: value for key, value in recipe(config, job).items() if key != "code"} for job in jobs}


def changed(before: dict[str, Any], **changes: Any) -> list[str]:
    """Jobs of both whose recipes differ, without fold and seed."""
    after = recipes(**changes)
    return list(dict.fromkeys(name.split("/fold")[0] for name in before if after.get(name) != before[name]))


# --- what an edit reaches


def test_a_round_that_loses_its_teacher_is_trained_again_whatever_the_weight_of_its_labels() -> None:
    for weight in (0.5, 1.0):
        before = recipes(rounds=[{}, {"teacher": {"weight": weight}}])
        assert {"train b0/round1", "train b3/round1"} <= set(changed(before, rounds=[{}, {}]))


# --- who is trained, from what, taught by whom


def test_rounds_train_start_and_teach_as_they_are_written() -> None:
    found, seeds = plan(seeds=[0, 1]), [0, 1]
    assert [stage.models for stage in found.grid.rounds] == [("b0", "b3"), ("b3",), ("b0",), ("b0", "b3")]
    assert found.grid.start(Run("b3", 1, 1, 0)) == Start(Run("b3", 1, 1, 0), Run("b0", 0, 1, 0))
    assert found.grid.start(Run("b0", 2, 0, 1)) == Start(Run("b0", 2, 0, 1), Run("b0", 0, 0, 1)), (
        "the latest, not round 1"
    )
    assert found.grid.start(Run("b0", 3, 0, 0)) is None
    teachers = {place: labels.teachers for place, labels in found.labels.items()}
    assert teachers == {
        **{(1, fold): tuple(Run(name, 0, fold, s) for name in ("b0", "b3") for s in seeds) for fold in (0, 1)},
        **{(2, fold): tuple(Run("b3", 0, fold, s) for s in seeds) for fold in (0, 1)},
    }
    above = {job.name for job in found.above(job_of("train", Run("b0", 2, 1, 0)))}
    assert above == {"pseudo_label round2/fold1", "train b0/round0/fold1/seed0"}
    assert found.caches(job_of("train", Run("b0", 3, 0, 0))) == found.pieces("12x12-squash", ["train"]), "no teacher"
    assert all(
        parent.fold == run.fold and parent.round < run.round for run in found.runs for parent in found.parents(run)
    )


def test_the_latest_run_of_each_model_votes() -> None:
    grid = plan(EXAMPLE[:3]).grid
    assert [run.folder for run in grid.final_runs()] == [
        "b0/round2/fold0/seed0", "b0/round2/fold1/seed0", "b3/round1/fold0/seed0", "b3/round1/fold1/seed0",
    ]  # fmt: skip
    late = plan([{"models": ["b3"]}, {"models": ["b0"], **TEACHER}]).grid
    assert (late.voting(0), late.voting(1)) == ([Member("b3", 0)], [Member("b0", 0), Member("b3", 0)])
    with pytest.raises(ValueError, match="b0-seed0 is trained in no round up to 0"):
        late.runs_of(Member("b0", 0), 0)


def test_a_teacher_of_an_earlier_round_is_its_ensemble_with_the_latest_of_each_model() -> None:
    rounds = [{"models": ["b0", "b3"]}, {"models": ["b3"]}, {"models": ["b0"], **TEACHER}]
    assert [run.folder for run in plan(rounds).labels[2, 1].teachers] == [
        "b0/round0/fold1/seed0", "b3/round1/fold1/seed0",
    ]  # fmt: skip


@pytest.mark.parametrize("parent", [Run("a", 0, 1, 0), Run("a", 0, 0, 1), Run("a", 1, 0, 0), Run("a", 2, 0, 0)])
def test_weights_of_another_fold_or_seed_or_of_no_earlier_round_are_no_start(parent: Run) -> None:
    Start(Run("a", 1, 0, 0), Run("b", 0, 0, 0))
    with pytest.raises(ConfigError, match=f"a/round1/fold0/seed0 cannot start from {parent.folder}"):
        Start(Run("a", 1, 0, 0), parent)


def test_a_model_of_weight_0_neither_teaches_nor_is_asked_for() -> None:
    found = plan([{}, TEACHER, TEACHER], ensemble={"weights": {"b0": 0}})
    assert {run.model for labels in found.labels.values() for run in labels.teachers} == {"b3"}
    assert {job.model for job in found.above(Job("pseudo_label", round=2, fold=0))} == {"b3"}
    config = parse({**BASE, "rounds": [{}, TEACHER], "ensemble": {"weights": {"b0": 0}}})
    made = recipe(config, Job("pseudo_label", round=1, fold=0))
    assert (made["data"]["models"], made["settings"]["weights"]) == (["b3"], {})


def test_the_weight_of_a_sole_teacher_reruns_no_pseudo_labels() -> None:
    rounds: list[dict[str, Any]] = [{}, {"teacher": {"models": ["b3"]}}]
    before = recipes(rounds=rounds)
    assert changed(before, rounds=rounds, ensemble={"weights": {"b3": 2}}) == ["ensemble", "report"]
    assert "pseudo_label round1" in changed(
        recipes(rounds=[{}, TEACHER]), rounds=[{}, TEACHER], ensemble={"weights": {"b3": 2}}
    )


# --- what depends on what


@pytest.mark.parametrize("weights", [{}, {"b0": 0}, {"b3": 2}])
@pytest.mark.parametrize("seeds", [[0], [3, 0]])
def test_pseudo_labels_are_short_for_the_same_rounds(weights: dict[str, float], seeds: list[int]) -> None:
    same = {"seeds": seeds, "ensemble": {"weights": weights}}
    short: dict[str, Any] = {"pseudo_labels": {"rounds": 2, "threshold": 0.3, "weight": 0.5}, **same}
    teacher = {"teacher": {"threshold": 0.3, "weight": 0.5}}
    long: dict[str, Any] = {"rounds": [{}, teacher, {**teacher, "models": ["b3", "b0"]}], **same}
    assert plan_of(parse({**BASE, **short})) == plan_of(parse({**BASE, **long}))
    before = recipes(**short)
    assert len(before) > 30
    assert changed(before, **long) == ["report"], "which shows the config"
    assert "rounds" not in before["report"]["settings"]["settings"]


def test_an_edit_of_one_round_reaches_its_own_jobs_and_a_new_round_no_earlier_one() -> None:
    before, late = recipes(rounds=EXAMPLE), ["ensemble", "report"]

    def edit(number: int, **changes: Any) -> list[str]:
        rounds = [{**one, **(changes if place == number else {})} for place, one in enumerate(EXAMPLE)]
        return changed(before, rounds=rounds)

    assert edit(1, train={"lr": 0.4}) == ["train b3/round1", "report"]
    assert edit(1, start="scratch") == ["train b3/round1", "report"]
    assert edit(1, teacher={"threshold": 0.6, "weight": 0.25}) == ["pseudo_label round1", "report"]
    assert edit(1, teacher={"threshold": 0.5}) == ["train b3/round1", "report"], "the weight of an image"
    assert edit(2, teacher={"models": ["b3"]}) == ["pseudo_label round2", "report"], "of round 1"
    assert changed(before, rounds=[*EXAMPLE, {"models": ["b0"]}]) == late
    assert changed(before, rounds=EXAMPLE, models=[B0, B3, WIDE]) == [
        "pseudo_label round1", "ensemble", "report",
    ], "the new model teaches round 1"  # fmt: skip


CHAIN: list[dict[str, Any]] = [
    {"models": ["b0", "wide"]},
    {"models": ["b3"], "start": "b0"},
    {"models": ["b3"], "start": "previous", "train": {"lr": 0.1}},
]
"""b3 starts from b0, and then from itself; wide is apart."""


@pytest.mark.parametrize(
    ("edited", "trained"),
    [
        ({"models": [{**B0, "train": {"lr": 0.7}}, B3, WIDE]}, {"b0/round0", "b3/round1", "b3/round2"}),
        ({"models": [B0, {**B3, "train": {"weight_decay": 0.7}}, WIDE]}, {"b3/round1", "b3/round2"}),
        ({"rounds": [*CHAIN[:2], {**CHAIN[2], "train": {"lr": 0.2}}]}, {"b3/round2"}),
        ({"models": [B0, B3, {**WIDE, "train": {"lr": 0.7}}]}, {"wide/round0"}),
    ],
)
def test_an_edit_in_a_chain_reaches_exactly_the_descendants(edited: dict[str, Any], trained: set[str]) -> None:
    of_chain = {"models": [B0, B3, WIDE], "rounds": CHAIN}
    before = recipes(**of_chain)
    after = {**of_chain, **edited}
    made, new = plan_of(parse({**BASE, **after})), recipes(**after)

    def is_stale(job: Job) -> bool:
        return new[job.name] != before[job.name] or any(map(is_stale, made.start_of(job)))

    stale = {job.name for job in made.jobs("train") if is_stale(job)}
    assert stale == {f"train {one}/fold{fold}/seed0" for one in trained for fold in range(made.grid.n_folds)}


def test_all_ancestors_of_a_run_are_of_its_fold_and_seed() -> None:
    made = plan(CHAIN, models=[B0, B3, WIDE], seeds=[0, 1])
    for run in made.grid.runs():
        ancestors = [*made.grid.ancestry(run)]
        assert {(one.fold, one.seed) for one in ancestors} == {(run.fold, run.seed)}
        assert len(ancestors) == (run.round + 1 if run.model == "b3" else 1)


def test_settings_of_a_round_replace_those_of_the_model_and_of_all() -> None:
    own = {**B0, "train": {"lr": 0.1, "clip_norm": 1.0}}
    rounds = [{}, {"models": ["b0"], "train": {"lr": 0.5, "clip_norm": None, "checkpoint": "best"}}]
    config = parse(
        {**BASE, "models": [own, B3], "train": {**TINY["train"], "lr": 0.2, "weight_decay": 0.3}, "rounds": rounds}
    )  # type: ignore[dict-item]
    first, second = (config.model("b0", number).train for number in (0, 1))
    assert (first.lr, first.clip_norm, first.weight_decay, first.epochs) == (0.1, 1.0, 0.3, 1)
    assert (second.lr, second.clip_norm, second.weight_decay, second.epochs) == (0.5, None, 0.3, 1)
    assert slices.watched(config, "b0", 1)["metric"] == config.metric
    assert [len(slices.learning(config, "b0", number)["train"]["hooks"]) for number in (0, 1)] == [1, 0]
    assert config.model("b3", 1) == config.model("b3")
    assert len(slices.network_checks(config)) == 3, "b0 as it is trained in each round, and b3"


def test_weights_that_a_start_replaces_are_no_data_of_it(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"weights")
    models = [{**B0, "pretrained": str(tmp_path / "w.pth")}, B3]
    config = parse({**BASE, "models": models, "rounds": [{}, {"models": ["b0"], "start": "previous"}]})
    data = [recipe(config, job_of("train", Run("b0", number, 0, 0)))["data"] for number in (0, 1)]
    assert ([*data[0]], data[1]) == (["pretrained"], {})


def test_a_copy_of_a_config_has_rounds_of_its_own() -> None:
    config = parse({**BASE, "rounds": EXAMPLE})
    assert config.grid.last == 3
    assert config.model_copy(update={"rounds": config.rounds[:1]}).grid.last == 0  # type: ignore[index]


def test_a_quick_look_keeps_the_rounds_and_their_epochs_short() -> None:
    rounds = [{}, {"train": {"epochs": 90, "warmup_epochs": 5, "lr": 0.5}, "start": "previous", **TEACHER}]
    quick = parse({**BASE, "rounds": rounds, "quick": True})
    assert [(one.epochs, one.lr) for one in (quick.model("b0", number).train for number in (0, 1))] == [
        (1, 1e-3),
        (1, 0.5),
    ]
    assert quick.grid.rounds[1].starts == {"b0": ("b0", 0), "b3": ("b3", 0)}


def test_the_grid_of_a_report_s_settings_is_that_of_the_config() -> None:
    config = parse({**BASE, "rounds": EXAMPLE, "ensemble": {"weights": {"b0": 0}}})
    settings = json.loads(json.dumps(slices.report(config)["settings"]))
    assert grid_of(settings) == plan_of(config).grid


# --- what cannot be


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (3, {}, r"rounds = 3: write a list with one entry per round, .* pseudo_labels: \{rounds: 1\} is its short form"),
    ([], {}, r"rounds: write a list with one entry per round"),
    ([{}, None], {}, r"rounds\[1\] = None: a round is a section; \{\} is one in which all models"),
    ([{}, {"models": []}], {}, r"rounds\[1\]\.models: names no model; name one, or remove the key"),
    ([{}, {"models": ["b1"]}], {}, r"rounds\[1\]\.models: no model is named 'b1'; nearest is 'b[03]'; allowed: b0, b3"),
    ([{}, {"models": ["b0", "b0"]}], {}, r"rounds\[1\]\.models: named more than once: b0"),
    ([{"models": ["b0"]}], {}, r"models\[1\] \(b3\): no round trains it; add it to the models of a round, or remove it"),
    ([{}, {"start": {"model": "b0", "fold": 1}}], {}, r"rounds\[1\]\.start = .*; give one name, not a section"),
    ([{}, {"techer": {}}], {}, r"rounds\[1\]\.techer: unknown key; nearest is 'teacher'; allowed: clean, models, start, teacher"),
    ([{}, {"teacher": {"fold": 1}}], {}, r"rounds\[1\]\.teacher\.fold: unknown key; allowed: adapt, class_thresholds"),
    ([{}, {"teacher": {"labels": "sof"}}], {}, r"rounds\[1\]\.teacher\.labels = 'sof': nearest is 'soft'; allowed: 'hard' or"),
    ([TEACHER, {}], {}, r"rounds\[0\]\.teacher: the first round has no earlier round as teacher; put a round before it "
     r"\(rounds: \[\{\}, \.\.\.\]\), or remove teacher"),
    ([{}, {"teacher": {"round": 1}}], {}, r"rounds\[1\]\.teacher\.round = 1: the teacher must be an earlier round, "
     r"here round 0"),
    ([{}, {"teacher": {"round": 2}}, TEACHER], {}, r"rounds\[1\]\.teacher\.round = 2: the teacher must be an earlier round"),
    ([{}, {"teacher": {"models": ["b9"]}}], {}, r"rounds\[1\]\.teacher\.models: no model is named 'b9'"),
    ([{"models": ["b0"]}, {"models": ["b3"], "teacher": {"models": ["b3"]}}], {},
     r"rounds\[1\]\.teacher\.models: no round up to 0 trains b3; name a later round, or other models"),
    ([{}, {"teacher": {"models": ["b0"]}}], {"ensemble": {"weights": {"b0": 0}}},
     r"rounds\[1\]\.teacher\.models: b0 has weight 0 in the ensemble, so it cannot be a teacher; give it a weight"),
    ([{"models": ["b0"]}, {"models": ["b3"], **TEACHER}], {"ensemble": {"weights": {"b0": 0}}},
     r"rounds\[1\]\.teacher: of the models trained up to round 0 none has a weight in the ensemble; give one a weight"),
    ([{}, {"teacher": {"sources": ["unlabeled"]}}], {},
     r"rounds\[1\]\.teacher: there are no test or unlabeled images to label; name some or remove teacher"),
    ([{}, {"teacher": {"weight": 0.5}}], {"task": "detection"}, r"rounds\[1\]\.teacher\.weight = 0.5: .* has no sample weights"),
    ([{"start": "previous"}], {}, r"rounds\[0\]\.start = 'previous': nothing is trained before the first round; put a "
     r"round before it"),
    ([{"models": ["b0"], "start": "b3"}], {}, r"rounds\[0\]\.start = 'b3': nothing is trained before the first round; put a "),
    ([{}, {"start": "prevous"}], {}, r"rounds\[1\]\.start = 'prevous': no model has this name; nearest is 'previous'; allowed: "
     r"scratch, previous, b0, b3"),
    ([{"models": ["b0"]}, {"start": "previous"}], {}, r"rounds\[1\]\.start = 'previous': no earlier round trains b3; train it"),
    ([{"models": ["b0"]}, {"models": ["b3"], "start": "b3"}], {}, r"rounds\[1\]\.start = 'b3': no earlier round trains it"),
    ([{}, {"models": ["b3"], "start": "wide"}], {"models": [B3, WIDE]}, r"rounds\[1\]\.start = 'wide': b3 cannot use its weights"
     r": params is \{'widths': \[8, 8\]\} there and \{'widths': \[4, 4\]\} here; name a model with the same network"),
    ([{}, TEACHER], {"pseudo_labels": {"rounds": 1}}, r"pseudo_labels: is a short form of rounds, and both are set"),
    ([{}, {}], {"models": [{**B0, "name": "previous"}]}, r"models\[0\]\.name = 'previous': is reserved in rounds"),
    ([{}, {"train": {"lr": 0}}], {}, r"rounds\[1\]\.train\.lr = 0: must be greater than 0"),
    ([{}, {"train": {"epoch": 3}}], {}, r"rounds\[1\]\.train\.epoch: unknown key; nearest is 'epochs'"),
    ([{}, {"train": {"loss": "fokal"}}], {}, r"rounds\[1\]\.train\.loss = 'fokal': nearest is 'focal'"),
    ([{}, {"train": {"warmup_epochs": 2}}], {}, r"rounds\[1\]\.train: warmup_epochs 2 must be less than epochs 1: set train\."),
    ([{}, {"train": {"clip_norm": 1}}], {"models": [{**B0, "train": {"hooks": [{"clip": {"norm": 2}}]}}, B3]},
     r"rounds\[1\]\.train: hooks: 'clip' is listed twice; clip_norm is its short form\. Keep one \(as settings of b0\)"),
    ([{}, {"train": {"on_oom": "shrink"}}], {"models": [{**B0, "gpus": 2}, B3]},
     r"rounds\[1\]\.train: train\.on_oom: shrink works with gpus: 1 only, not 2.* \(as settings of b0\)"),
]  # fmt: skip


@pytest.mark.parametrize(("rounds", "changes", "said"), WRONG, ids=[text[:45] for *_, text in WRONG])
def test_rounds_that_cannot_be_are_refused_in_one_line(rounds: Any, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)\n  {said}") as caught:
        parse({**BASE, "rounds": rounds, **changes})
    if "task" not in changes:
        assert str(caught.value).startswith("config: 1 problem\n")


def test_the_rounds_of_the_docs_can_be_run(repo: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (repo / "docs/rounds.md").read_text(), re.DOTALL)
    assert len(blocks) == 8
    for block in blocks:
        written = yaml.safe_load(block.replace("[unlabeled]", "[test]"))  # the data of these tests have no other images
        if written.get("task") == "segmentation":
            net = {"name": "b0", "network": "unet", "backbone": "resnet18", "image_size_px": 64}
            assert len(plan_of(parse({"name": "t", "models": [net], **written})).grid.rounds) == 2
            continue
        if "data" in written:  # whose files are not there
            assert "extra_train" in written["data"]
            written["data"] = {**BASE["data"], "train_only_column": "is_external"}
        names = {name for one in written["rounds"] for name in one.get("models", ["b0", "b3"])}
        long = {"train": {**TINY["train"], "epochs": 20}}  # type: ignore[dict-item]
        found = plan_of(parse({**BASE, **long, "models": [{"name": name, **NET} for name in sorted(names)], **written}))
        assert len(found.grid.rounds) == len(written["rounds"])


# --- first weights


def test_a_run_starts_from_exactly_the_weights_that_it_is_given(tiny: Tiny, tmp_path: Path) -> None:
    model = {**tiny.model({}), "pretrained": "/no/such/file.pth"}
    spec, task = read(model, "squash", 3, PLACE), whole(tiny.task, tiny.classes)
    plain = network_of(read(tiny.model({}), "squash", 3, PLACE), task).state_dict()
    wanted = {name: (value + 1).contiguous() for name, value in plain.items()}
    save_file(wanted, tmp_path / "model.safetensors")
    made = network_of(spec, task, str(tmp_path / "model.safetensors")).state_dict()
    assert [*made] == [*wanted]
    assert all(torch.equal(made[name], wanted[name]) for name in wanted), "nor is pretrained looked at"
    name = next(iter(wanted))
    save_file({**wanted, name: torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ConfigError, match=r"other\.safetensors does not fit the network that starts from it"):
        network_of(spec, task, str(tmp_path / "other.safetensors"))


def test_the_training_stage_hands_the_weights_on(tiny: Tiny, tmp_path: Path) -> None:
    """With a learning rate of next to nothing, a run ends where it starts."""
    model = tiny.model({"epochs": 1, "warmup_epochs": 0, "lr": 1e-12, "weight_decay": 0.0})
    tiny.train(tmp_path / "first", model=model)
    place = {**PLACE, "round": 1}
    tiny.train(tmp_path / "again", model=model, place=place, start=str(tmp_path / "first/model.safetensors"))
    first, again = (load_file(tmp_path / name / "model.safetensors") for name in ("first", "again"))
    weights = [name for name in first if name.endswith("weight")]
    assert len(weights) > 3
    assert all(torch.allclose(first[name], again[name], atol=1e-6) for name in weights)


VIT = {"network": "timm", "backbone": "test_vit", "params": {}}


def test_position_embeddings_are_resampled_for_a_start_from_another_size(tiny: Tiny, tmp_path: Path) -> None:
    small, large = (
        read(tiny.model({}, image_size_px=size, cache_image_size_px=96, **VIT), "squash", 3, PLACE) for size in (64, 96)
    )
    task, path = whole(tiny.task, tiny.classes), tmp_path / "model.safetensors"
    state = {name: torch.rand_like(value) for name, value in network_of(small, task).state_dict().items()}
    save_file({name: value.contiguous() for name, value in state.items()}, path)
    made = network_of(large, task, str(path)).state_dict()
    assert made.keys() == state.keys()
    assert [name for name in made if not torch.equal(made[name], state[name])] == ["network.pos_embed"], "head included"
    resampled = resample_abs_pos_embed(state["network.pos_embed"], [6, 6])
    assert torch.allclose(made["network.pos_embed"], resampled, atol=1e-6)


def checks_of(**network: Any) -> list[dict[str, Any]]:
    models = [{"name": name, **network, "image_size_px": size} for name, size in (("small", 64), ("large", 96))]
    rounds = [{"models": ["small"]}, {"models": ["large"], "start": "small"}]
    return slices.network_checks(parse({**BASE, "models": models, "rounds": rounds}))


@pytest.mark.parametrize("network", [VIT, {**VIT, "backbone": "test_resnet"}])
def test_a_start_from_another_size_is_tried_before_any_job(network: dict[str, Any]) -> None:
    checks = checks_of(**network)
    assert [check.get("start_size") for check in checks] == [None, [64, 64]]
    for check in checks:
        preflight.check(check)


def test_a_network_whose_layers_depend_on_the_size_cannot_start_from_another_one() -> None:
    flat = "test_rounds:flat"
    with pytest.raises(ConfigError) as caught:
        preflight.check(checks_of(network=flat)[1])
    assert str(caught.value) == (
        "rounds[].start: its weights were trained at 64x64 (height x width) and do not fit this network at 96x96 (height x "
        "width), where 1.weight has another shape: it cannot be adapted. Start from a model with the same image_size_px, or "
        "set start: scratch."
    )


def flat(n_classes: int, in_channels: int, image_size: tuple[int, int]) -> nn.Module:
    """A network with a layer over all pixels."""
    n = in_channels * image_size[0] * image_size[1]
    return nn.Sequential(nn.Flatten(), nn.Linear(n, 8), nn.ReLU(), nn.Linear(8, n_classes))


# --- in words


def test_the_report_names_what_each_round_did() -> None:
    settings = slices.report(parse({**BASE, "rounds": EXAMPLE}))["settings"]
    labelled = {(1, 0): [1, 2], (1, 1): [1], (2, 0): [], (2, 1): []}
    pseudo = {place: pd.DataFrame({"id": ids}) for place, ids in labelled.items()}
    results: Any = SimpleNamespace(
        settings=settings, grid=grid_of(settings), pseudo=pseudo, row="image", facts=SimpleNamespace(target="label")
    )
    heading, table = page.blocks(results)
    assert heading.heading == "Settings of each round"
    assert table.rows == [
        ["0", "b0 and b3", "the models' own", "scratch", "none", "–"],
        ["1", "b3", "lr 0.5", "b3 from b0 of round 0", "b0 and b3 of round 0, at least 0.5, weight 0.25", "1 to 2 images"],
        ["2", "b0", "the models' own", "b0 of round 0", "b3 of round 0, at least 0.95", "0 images"],
        ["3", "b0 and b3", "the models' own", "scratch", "none", "–"],
    ]  # fmt: skip
    assert "keeps its score" in page.intro(results)
    settings = slices.report(parse({**BASE, "pseudo_labels": {"rounds": 1}}))["settings"]
    short: Any = SimpleNamespace(settings=settings, facts=results.facts)
    assert page.blocks(short) == []
    assert "predict with a confidence of at least 0.95" in page.intro(short)


def made(rounds: list[dict[str, Any]] | None = None, **changes: Any) -> Any:
    """What a report knows of the settings of a run."""
    settings = slices.report(parse({**BASE, **({"rounds": rounds} if rounds else {}), **changes}))["settings"]
    return SimpleNamespace(
        settings=settings, grid=grid_of(settings), row="image", facts=SimpleNamespace(target="label")
    )


@pytest.mark.parametrize(("is_ensemble", "named"), [(True, "an ensemble"), (False, "a model with a weight")])
def test_one_round_with_an_ensemble_is_compared_with_no_other(is_ensemble: bool, named: str) -> None:
    columns = ["member", "round", "acc", "low", "high"]
    rows = [["b0-seed0", 0, 0.6, 0.5, 0.7], ["b0-seed0", 1, 0.6, 0.5, 0.7], ["ensemble", 1, 0.75, 0.7, 0.8]]
    results: Any = SimpleNamespace(rounds=pd.DataFrame(rows, columns=columns), metric="acc", is_ensemble=is_ensemble)
    assert scores.rounds_in_words(results) == f"Only round 1 has {named}; its acc is 0.7500."


@pytest.mark.parametrize(
    ("results", "said"),
    [
        (made([{}, {"models": ["b0"]}]), "1 epoch · peak learning rate 0.001"),
        (
            made([{}, {"train": {"lr": 0.5}}, {}]),
            "1 epoch · peak learning rate 0.001 (rounds 0 and 2), peak learning rate 0.5 (round 1)",
        ),
        (
            made([{"models": ["b0"]}, {"train": {"lr": 0.5, "epochs": 3}}, {"models": ["b0"]}]),
            "3 epochs · peak learning rate 0.5",
        ),
    ],
)
def test_learning_curves_are_headed_by_the_settings_of_the_rounds(results: Any, said: str) -> None:
    results.runs = [SimpleNamespace(model="b3", record={})]
    assert training._heading(results, "b3").text.endswith(f" px · {said}")


BEST: dict[str, Any] = {"train": {"checkpoint": "best"}}
LAST: dict[str, Any] = {"train": {"checkpoint": "last"}}


@pytest.mark.parametrize(
    ("results", "named"),
    [
        (made(models=[B0, {**B3, **BEST}]), "b3"),
        (made([{}, BEST]), "b0 and b3"),
        (made([BEST, {}]), ""),
        (made([BEST, {"start": "previous"}]), "b0 (by its start, b0 of round 0) and b3 (by its start, b3 of round 0)"),
        (made([BEST, {"models": ["b3"], "start": "b0"}]), "b0 and b3 (by its start, b0 of round 0)"),
        (made([{}, LAST], models=[{**B0, **BEST}, B3]), ""),
    ],
)
def test_every_best_epoch_that_the_result_comes_from_is_flagged(results: Any, named: str) -> None:
    said = [note.text for note in choices.notes(results)]
    assert len(said) == bool(named)
    assert all(f"With checkpoint: best, {named} kept the epoch" in text for text in said)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"pseudo_label_rounds": 1}, "1 round of pseudo labels"),
        ({"rounds": 3, "pseudo_label_rounds": 2}, "2 rounds of pseudo labels"),
        ({"rounds": 3, "pseudo_label_rounds": 1}, "3 rounds of training, 1 of them with pseudo labels"),
    ],
)
def test_the_card_counts_rounds(how: dict[str, int], said: str) -> None:
    assert _rounds(how) == said
