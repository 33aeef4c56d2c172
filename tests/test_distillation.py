"""Distillation: who learns from whom, what a student's samples and loss are, and that no label of the fold's validation
images reaches a student by its teacher."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import made_run
from conftest import PLACE, RUNTIME, Tiny
from goldfold import tasks
from goldfold.base.errors import ConfigError, DataError
from goldfold.cases import Inputs
from goldfold.config import parse, slices
from goldfold.config.dependencies import recipe
from goldfold.losses import classification, distillation
from goldfold.models.features import Heard, head_of
from goldfold.planning.grid import grid_of
from goldfold.planning.jobs import Job, job_of
from goldfold.planning.lessons import lessons_of
from goldfold.planning.plan import plan_of
from goldfold.planning.runs import Lesson, Run
from goldfold.predictions.arrays import load, save
from goldfold.report import choices, endings
from goldfold.report import lessons as page
from goldfold.stages import teach
from goldfold.training.distilling import distilled, fuse
from goldfold.training.lesson import Lesson as Training
from goldfold.training.lesson import Teachers
from made_run import would_run
from test_resume import Interrupted, Until, interrupt
from test_rounds import BASE, NET
from test_workflow import TINY

BIG, SMALL, THIRD = ({"name": name, **NET} for name in ("big", "small", "third"))
N, K = 6, 3


def student(teacher: str = "big", name: str = "small", **how: Any) -> dict[str, Any]:
    return {"name": name, **NET, "train": {"distill": {"teacher": teacher, **how}}}


def logits(seed: int) -> torch.Tensor:
    return 3 * torch.randn(N, K, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


# --- the loss


def rows(kind: Any, probabilities: torch.Tensor) -> torch.Tensor:
    """Targets from the probabilities of a teacher."""
    return torch.from_numpy(kind.rows(probabilities.numpy())).double()


def test_the_loss_is_the_divergence_and_keeps_the_size_of_its_gradient() -> None:
    own, other = (values - values.mean(dim=1, keepdim=True) for values in (logits(1), logits(2)))
    hot, plain, warm = (distillation.Classes(temperature) for temperature in (100.0, 1.0, 3.0))
    own.requires_grad_()
    hot(own, rows(hot, other.softmax(1))).sum().backward()
    assert torch.allclose(own.grad, (own - other).detach() / K, rtol=0.05, atol=0.03)
    difference = [classification.cross_entropy(values, other.softmax(1)) for values in (own, other)]
    assert torch.allclose(plain(own, rows(plain, other.softmax(1))), difference[0] - difference[1], atol=1e-6)
    assert torch.autograd.gradcheck(lambda made: warm(made, rows(warm, other.softmax(1))), own)


def test_rows_are_the_softened_logits() -> None:
    classes, labels = distillation.Classes(2.5), distillation.Labels(2.5)
    assert torch.allclose(rows(classes, logits(1).softmax(1)), (logits(1) / 2.5).softmax(1), atol=1e-6)
    assert torch.allclose(rows(labels, logits(1).sigmoid()), (logits(1) / 2.5).sigmoid(), atol=1e-6)
    sure = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    for kind in (classes, labels):
        assert rows(kind, sure).tolist() == [[1.0, 0.0]]
        assert torch.isfinite(kind(torch.tensor([[300.0, -300.0]]), torch.tensor([[1.0, 0.0]]))).all()


def test_a_label_is_a_pair_of_classes_and_a_number_has_the_squared_error() -> None:
    labels, classes, number = distillation.Labels(), distillation.Classes(), distillation.Numbers(10.0, 4.0)
    assert torch.allclose(labels(logits(1), rows(labels, logits(1).sigmoid())), torch.zeros(N).double(), atol=1e-6)
    own, other = logits(1)[:, :1], logits(2)[:, :1]
    pairs = [torch.cat([values, torch.zeros_like(values)], 1) for values in (own, other)]
    expected = classes(pairs[0], rows(classes, pairs[1].softmax(1)))
    assert torch.allclose(labels(own, rows(labels, other.sigmoid())), expected, atol=1e-6)
    targets = torch.from_numpy(number.rows(np.array([14.0, 14.0])))
    assert number(torch.tensor([[1.0], [0.0]]), targets).tolist() == [0.0, 1.0]
    with pytest.raises(ConfigError, match="temperature = 0: must be a number above 0"):
        distillation.Labels(0)


def test_similarity_ignores_the_length_and_the_frame_of_features() -> None:
    generator = torch.Generator().manual_seed(0)
    own, turn = torch.randn(N, 4, generator=generator), torch.linalg.qr(torch.randn(4, 4, generator=generator))[0]
    same = torch.stack([3 * own @ turn, own], dim=1)
    assert distillation.similarity(own, same).item() == pytest.approx(0, abs=1e-10)
    a, b = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[[1.0]], [[1.0]]])
    assert distillation.similarity(a, b).item() == pytest.approx(((1 - 0.5**0.5) ** 2 * 2 + 0.5 * 2) / 4)
    half = torch.autocast("cpu", torch.bfloat16)
    with half:
        assert distillation.similarity(own, same).item() == pytest.approx(0, abs=1e-10)


# --- who learns from whom


def taught_by(wanted: dict[str, str], student: str, *, rounds: list[list[str]], number: int = 0, zero: str = "") -> Any:
    """Teachers of a student; ``wanted`` holds ``model`` or ``model@round`` -> teacher."""
    places = {tuple(name.split("@")) if "@" in name else (name, "0"): teacher for name, teacher in wanted.items()}
    names = sorted({name for models in rounds for name in models})
    settings = [
        {
            "models": models,
            "train": {},
        }
        for models in rounds
    ]
    made = lessons_of([{"name": name} for name in names], settings, [name for name in names if name != zero], {})
    made.wanted.update({(name, int(at)): teacher for (name, at), teacher in places.items()})  # type: ignore[attr-defined]
    return made.teachers((student, number))


ABC = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("wanted", "number", "zero", "expected"),
    [
        ({"c": "a"}, 0, "", [("a", 0)]),
        ({"c@1": "a"}, 1, "", [("a", 1)]),
        ({"c@1": "c"}, 1, "", [("c", 0)]),
        ({"c": "c"}, 0, "", []),
        ({"c": "ensemble"}, 0, "", [("a", 0), ("b", 0)]),
        ({"c": "ensemble"}, 0, "a", [("b", 0)]),
        ({"c@1": "ensemble"}, 1, "", [("a", 1), ("b", 1), ("c", 0)]),
        ({"c": "ensemble", "b": "c"}, 0, "", [("a", 0)]),  # b learns from c
        ({"c": "ensemble", "b": "a"}, 0, "", [("a", 0), ("b", 0)]),
        ({"c": "ensemble", "b": "ensemble"}, 0, "", [("a", 0)]),
        ({"c@1": "ensemble", "b@1": "ensemble"}, 1, "", [("a", 1), ("b", 0), ("c", 0)]),
        ({"c": "ensemble", "b": "ensemble", "a": "ensemble"}, 0, "", []),
    ],
)
def test_teachers_are_the_latest_weights_that_do_not_learn_from_the_student(
    wanted: dict[str, str], number: int, zero: str, expected: list[tuple[str, int]]
) -> None:
    assert list(taught_by(wanted, "c", rounds=[ABC, ABC], number=number, zero=zero)) == expected


def test_a_model_that_a_round_does_not_train_teaches_with_its_latest_weights() -> None:
    assert taught_by({"c@2": "a"}, "c", rounds=[ABC, ["b"], ["c"]], number=2) == (("a", 0),)


def test_students_and_their_teachers_are_of_one_fold_and_only_teachers_teach() -> None:
    config = parse({**BASE, "models": [BIG, student(), THIRD], "seeds": [0, 3], "ensemble": {"weights": {"big": 0}}})
    plan = plan_of(config)
    own = Run("small", 0, 1, 3)
    assert plan.parents(own) == (Run("big", 0, 1, 0), Run("big", 0, 1, 3)), "all seeds, though it has no weight"
    assert {job.name for job in plan.above(job_of("train", own))} == {f"teach big/round0/fold1/seed{s}" for s in (0, 3)}
    assert {job.model for job in plan.jobs("teach")} == {"big"}
    assert len(plan.jobs("teach")) == 4
    assert plan.caches(plan.jobs("teach")[0]) == plan.pieces("12x12-squash", ["train"])
    with pytest.raises(ConfigError, match="teach third/round0/fold0/seed0: no model learns from third of round 0"):
        plan.refuse_unplanned(job_of("teach", Run("third", 0, 0, 0)))
    assert "teach" not in plan_of(parse({**BASE, "models": [BIG, SMALL]})).stages()


@pytest.mark.parametrize("teacher", [Run("b", 1, 1, 0), Run("b", 2, 0, 0), Run("a", 1, 0, 0), Run("a", 1, 0, 1)])
def test_another_fold_a_later_round_or_the_model_itself_cannot_teach(teacher: Run) -> None:
    Lesson(Run("a", 1, 0, 0), (Run("b", 1, 0, 5), Run("a", 0, 0, 0)))
    with pytest.raises(ConfigError, match=f"a/round1/fold0/seed0 cannot learn from {teacher.folder}"):
        Lesson(Run("a", 1, 0, 0), (teacher,))


def test_pseudo_labelled_images_are_predicted_by_the_stage_that_predicts_them_anyway() -> None:
    plan = plan_of(parse({**BASE, "models": [BIG, student()], "pseudo_labels": {"rounds": 1}}))
    files = {number: plan.lesson_files(job_of("train", Run("small", number, 1, 0))) for number in (0, 1)}
    assert [path.removeprefix("results/tiny/") for path in files[0]] == ["teach/big/round0/fold1/seed0/train.npz"]
    assert [path.removeprefix("results/tiny/") for path in files[1]] == [
        "teach/big/round1/fold1/seed0/train.npz", "predict/big/round1/fold1/seed0/test.npz",
    ]  # fmt: skip
    above = plan.above(job_of("train", Run("small", 1, 1, 0)))
    assert [job.name for job in above] == [
        "pseudo_label round1/fold1", "teach big/round1/fold1/seed0", "predict big/round1/fold1/seed0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"models": [BIG, student(), THIRD]},
        {"models": [BIG, SMALL], "rounds": [{}, {"train": {"distill": {"teacher": "ensemble"}}}]},
        {"models": [BIG, student()], "rounds": [{}, {"train": {"distill": None}}, {"models": ["small"]}]},
        {"models": [BIG, student("ensemble")], "pseudo_labels": {"rounds": 1}, "ensemble": {"weights": {"small": 0}}},
    ],
)
def test_the_grid_of_a_report_s_settings_has_the_same_lessons(changes: dict[str, Any]) -> None:
    config = parse({**BASE, **changes})
    lessons = [stage.lessons for stage in config.grid.rounds]
    assert any(lessons)
    found = grid_of(json.loads(json.dumps(slices.report(config)["settings"])))
    assert [stage.lessons for stage in found.rounds] == lessons


def test_a_variant_learns_from_the_teacher_of_its_model_and_a_switch_can_add_or_remove_one() -> None:
    switches = {
        "long": {"train": {"lr": 0.5}},
        "alone": {"train": {"distill": None}},
        "pupil": {"train": {"distill": {"teacher": "big"}}},
    }
    found = parse({**BASE, "models": [BIG, student()], "ablate": switches}).grid.rounds[0].lessons
    big = (("big", 0),)
    assert found == {"small": big, "small-long": big, "small-pupil": big, "big-pupil": big}


# --- what cannot be


DISTILL = {"distill": {"teacher": "big"}}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"models": [BIG, student("bog")]}, r"models\[1\] \(small\)\.train\.distill\.teacher = 'bog': no model is named 'bog'; "
     r"nearest is 'big'; allowed: big, small, ensemble"),
    ({"models": [BIG, SMALL], "train": {**TINY["train"], **DISTILL}},  # type: ignore[dict-item]
     r"models\[0\] \(big\)\.train\.distill\.teacher = 'big': no round before round 0 trains big, and a model learns from itself "
     r"only in a later round; .*set distill for the students alone"),
    ({"models": [BIG, SMALL], "rounds": [{"models": ["small"], "train": DISTILL}, {"models": ["big"]}]},
     r"rounds\[0\]\.train\.distill\.teacher = 'big': no round up to round 0 trains big; train it earlier"),
    ({"models": [student("small", "big"), student(), THIRD]},
     r"models\[0\] \(big\)\.train\.distill\.teacher: in round 0 models learn in a circle: big from small, small from big; "),
    ({"models": [BIG, student("ensemble")], "ensemble": {"weights": {"big": 0}}},
     r"models\[1\] \(small\)\.train\.distill\.teacher = 'ensemble': up to round 0 there is no other model with a weight"),
    ({"models": [{"name": "ensemble", **NET}, student("ensemble")]}, r"models\[0\]\.name = 'ensemble': is the name of"),
    ({"models": [BIG, student(weight=0)]}, r"models\[1\]\.train\.distill\.weight = 0: must be greater than 0"),
    ({"models": [BIG, student(weight=1.5)]}, r"models\[1\]\.train\.distill\.weight = 1\.5: must be at most"),
    ({"models": [BIG, student(temperature=0)]}, r"models\[1\]\.train\.distill\.temperature = 0: must be greater than 0"),
    ({"models": [BIG, student(temprature=1)]}, r"models\[1\]\.train\.distill\.temprature: unknown key; nearest is 'temperature'"),
    ({"models": [BIG, student(temperature=3)], "task": "regression"},
     r"models\[1\] \(small\)\.train\.distill\.temperature = 3: a number has no temperature, .*; remove it"),
    ({"models": [BIG, student()], "task": "segmentation"},
     r"models\[1\] \(small\)\.train\.distill: task 'segmentation' cannot learn from a teacher yet; these tasks can: "
     r"classification, ordinal, multilabel, regression\. Remove it"),
    ({"models": [BIG, student("ensemble", features=1)]}, r"models\[1\] \(small\)\.train\.distill\.features: an ensemble has no "),
    ({"models": [BIG, {**NET, "name": "small", "train": {"compile": True, "distill": {"teacher": "big", "features": 1.0}}}]},
     r"models\[1\] \(small\)\.train\.distill\.features: the features of a compiled network are not seen; remove features, or"),
    ({"models": [BIG, student(features=1)], "pseudo_labels": {"rounds": 1}},
     r"models\[1\] \(small\)\.train\.distill\.features: round 1 also trains on pseudo labels, and teachers have no features of"),
    ({"models": [BIG, student()], "task": "detection"}, r"models\[1\] \(small\)\.train\.distill: task 'detection' cannot learn"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "said"), WRONG, ids=[text[:60] for _, text in WRONG])
def test_teachers_that_cannot_be_are_refused_before_any_job(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=rf"(?s)\n  {said}") as caught:
        parse({**BASE, **changes})
    if "task" not in changes:
        assert str(caught.value).startswith("config: 1 problem\n")


# --- what depends on what


def test_the_recipe_names_the_teacher_and_others_have_none() -> None:
    config = parse({**BASE, "models": [BIG, student(weight=0.7), student("ensemble", "third")], "seeds": [0, 1]})
    made = {name: recipe(config, Job("train", name, 0, 1, 0)) for name in ("big", "small", "third")}
    assert "distilled" not in made["big"]["settings"]
    assert "distill" not in made["big"]["settings"]["model"]["train"]
    of_big = [f"big/round0/fold1/seed{seed}" for seed in (0, 1)]
    of_small = [f"small/round0/fold1/seed{seed}" for seed in (0, 1)]
    assert made["small"]["settings"]["distilled"] == {"teachers": of_big}
    fusion = {"weights": {}, "settings": {"method": "probability"}}
    assert made["third"]["settings"]["distilled"] == {"teachers": of_big + of_small, "fusion": fusion}
    assert not any("shows_features" in one for one in slices.network_checks(config))
    config = parse({**BASE, "models": [BIG, student(features=1), student("ensemble", "third")], "seeds": [0, 1]})
    assert [one["name"] for one in slices.network_checks(config) if "shows_features" in one] == ["big", "small"]
    code = "goldfold.training.distilling:distilled"
    assert code not in made["big"]["code"]["of"]
    assert code in made["small"]["code"]["of"]


WIDE, SLIM = TINY["models"]  # type: ignore[misc]
WITH = {"pseudo_labels": {"rounds": 0}, "models": [WIDE, {**SLIM, "train": {"distill": {"teacher": "wide"}}}]}  # type: ignore[dict-item]
LATE = {"ensemble", "submit", "report"}


def jobs(stages: str, model: str) -> set[str]:
    return {f"{stage} {model}/round0/fold{fold}/seed0" for stage in stages.split() for fold in (0, 1)}


def test_an_edit_of_the_teacher_reruns_its_students_and_a_new_student_nothing_else(in_tmp: Path) -> None:
    made_run.finish(in_tmp / "run", **WITH)
    folder, (wide, slim) = in_tmp / "run", WITH["models"]
    assert would_run(folder, **WITH) == set()
    edited = {**WITH, "models": [{**wide, "train": {"lr": 0.5}}, slim]}  # type: ignore[dict-item]
    everything = jobs("train predict teach", "wide") | jobs("train predict", "slim") | LATE
    assert not {name for name in would_run(folder, **edited) if not name.startswith("cache")} ^ everything
    weight = {**WITH, "models": [wide, {**slim, "train": {"distill": {"teacher": "wide", "weight": 0.9}}}]}  # type: ignore[dict-item]
    found = {name for name in would_run(folder, **weight) if not name.startswith("cache")}
    assert found == jobs("train predict", "slim") | LATE
    more = {**WITH, "models": [*WITH["models"], {**slim, "name": "new"}]}  # type: ignore[dict-item]
    found = {name for name in would_run(folder, **more) if not name.startswith("cache")}
    assert found == jobs("train predict", "new") | LATE
    without = {**WITH, "models": [wide, SLIM]}
    found = {name for name in would_run(folder, **without) if not name.startswith("cache")}
    assert found == jobs("train predict", "slim") | LATE


def test_a_first_student_makes_its_teacher_predict_and_retrains_nothing(in_tmp: Path) -> None:
    made_run.finish(in_tmp / "run", pseudo_labels={"rounds": 0})
    found = would_run(in_tmp / "run", pseudo_labels={"rounds": 0}, models=[WIDE, {**SLIM, **WITH["models"][1]}])  # type: ignore[dict-item]
    trained = {name for name in found if not name.startswith("cache")}
    assert trained == jobs("teach", "wide") | jobs("train predict", "slim") | LATE


# --- a student


def taught(
    tiny: Tiny, folder: Path, *, fold_file: str = "", predictions: list[Path] | None = None, **changes: Any
) -> Any:
    """Train a student into ``folder``; its facts."""
    distill = {"teacher": "big", "weight": 0.5, **changes.pop("distill", {})}
    train = {**changes.pop("train", {}), "distill": distill}
    fixed: Any = {"fold_file": fold_file} if fold_file else {}
    model = tiny.model()  # the teacher of a config with one model cannot be checked
    full = {**model, "target": slices.facts(tiny.task["name"]).target, "train": {**model["train"], **train}}
    return tiny.train(folder, model=full, lessons=[str(path) for path in predictions or []], **fixed, **changes)


def by_teacher(tiny: Tiny, folder: Path, weights: Path, **changes: Any) -> Path:
    """Predictions of a teacher, as the stage makes them."""
    model = tiny.model()
    kept = {name: model[name] for name in ("network", "backbone", "params", "size") if name in model}
    settings: dict[str, Any] = {
        "fold_file": tiny.fold_file(), "classes": str(tiny.folds / "classes.json"), "caches": tiny.caches(), "task": tiny.task,
        "model": kept, "resize": "squash", "channels": 3, "tta": ["identity"], "place": PLACE, "runtime": RUNTIME,
    }  # fmt: skip
    into = folder / "teach/big/round0/fold0/seed0"
    into.mkdir(parents=True)
    teach.run(folder=str(into), weights=str(weights), **{**settings, **changes})
    return into / "train.npz"


def made_up(tiny: Tiny, folder: Path, value: Callable[[str], list[float]], fold: int = 0, seed: int = 0) -> Path:
    """Predictions of a teacher by id."""
    table = pd.read_csv(tiny.fold_file(), dtype=str)
    ids = sorted(table[table["split"] == "train"]["id"])
    path = folder / f"teach/big/round0/fold{fold}/seed{seed}/train.npz"
    path.parent.mkdir(parents=True)
    arrays = {
        "ids": np.array(ids), "classes": np.array(tiny.classes), "logits": np.array([value(id) for id in ids], np.float32),
        "round": np.array(0), "fold": np.array(fold), "seed": np.array(seed),
    }  # fmt: skip
    save(path, arrays.items())
    return path


def test_labels_of_validation_images_reach_neither_teacher_nor_student(tiny: Tiny, tmp_path: Path) -> None:
    """Permuting them changes no byte of what both are made of."""
    table = pd.read_csv(tiny.fold_file(), dtype=str)
    held_out = table["split"] == "val"
    table.loc[held_out, "label"] = table.loc[held_out, "label"].to_numpy()[::-1]
    assert (table["label"] != pd.read_csv(tiny.fold_file(), dtype=str)["label"]).any()
    other = tmp_path / "permuted/fold0.csv"
    other.parent.mkdir()
    table.to_csv(other, index=False)
    found = []
    for name, fold_file in (("plain", tiny.fold_file()), ("permuted", str(other))):
        folder = tmp_path / name
        tiny.train(folder / "big", fold_file=fold_file)
        rows = by_teacher(tiny, folder, folder / "big/model.safetensors", fold_file=fold_file)
        taught(tiny, folder / "small", fold_file=fold_file, predictions=[rows])
        files = [folder / "big/model.safetensors", rows, folder / "small/model.safetensors"]
        found.append([path.read_bytes() for path in files])
        assert not {*load(rows)["ids"]} & {*table[held_out]["id"]}, "the teacher predicts its own training images alone"
    assert found[0] == found[1]


def test_a_student_that_only_listens_learns_what_its_teacher_says(tiny: Tiny, tmp_path: Path) -> None:
    """A teacher that confuses all classes has a student that does: the labels themselves weigh nothing."""
    label = pd.read_csv(tiny.fold_file(), dtype=str).set_index("id")["label"]
    wrong = made_up(tiny, tmp_path, lambda id: [0.0, 6.0] if label[id] == tiny.classes[0] else [6.0, 0.0])
    how = {"train": {"epochs": 8}, "predictions": [wrong]}
    deaf = taught(tiny, tmp_path / "deaf", distill={"weight": 0.01}, **how)
    keen = taught(tiny, tmp_path / "keen", distill={"weight": 1.0}, **how)
    assert deaf["final"]["accuracy"] == 1
    assert keen["final"]["accuracy"] == 0


def test_the_history_has_the_parts_of_the_loss_and_val_loss_is_the_model_s_own(tiny: Tiny, tmp_path: Path) -> None:
    still = {"lr": 1e-12, "warmup_epochs": 0, "epochs": 1, "weight_decay": 0.0, "augment": "none"}
    rows = made_up(tiny, tmp_path, lambda id: [0.0, 1.0])
    tiny.train(tmp_path / "plain", model=tiny.model(still))
    taught(tiny, tmp_path / "taught", predictions=[rows], train=still, distill={"weight": 0.25, "temperature": 4.0})
    plain, history = (pd.read_csv(tmp_path / name / "history.csv").iloc[0] for name in ("plain", "taught"))
    assert history["train_loss_own"] + history["train_loss_distill"] == pytest.approx(history["train_loss"])
    assert history["train_loss_own"] == pytest.approx(0.75 * plain["train_loss"], rel=1e-4)
    assert history["train_loss_distill"] > 0
    assert history["val_loss"] == pytest.approx(plain["val_loss"], rel=1e-5)


def test_the_rows_of_a_teacher_are_mixed_like_targets(tiny: Tiny, tmp_path: Path) -> None:
    """A teacher that is as sure as the labels: with any mixing, its rows stay equal to them."""
    label = pd.read_csv(tiny.fold_file(), dtype=str).set_index("id")["label"]
    rows = made_up(tiny, tmp_path, lambda id: [1e4 * (label[id] == name) for name in tiny.classes])
    seen: list[Any] = []

    def noted(*arguments: Any) -> Any:
        def loss(model: Any, batch: Any) -> Any:
            seen.append(batch.targets)
            return original(*arguments)(model, batch)

        return loss

    from goldfold.training import distilling

    original = distilling.loss_with
    mixed = {"mix": ["mixup", "cutmix", "mosaic"], "epochs": 1, "mix_probability": 0.9}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distilling, "loss_with", noted)
        taught(tiny, tmp_path / "mixed", predictions=[rows], train=mixed)
    own, teacher = (torch.cat([targets[name] for targets in seen]) for name in ("own", "teacher"))
    assert torch.allclose(own.float(), teacher, atol=1e-6)
    assert ((teacher > 0.01) & (teacher < 0.99)).any(), "some are mixed"


def test_a_file_of_another_fold_or_without_an_image_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    other = made_up(tiny, tmp_path, lambda id: [0.0, 1.0], fold=1)
    with pytest.raises(
        DataError, match=r"train\.npz holds predictions of fold 1; the teachers of a student for fold 0 must come "
    ):
        taught(tiny, tmp_path / "a", predictions=[other])
    rows = made_up(tiny, tmp_path, lambda id: [0.0, 1.0])
    known = dict(load(rows))
    save(rows, {**known, "ids": np.array(["x", *known["ids"][1:]])}.items())
    with pytest.raises(DataError, match="1 images have no prediction, first"):
        taught(tiny, tmp_path / "b", predictions=[rows])


def test_seeds_are_averaged_and_an_ensemble_is_fused_as_the_config_s(tiny: Tiny, tmp_path: Path) -> None:
    output = tasks.output(tiny.task, tiny.classes)
    values = {0: [0.0, 3.0], 1: [2.0, 0.0]}
    files = [str(made_up(tiny, tmp_path, lambda id, seed=seed: values[seed], seed=seed)) for seed in (0, 1)]
    softmax = [np.exp(row) / np.exp(row).sum() for row in values.values()]
    of_seeds = fuse(output, Teachers(files), 0)["probabilities"]
    assert np.allclose(of_seeds, np.mean(softmax, axis=0))
    moved = Path(files[1].replace("/big/", "/other/"))
    moved.parent.mkdir(parents=True)
    Path(files[1]).rename(moved)
    fusion = {"weights": {"other": 3.0}, "settings": {"method": "geometric"}}
    both = [load(path) for path in (files[0], moved)]
    expected = output.fuse(both, [0.25, 0.75], method="geometric")["probabilities"]
    assert np.array_equal(fuse(output, Teachers([files[0], str(moved)], fusion), 0)["probabilities"], expected)


OF_TASK: dict[str, tuple[list[str], str, dict[str, Any], list[Any], Callable[[Any, Any], Any]]] = {
    "multilabel": (
        ["x", "y"], "labels", {"logits": np.array([[1.0, -2.0], [0.5, 3.0]], np.float32)}, [np.array([1, 0]), np.array([0, 1])],
        lambda outputs, rows: distillation.Labels()(outputs, rows),
    ),
    "regression": (
        ["0 to 2", "2 to 4", "4 to 6"], "value", {"values": np.array([1.0, 5.0]), "spreads": np.zeros(2)}, [2.0, 4.0],
        lambda outputs, rows: (outputs[:, 0] - rows) ** 2,
    ),
}  # fmt: skip
"""Classes, field of the target, predictions of the teacher, targets, and the loss against the teacher."""


@pytest.mark.parametrize("task", OF_TASK)
def test_labels_and_numbers_are_learnt_from_a_teacher_too(task: str, tmp_path: Path) -> None:
    classes, field, arrays, values, against = OF_TASK[task]
    path = tmp_path / "teach/big/round0/fold0/seed0/train.npz"
    path.parent.mkdir(parents=True)
    save(path, {"ids": np.array(["a", "b"]), "classes": np.array(classes), **arrays, "fold": np.array(0)}.items())
    learn, target = (
        tasks.learn({"name": task}, classes),
        SimpleNamespace(targets=lambda *_: [{field: v} for v in values]),
    )
    own: Any = learn.loss(loss=tasks.facts(task).default_loss)
    how = {"teacher": "big", "weight": 0.25}
    spec: Any = SimpleNamespace(train=SimpleNamespace(distill=how), model={"target": field}, place=PLACE)
    plain = Training(target, learn, own)  # type: ignore[arg-type]
    lesson = distilled(plain, spec, {"name": task}, classes, ["b", "a"], Teachers([str(path)]))
    common = {"weight": 1.0, "images": np.zeros((1, 2, 2, 3), np.uint8), "present": np.ones(1, bool)}
    samples = [{**one, **common, "id": id} for one, id in zip(lesson.target.targets(*[None] * 3), "ba", strict=True)]  # type: ignore[arg-type]
    batch = lesson.learn.collate(samples)
    outputs = torch.tensor([[0.3, -0.4], [1.0, 0.2]])[:, : 1 if task == "regression" else 2]
    network = torch.nn.Module()
    network.forward = lambda inputs: outputs  # type: ignore[method-assign]
    found: Any = lesson.loss(network, batch)
    if task == "regression":
        middle, spread = learn.scale  # type: ignore[attr-defined]
        rows_ = torch.tensor((arrays["values"][::-1].copy() - middle) / spread).float()
    else:
        rows_ = torch.from_numpy(arrays["logits"][::-1].copy() / 2).sigmoid()
    expected = 0.75 * own(network, replace(batch, targets=batch.targets["own"])).total
    assert found.parts["own"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert found.parts["distill"].item() == pytest.approx(0.25 * against(outputs, rows_).mean().item(), rel=1e-4)


def test_features_are_the_inputs_of_the_last_layer(tiny: Tiny, tmp_path: Path) -> None:
    """Mean over the images of a case and over the views, whatever wraps the network."""
    network = tasks.infer(tiny.task, tiny.classes).model("small_resnet", (12, 12), 3, widths=(4, 8)).eval()
    pixels = torch.randint(0, 256, (2, 2, 3, 12, 12), generator=torch.Generator().manual_seed(0)).float()
    cases = Inputs(pixels, torch.tensor([[True, True], [False, True]]))
    with Heard(network) as heard, torch.no_grad():
        outputs = network(cases)
    found: Any = heard.features(cases)
    assert found.shape == (2, 8)
    last: Any = head_of(network)
    assert torch.allclose(last(found), outputs, atol=1e-6), "the mean of outputs is the output of the mean"
    assert not last._forward_pre_hooks, "the hook is gone"
    with pytest.raises(
        ConfigError, match=r"train\.distill\.features: it is not known where the head of this network begins"
    ):
        Heard(torch.nn.Sequential(torch.nn.Linear(1, 1)))


def test_a_student_learns_from_features_and_resumes_exactly(tiny: Tiny, tmp_path: Path) -> None:
    """Rows and features of the teacher are mixed, and a stopped run ends with the bytes of one that was not."""
    tiny.train(tmp_path / "big")
    rows = by_teacher(tiny, tmp_path, tmp_path / "big/model.safetensors", tta=["identity", "hflip"])
    assert load(rows)["features"].shape == (20, 8)
    train = {"mix": ["mixup"], "hooks": [{"ema": {"decay": 0.9}}], "epochs": 3}
    how: Any = {"predictions": [rows], "distill": {"features": 2.0}, "train": train}
    facts = taught(tiny, tmp_path / "whole", **how)
    history = pd.read_csv(tmp_path / "whole/history.csv")
    parts = [history[f"train_loss_{name}"] for name in ("own", "distill", "features")]
    assert np.allclose(sum(parts), history["train_loss"])
    assert (parts[2] > 0).all()
    assert facts["resumed_at_step"] == []
    each_step = {"runtime": {**RUNTIME, "save_minutes": 0.0}}
    with pytest.raises(Interrupted):
        taught(tiny, tmp_path / "stopped", progress=Until(4, interrupt), **{**how, **each_step})
    assert taught(tiny, tmp_path / "stopped", **how)["resumed_at_step"] == [3]
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "stopped")]
    assert weights[0] == weights[1]


# --- in words


def test_the_report_warns_of_a_teacher_whose_epoch_was_chosen_on_the_validation_fold() -> None:
    chosen = {"checkpoint": "best", "epochs": 2}
    settings = slices.report(parse({**BASE, "models": [{**BIG, "train": chosen}, student()]}))["settings"]
    grid = grid_of(settings)
    results: Any = SimpleNamespace(settings=settings, grid=grid, row="image")
    (note,) = choices.notes(results)
    assert "small (by its teacher, big of round 0)" in note.text
    stopped = {"by": "early_stopping", "why": "no gain", "on_validation": True}
    results.runs = [SimpleNamespace(**vars(run), record={"stopped": stopped}) for run in grid.runs()]
    weightless = slices.report(parse({**BASE, "models": [BIG, student()]}))["settings"]
    late = SimpleNamespace(**{**vars(results), "settings": weightless, "grid": grid_of(weightless)})
    late.grid = SimpleNamespace(
        final_runs=lambda: [run for run in grid.final_runs() if run.model == "small"],
        ancestry=grid.ancestry, taught=grid.taught,
    )  # fmt: skip
    assert {run.model for run in endings._stopped(late, on_validation=True)} == {"big", "small"}


def test_the_report_lists_students_and_their_teachers() -> None:
    models = [BIG, student(weight=0.7, features=3), THIRD]
    rounds = [{}, {"models": ["third"], "train": {"distill": {"teacher": "ensemble"}}}]
    settings = slices.report(parse({**BASE, "models": models, "rounds": rounds}))["settings"]
    found: Any = page.blocks(SimpleNamespace(settings=settings, grid=grid_of(settings)))  # type: ignore[arg-type]
    assert found[1].rows == [
        ["small", "0", "big of round 0", "0.7", "3"],
        ["third", "1", "big of round 0, small of round 0 and third of round 0", "0.5", "–"],
    ]


def test_a_state_of_another_teacher_is_left_aside() -> None:
    """Its predictions are among what a saved state was made from."""
    from goldfold.stages import train
    from goldfold.training.setup import Job

    network, folder = torch.nn.Linear(1, 1), Path(__file__)
    arguments: dict[str, Any] = {
        "model": {"train": {}, "pretrained": False}, "runtime": RUNTIME, "pseudo": None, "fold_file": str(folder),
        "classes": str(folder), "caches": [],
        **dict.fromkeys(("task", "metric", "reported", "resize", "channels", "place", "pseudo_weight", "scale_16bit"), 0),
    }  # fmt: skip
    accelerator: Any = SimpleNamespace(device=torch.device("cpu"), mixed_precision="no")
    setup: Any = SimpleNamespace(accelerator=accelerator, network=network)
    made = [
        train._made_from(Job(**arguments, lessons=lessons), setup, False)["data"]
        for lessons in ([], [str(folder)], [str(folder.with_name("conftest.py"))])
    ]
    assert len({*made}) == 3
