"""Soups and snapshots: what they are made of, their weights, and what reruns them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from torch.optim.swa_utils import update_bn

import made_run
from conftest import PLACE, RUNTIME, Tiny
from goldfold.base.errors import ConfigError, TrainingError
from goldfold.config import parse, slices
from goldfold.config.members import refuse_other_members
from goldfold.drawing.blocks import Table, Text
from goldfold.engine.hooks.ema import Ema
from goldfold.engine.hooks.snapshots import Snapshots
from goldfold.engine.state import weights_of
from goldfold.engine.statistics import update_statistics
from goldfold.lineage import contents
from goldfold.optim import build_schedule
from goldfold.optim.cycles import cycle_ends
from goldfold.planning.grid import grid_of
from goldfold.planning.plan import Job, plan_of
from goldfold.planning.runs import Member, Run
from goldfold.report import choices, soups
from goldfold.stages import derive
from goldfold.training.soup import Mean, greedy
from test_engine import Given, run_fit, stateful
from test_rounds import B0, B3, BASE, WIDE, changed, recipes

SOUP: dict[str, Any] = {"name": "soup", "soup": ["b0", "b3"]}
GREEDY: dict[str, Any] = {"name": "picked", "soup": {"of": ["b0", "b3"], "select": "greedy"}}
CYCLES: dict[str, Any] = {"epochs": 4, "schedule": {"cosine": {"cycles": 3}}, "snapshots": 3}
C: dict[str, Any] = {**B0, "name": "c", "train": CYCLES}


# --- config


def test_a_soup_has_the_network_of_its_first_ingredient_and_a_snapshot_that_of_its_model() -> None:
    config = parse({**BASE, "models": [B0, B3, SOUP, C], "ensemble": {"weights": {"b0": 0, "b3": 0, "c": 2}}})
    models = {model.name: model for model in config.models}
    assert [*models] == ["b0", "b3", "soup", "c", "c-snapshot1", "c-snapshot2"]
    described = {"network": "small_resnet", "backbone": None, "params": {"widths": [4, 4]}, "image_size_px": 12}
    for name in ("soup", "c-snapshot1"):
        assert described.items() <= models[name].model_dump().items()
        assert "train" not in models[name].model_dump()
    assert config.average.weights == {"b0": 0, "b3": 0, "c": 2, "c-snapshot1": 2, "c-snapshot2": 2}
    assert len(slices.network_checks(config)) == 3, "each trained network is tried"
    assert grid_of(slices.report(config)["settings"]).origins == config.grid.origins


def test_a_snapshot_may_have_a_weight_of_its_own_in_any_form_of_the_ensemble() -> None:
    for ensemble in ({"weights": {"c": 2, "c-snapshot1": 0}}, [{"average": {"weights": {"c": 2, "c-snapshot1": 0}}}]):
        weights = parse({**BASE, "models": [C], "ensemble": ensemble}).average.weights
        assert weights == {"c": 2, "c-snapshot1": 0, "c-snapshot2": 2}


def test_an_ablation_has_variants_of_trained_models_alone_whose_snapshots_do_not_vote() -> None:
    values = {
        **BASE,
        "models": [C, B3, {"name": "soup", "soup": ["c", "c-fast"]}],
        "ablate": {"fast": {"train": {"lr": 1}}},
        "ensemble": {"weights": {"soup": 0}},
    }
    config = parse(values)
    names = [
        "c",
        "b3",
        "soup",
        "c-fast",
        "b3-fast",
        "c-snapshot1",
        "c-snapshot2",
        "c-fast-snapshot1",
        "c-fast-snapshot2",
    ]
    assert [model.name for model in config.models] == names
    assert config.weighted == ["b3", "c", "c-snapshot1", "c-snapshot2"]
    refuse_other_members({"vars": [{"members": names}]}, values)


@pytest.mark.parametrize(
    ("models", "ensemble", "said"),
    [
        (
            [C],
            {"weights": {"c-fast-snapshot1": 1}},
            r"ensemble\.weights\.c-fast-snapshot1: it is of a variant of ablate, ",
        ),
        (
            [C],
            [{"average": {"weights": {"c-fast": 2}}}],
            r"\[0\]\.average\.weights\.c-fast = 2: a variant of ablate is not",
        ),
        (
            [C, {"name": "s", "soup": ["c", "c-fast-snapshot2"]}],
            ["average"],
            r"models\[1\] \(s\)\.soup\.of: c-fast-snapshot2 is a variant .* or set ensemble\[0\]\.average\.weights\.s: 0",
        ),
    ],
)
def test_nothing_that_is_made_of_a_variant_votes(models: list[Any], ensemble: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse({**BASE, "models": models, "ensemble": ensemble, "ablate": {"fast": {"train": {"lr": 1}}}})


def test_a_quick_look_has_an_epoch_for_each_snapshot_and_the_same_members() -> None:
    shared = {
        **BASE,
        "train": {**BASE["train"], **CYCLES},
        "models": [B0, {"name": "soup", "soup": ["b0"]}],
        "seeds": [0, 1],
    }
    for values in ({**BASE, "models": [C, {"name": "soup", "soup": ["c"]}], "seeds": [0, 1]}, shared):
        config = parse({**values, "quick": True})
        assert config.models[0].train.epochs == 3
        assert len(config.models) == 4


@pytest.mark.parametrize(
    ("models", "changes", "said"),
    [
        ([B0, {"name": "s", "soup": ["b0", "b1"]}], {}, "(s).soup.of: no model is named 'b1'; nearest is 'b0'; allowed: b0"),
        (
            [B0, C], {"rounds": [{}, {"models": ["b0", "c-snapshot1"]}]},
            "rounds[1].models: c-snapshot1 is a snapshot of c, which the round does not train; list c instead, with which its",
        ),
        ([B0, {"name": "s", "soup": "b0"}], {}, "models[1].soup = 'b0': write a list of models: [b0, ...]"),
        ([B0, {"name": "s", "soup": ["b0"]}], {}, "models[1] (s).soup: one model with one seed is a single network per fold"),
        ([B0, {"name": "s", "soup": ["b0", "s"]}], {}, "models[1] (s).soup.of: 's' is the soup itself; name trained models"),
        ([B0, B3, SOUP, {"name": "s", "soup": ["b0", "soup"]}], {}, "models[3] (s).soup.of: 'soup' is a soup too"),
        (
            [B0, {**SOUP, "soup": ["b0", "b0"]}], {}, "models[1].soup.of: named more than once: b0",
        ),
        (
            [B0, WIDE, {"name": "s", "soup": ["b0", "wide"]}], {},
            "models[2] (s).soup.of: wide cannot be averaged with b0: params is {'widths': [4, 4]} there and {'widths': [8, 8]} "
            "here; name models with the same network",
        ),
        (
            [B0, {**B3, "resize": "pad"}, SOUP], {},
            "soup.of: b3 cannot be averaged with b0: resize is 'squash' there and 'pad' here",
        ),
        (
            [B0, B3, {**SOUP, "train": {"epochs": 1}}], {},
            "models[2]: train: a soup is not trained, and has the network of its first ingredient; remove it",
        ),
        (
            [B0, B3, {**SOUP, "train": {"lr": 1}, "backbone": "resnet18"}], {},
            "models[2]: backbone, train: a soup is not trained, and has the network of its first ingredient; remove them",
        ),
        ([B0, B3, {**SOUP, "soup": {"of": ["b0"], "select": "best"}}], {}, "models[2].soup.select = 'best'"),
        (
            [B0, B3, SOUP], {"rounds": [{"models": ["b0", "soup"]}, {}]},
            "rounds[0].models: soup is made of b3, which no round up to 0 trains; train b3 earlier, or list soup in later",
        ),
        (
            [B0, B3, SOUP], {"rounds": [{}, {"models": ["b0"], "start": "soup"}]},
            "rounds[1].start = 'soup': a soup has one network per fold, not one per seed; start from one of its ingredients",
        ),
        (
            [C], {"rounds": [{}, {"train": {"snapshots": 3}}]},
            "rounds[1].train.snapshots: its members are the same in all rounds; set train.snapshots of the model",
        ),
        ([{**C, "snapshot": {"of": "c", "number": 1}}], {}, "models[0] (c).snapshot: is set by goldfold; set train.snapshots"),
        ([C, {**B0, "name": "c-snapshot1"}], {}, "models: two members are named 'c-snapshot1'"),
        (
            [{**C, "train": {**CYCLES, "schedule": "cosine"}}], {},
            "snapshots = 3: a snapshot is the end of a cycle, and the schedule has 1; set schedule: {cosine: {cycles: 3}}",
        ),
        (
            [{**C, "train": {**CYCLES, "schedule": "cyclic"}}], {},
            "the schedule has 4; set schedule: {cyclic: {cycles: 3}}",
        ),
        (
            [{**C, "train": {**CYCLES, "schedule": "step"}}], {},
            "snapshots = 3: a snapshot is the end of a cycle, and schedule 'step' has none; set schedule: {cosine: {cycles: 3}}",
        ),
        ([{**C, "train": {**CYCLES, "max_hours": 1}}], {}, "snapshots = 3: max_hours may end the training before its last"),
        (
            [{**C, "train": {**CYCLES, "early_stopping": {"patience": 1}}}], {},
            "snapshots = 3: early_stopping may end the training",
        ),
        ([{**C, "train": {**CYCLES, "swa": {"start": 0.25}}}], {}, "snapshots = 3: swa averages networks of several cycles"),
        (
            [{**C, "train": {**CYCLES, "checkpoint": "best"}}], {},
            "snapshots = 3: the last snapshot is the last epoch; set checkpoint: last",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_refused_in_words(models: list[Any], changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse({**BASE, "models": models, **changes})
    assert said in str(error.value)
    assert len(str(error.value).splitlines()) == 2, "one problem"


# --- the grid


def test_a_soup_pools_the_latest_runs_of_all_seeds_of_its_own_fold() -> None:
    rounds = [{}, {"models": ["b3"]}, {"models": ["soup"]}]
    grid = parse({**BASE, "models": [B0, B3, SOUP], "seeds": [4, 7], "rounds": rounds}).grid
    assert grid.runs(models=["soup"]) == [Run("soup", number, fold, 4) for number in (0, 2) for fold in (0, 1)]
    pooled = [Run("b0", 0, 1, 4), Run("b0", 0, 1, 7), Run("b3", 1, 1, 4), Run("b3", 1, 1, 7)]
    assert [*grid.sources(Run("soup", 2, 1, 4))] == pooled
    assert {one.fold for run in grid.runs() for one in grid.sources(run)} == {0, 1}
    assert all(one.fold == run.fold for run in grid.runs() for one in grid.ancestry(run))
    assert Member("soup", 4) in grid.members
    assert Member("soup", 7) not in grid.members


def test_soups_and_snapshots_teach_and_snapshots_start_a_round() -> None:
    rounds = [{}, {"models": ["c"], "start": "c-snapshot1", "teacher": {"models": ["soup", "c-snapshot2"]}}]
    plan = plan_of(parse({**BASE, "models": [B0, B3, SOUP, C], "rounds": rounds, "seeds": [0, 1]}))
    names = [run.folder for run in plan.labels[1, 0].teachers]
    assert names == [
        f"{name}/round0/fold0/seed{n}" for name, n in (("c-snapshot2", 0), ("c-snapshot2", 1), ("soup", 0))
    ]
    above = [job.name for job in plan.above(Job("train", "c", 1, 0, 1))]
    assert above == ["pseudo_label round1/fold0", "derive c-snapshot1/round0/fold0/seed1"]
    assert plan.grid.rounds[1].models == ("c", "c-snapshot1", "c-snapshot2")
    assert [job.name for job in plan.above(Job("derive", "c-snapshot1", 1))] == ["train c/round1/fold0/seed0"]


def test_an_edit_of_an_ingredient_reaches_its_soup_and_a_new_soup_nothing() -> None:
    late = ["ensemble", "report"]
    before, models = recipes(), [B0, B3, SOUP, GREEDY]
    assert changed(before, models=models) == late
    with_soups = recipes(models=models)
    edited = changed(with_soups, models=[{**B0, "train": {"lr": 0.5}}, B3, SOUP, GREEDY])
    assert edited == ["train b0/round0", "derive picked/round0", "derive soup/round0", "report"]
    assert changed(with_soups, models=models, metric="f1_macro") == [
        "derive picked/round0", "ensemble", "submit", "report",
    ]  # fmt: skip
    assert changed(with_soups, models=models, tta=["identity"]) == [
        *(f"predict {name}/round0" for name in ("b0", "b3", "picked", "soup")), "report",
    ]  # fmt: skip
    more = changed(with_soups, models=models, seeds=[0, 1])
    assert more == ["derive picked/round0", "derive soup/round0", *late]


# --- cycles


@pytest.mark.parametrize("name", ["cosine", "cyclic"])
@pytest.mark.parametrize(("cycles", "mult"), [(2, 1.0), (3, 1.0), (3, 2.0), (4, 0.5)])
@pytest.mark.parametrize(("steps", "warmup"), [(70, 7), (100, 0), (61, 5)])
def test_a_cycle_ends_where_the_rate_of_the_schedule_turns(
    name: str, cycles: int, mult: float, steps: int, warmup: int
) -> None:
    params = {"cycles": cycles, **({"cycle_mult": mult} if name == "cosine" else {})}
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule, rates = build_schedule({name: params}, optimizer, steps, warmup), []
    for update in range(steps):
        schedule.step(update)
        rates.append(optimizer.param_groups[0]["lr"])
    first = warmup if name == "cosine" else 0
    turns = [number for number in range(first + 2, steps) if rates[number - 2] >= rates[number - 1] < rates[number]]
    assert cycle_ends({name: params}, steps, warmup) == [*turns, steps]


def test_a_cycle_shorter_than_an_update_is_refused() -> None:
    with pytest.raises(ConfigError, match="3 cycles of 2 updates: one is shorter than an update; set more epochs"):
        cycle_ends({"cosine": {"cycles": 3}}, 2, 0)


@pytest.mark.parametrize("has_average", [False, True])
def test_a_snapshot_has_the_weights_that_would_be_validated_at_the_end_of_its_cycle(has_average: bool) -> None:
    model, kept, seen = stateful(), Snapshots([2, 4, 6]), list[dict[str, torch.Tensor]]()
    ema = Ema(model, 0.5)
    scored, hooks = (ema.average.module, {"ema": ema}) if has_average else (model, {})
    with pytest.raises(TrainingError, match="2 of 2 snapshots were not taken: too many steps were skipped"):
        kept.files()
    run_fit(
        Given(24, 8), model, epochs=2, hooks={**hooks, "snapshots": kept},
        pause=lambda step, state: seen.append(weights_of(scored)),
    )  # fmt: skip
    assert [*kept.files()] == ["snapshot1.safetensors", "snapshot2.safetensors"]
    for update, weights in zip((2, 4), kept.files().values(), strict=True):
        assert all(torch.equal(weights[name], value) for name, value in seen[update - 1].items())


# --- weights


def test_the_mean_is_taken_in_float64_and_integers_are_those_of_the_first() -> None:
    parts = [
        {"half": torch.tensor([value], dtype=torch.float16), "n": torch.tensor(number)}
        for value, number in ((1.0, 5), (2.0, 6), (6.0, 7))
    ]
    for part, value, other in zip(parts, (2.0**24, 1.0, 1.0), (2.0, 4.0, 0.0), strict=True):
        part["w"] = torch.tensor([value, other])  # in float32, 2**24 + 1 is 2**24
    mean = Mean()
    for part in parts:
        mean = mean.with_(part)
    assert mean.weights["w"].tolist() == [(2**24 + 2) / 3, 2.0]
    assert mean.weights["half"].tolist() == [3.0]
    assert mean.weights["half"].dtype == torch.float16
    assert mean.weights["n"].item() == 5
    assert torch.equal(Mean().with_(parts[2]).weights["w"], parts[2]["w"]), "one network is left as it is"


def test_statistics_of_batch_norm_are_those_of_torch_on_the_same_batches() -> None:
    ours, theirs = stateful(), stateful()
    update_statistics(ours, (batch.x for batch in Given(24, 8).parts), lambda network, x: network(x))
    update_bn((batch.x for batch in Given(24, 8).parts), theirs)
    buffers = dict(theirs.named_buffers())
    assert len(buffers) == 3
    assert all(torch.equal(value, buffers[name]) for name, value in ours.named_buffers())


def test_a_greedy_soup_leaves_out_what_lowers_its_score() -> None:
    values = {"good": 0.9, "fair": 0.8, "bad": 0.1}
    asked: list[list[str]] = []

    def score(several: Any) -> float:
        asked.append([*several])
        return float(np.mean([values[one] for one in several]) + 0.1 * len(several))

    assert greedy(["good", "fair", "bad"], score, True) == ["good", "fair"]
    assert asked == [["good"], ["good", "fair"], ["good", "fair", "bad"]]
    assert greedy(["a", "b"], lambda several: 1.0, True) == ["a", "b"], "an equal score is kept"
    assert greedy(["a", "b"], lambda several: len(several), False) == ["a"], "smaller is better"
    assert greedy(["a", "b"], lambda several: float("nan"), True) == ["a"]


# --- the stage


@pytest.fixture(scope="module")
def trained(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two networks of fold 0 that were trained, one that was not, and three snapshots."""
    root = tmp_path_factory.mktemp("trained")
    for name, train in (
        ("a", {}),
        ("b", {"lr": 0.003}),
        ("none", {"lr": 1e-12, "epochs": 1, "warmup_epochs": 0}),
        ("c", CYCLES),
    ):
        tiny.train(root / name, model=tiny.model(train))
    return root


def make(tiny: Tiny, folder: Path, weights: list[Path], **changes: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "folder": str(folder), "weights": [str(path) for path in weights], "fold_file": tiny.fold_file(),
        "classes": str(tiny.folds / "classes.json"), "caches": tiny.caches(), "task": tiny.task, "metric": tiny.metric,
        "model": {**tiny.model(), "name": "soup"}, "resize": "squash", "channels": 3, "place": PLACE,
        "of": [f"{path.parent.name}/round0/fold0/seed0" for path in weights], "snapshot": 0, "select": "uniform",
        "runtime": RUNTIME, "reported": ["log_loss"],
    }  # fmt: skip
    return derive.run(**settings | changes)


def files(root: Path, *names: str) -> list[Path]:
    return [root / name / "model.safetensors" for name in names]


def test_a_soup_is_the_mean_of_its_ingredients_whatever_the_labels_of_its_fold(
    tiny: Tiny, trained: Path, tmp_path: Path
) -> None:
    facts = make(tiny, tmp_path / "soup", files(trained, "a", "b"))
    made, a, b = (load_file(path) for path in (tmp_path / "soup/model.safetensors", *files(trained, "a", "b")))
    learned = [name for name in made if "running" not in name and "num_batches" not in name]
    assert len(learned) > 5
    assert all(torch.equal(made[name], ((a[name].double() + b[name].double()) / 2).float()) for name in learned)
    statistics = [name for name in made if "running_mean" in name]
    assert statistics
    assert not any(torch.allclose(made[name], (a[name] + b[name]) / 2) for name in statistics[1:])
    history = pd.read_csv(tmp_path / "soup/history.csv")
    assert history.columns.tolist() == ["accuracy", "log_loss"]
    assert history.iloc[0].to_dict() == pytest.approx(facts["final"])
    rows = pd.read_csv(tiny.fold_file(), dtype=str)
    is_val = rows["split"] == "val"
    rows.loc[is_val, "label"] = rows.loc[is_val, "label"].tolist()[::-1]
    rows.loc[is_val, "label"] = np.roll(rows.loc[is_val, "label"], 1)
    rows.to_csv(tmp_path / "permuted.csv", index=False)
    make(tiny, tmp_path / "other", files(trained, "a", "b"), fold_file=str(tmp_path / "permuted.csv"))
    same = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("soup", "other")]
    assert same[0] == same[1]
    assert not history.equals(pd.read_csv(tmp_path / "other/history.csv")), "the labels were others"


def test_a_greedy_soup_names_what_it_used_and_scores_no_worse_than_its_best_ingredient(
    tiny: Tiny, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = make(tiny, tmp_path, files(trained, "none", "a", "b"), select="greedy")
    soup = found["soup"]
    scores = {one["run"].split("/")[0]: one["score"] for one in soup["ingredients"]}
    used = [one["run"].split("/")[0] for one in soup["ingredients"] if one["used"]]
    best = max(scores, key=lambda name: scores[name])
    assert (soup["select"], soup["metric"]) == ("greedy", "accuracy")
    assert best in used
    assert found["final"]["accuracy"] >= scores[best]
    lines = capsys.readouterr().out.splitlines()
    [said] = [line for line in lines if line.startswith("used: ")]
    assert sorted(said.removeprefix("used: ").split(", ")) == sorted(f"{name}/round0/fold0/seed0" for name in used)


def test_a_single_ingredient_is_the_soup(tiny: Tiny, trained: Path, tmp_path: Path) -> None:
    make(tiny, tmp_path, files(trained, "a"))
    made, a = load_file(tmp_path / "model.safetensors"), load_file(trained / "a/model.safetensors")
    assert all(torch.equal(made[name], a[name]) for name in a)


def test_a_snapshot_is_the_network_at_the_end_of_its_cycle(tiny: Tiny, trained: Path, tmp_path: Path) -> None:
    names = sorted(path.name for path in (trained / "c").glob("snapshot*"))
    assert names == ["snapshot1.safetensors", "snapshot2.safetensors"]
    facts = make(tiny, tmp_path, [trained / "c" / names[0]], snapshot=1, select=None)
    made, kept = load_file(tmp_path / "model.safetensors"), load_file(trained / "c" / names[0])
    assert all(torch.equal(made[name], kept[name]) for name in kept)
    assert facts["snapshot"] == {"of": "c/round0/fold0/seed0", "number": 1}
    later = load_file(trained / "c" / names[1])
    assert not any(torch.equal(made[name], later[name]) for name in kept if name.endswith("weight"))


def test_ingredients_of_other_shapes_are_refused(tiny: Tiny, trained: Path, tmp_path: Path) -> None:
    tiny.train(tmp_path / "wide", model=tiny.model({"epochs": 1, "warmup_epochs": 0}, params={"widths": [8, 8]}))
    with pytest.raises(
        ConfigError, match=r"models \(soup\)\.soup: wide/round0/.* cannot be averaged with a/.* another shape"
    ):
        make(tiny, tmp_path / "soup", [trained / "a/model.safetensors", tmp_path / "wide/model.safetensors"])


# --- what reruns, on a made-up run


NETS: list[dict[str, Any]] = [{**B0, "name": "a"}, {**B0, "name": "b"}, {**B0, "name": "c", "train": CYCLES}]
SOUPS: list[dict[str, Any]] = [{"name": "even", "soup": ["a", "b"]}, {"name": "of", "soup": ["a", "c-snapshot1"]}]
LATE = {"ensemble", "submit", "report"}


def runs(stages: str, *models: str) -> set[str]:
    return {f"{stage} {name}/round0/fold{fold}/seed0" for stage in stages.split() for name in models for fold in (0, 1)}


def test_soups_and_snapshots_are_made_again_after_what_they_are_made_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings: dict[str, Any] = {"pseudo_labels": {"rounds": 0}, "models": [*NETS, *SOUPS]}
    left = tmp_path / "left"
    made_run.finish(left, **settings)
    assert made_run.would_run(left) == set()

    def edit(models: list[dict[str, Any]]) -> set[str]:
        made_run.write_config(left, **{**settings, "models": models})
        return made_run.would_run(left)

    a, b, c = NETS
    assert edit([a, {**b, "train": {"lr": 0.5}}, c, *SOUPS]) == (
        runs("train", "b") | runs("derive", "even") | runs("predict", "b", "even") | LATE
    )
    assert edit([a, b, {**c, "train": {**CYCLES, "lr": 0.5}}, *SOUPS]) == (
        runs("train", "c") | runs("derive", "c-snapshot1", "c-snapshot2", "of")
        | runs("predict", "c", "c-snapshot1", "c-snapshot2", "of") | LATE
    )  # fmt: skip
    assert edit([*NETS, *SOUPS, {"name": "new", "soup": ["b", "c"]}]) == runs("derive predict", "new") | LATE
    assert edit([*NETS, *SOUPS]) == set()
    lost = Path("results/tiny/train/c/round0/fold1/seed0/snapshot1.safetensors")
    lost.unlink()
    again = made_run.would_run(left)
    assert {job for job in again if job.startswith("train")} == {"train c/round0/fold1/seed0"}
    assert {job for job in again if job.startswith("derive")} == {
        f"derive {name}/round0/fold1/seed0" for name in ("c-snapshot1", "c-snapshot2", "of")
    }


def test_a_snapshot_that_is_not_what_its_training_wrote_is_not_used(tmp_path: Path) -> None:
    path = f"{tmp_path}/train/c/round0/fold0/seed0/snapshot1.safetensors"
    record = {
        "rule": "train",
        "outputs": {"model.safetensors": "1"},
        "files": {path: "2", f"{path}/../best.safetensors": "3"},
    }
    assert contents.written(record) == {"model.safetensors": "1", path: "2"}


# --- the report


def test_every_greedy_soup_that_the_result_comes_from_is_flagged() -> None:
    def said(models: list[Any], **changes: Any) -> str:
        settings = slices.report(parse({**BASE, "models": models, **changes}))["settings"]
        results: Any = SimpleNamespace(settings=settings, grid=grid_of(settings), row="image")
        return " ".join(note.text for note in choices.notes(results))

    assert said([B0, B3, SOUP]) == ""
    assert "With select: greedy, picked kept the ingredients with the best validation" in said([B0, B3, GREEDY])
    best = {**B0, "train": {"checkpoint": "best"}}
    assert "With checkpoint: best, b0 and soup (by its ingredient, b0 of round 0) kept" in said([best, B3, SOUP])
    taught = [{"models": ["b0", "b3", "picked"]}, {"models": ["b0"], "train": {"distill": {"teacher": "picked"}}}]
    named = "b0 (by its teacher, picked of round 0) and picked kept"
    assert named in said([B0, B3, GREEDY], rounds=taught)


def test_the_report_lists_the_ingredients_of_each_soup() -> None:
    parts = [
        {"run": f"{name}/round0/fold1/seed0", "score": value, "used": value > 0.5}
        for name, value in (("a", 0.9), ("b", 0.25))
    ]
    made = SimpleNamespace(model="picked", round=0, fold=1, record={"soup": {"select": "greedy", "ingredients": parts}})
    of = {"of": "c/round0/fold1/seed0", "number": 1}
    snapshot = SimpleNamespace(model="c-snapshot1", round=0, fold=1, record={"snapshot": of})
    settings = {"models": [{"name": "c", "train": {"snapshots": 3}}]}
    text, snapshots, _, table = soups.blocks(SimpleNamespace(made=[made, snapshot], settings=settings))  # type: ignore[arg-type]
    assert isinstance(text, Text)
    assert "at the end of a cycle of its learning rate" in text.text
    assert isinstance(snapshots, Table)
    assert snapshots.rows == [["c-snapshot1", "c", "1 of 3"]]
    assert isinstance(table, Table)
    assert table.rows == [["picked", "0", "1", "greedy", "a, round 0: seed 0 (0.9000)", "b, round 0: seed 0 (0.2500)"]]
    assert soups.blocks(SimpleNamespace(made=[])) == []  # type: ignore[arg-type]
