"""Pseudo labels: soft and hard, by which rule images get one, and that no rule knows a validation label."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import softmax
from torch.nn import functional

import made_run
from conftest import PLACE, Tiny
from goldfold import signatures, tasks
from goldfold.base.errors import ConfigError, DataError
from goldfold.cases import Inputs
from goldfold.config import parse, slices
from goldfold.config.dependencies import recipe
from goldfold.losses import classification, distillation
from goldfold.planning.grid import grid_of
from goldfold.planning.plan import Job, Plan, job_of, plan_of
from goldfold.planning.runs import Run
from goldfold.predictions.arrays import save
from goldfold.predictions.selection import Selection, moved
from goldfold.report import pseudo_labels as tables
from goldfold.report.rounds import selection
from goldfold.stages import pseudo_label
from goldfold.targets import soft_labels
from goldfold.tasks import facts as facts_of
from goldfold.training.samples import rows_of
from test_cleaning import CLASSES as CATS
from test_cleaning import LABELS, make_folds, with_flipped, write_manifest, write_predictions, write_run
from test_reruns import scheduled_jobs
from test_rounds import B0, B3, BASE, changed, recipes
from test_workflow import jobs_of, snakemake, write_images
from whole_task import whole

ABC = ["a", "b", "c"]
ACCURACY: dict[str, Any] = {"adapt": {"by": "accuracy", "folds": 2}}


# --- soft labels


def test_soft_labels_are_sharpened_and_small_ones_dropped() -> None:
    values = np.array([[0.5, 0.3, 0.2], [0.34, 0.33, 0.33], [1.0, 0.0, 0.0]])
    assert np.allclose(soft_labels.sharpened(values, 1, 0), values)
    assert np.allclose(soft_labels.sharpened(values, 2, 0)[0], np.array([25, 9, 4]) / 38)
    assert np.allclose(soft_labels.sharpened(values, 2, 0.2)[0], np.array([25, 9, 0]) / 34), "4 / 38 is below the floor"
    assert np.allclose(soft_labels.sharpened(values, 1, 0.9)[1], [1, 0, 0]), "the largest one stays"
    assert np.isfinite(soft_labels.sharpened(np.array([[1e-200, 1e-201]]), 5, 0)).all()


@given(st.lists(st.floats(0.01, 1), min_size=2, max_size=5), st.floats(0.2, 5), st.floats(0, 0.9))
def test_a_soft_label_survives_its_file_and_keeps_its_class(values: list[float], power: float, floor: float) -> None:
    row, classes = np.array(values) / sum(values), [f"class {k}" for k in range(len(values))]
    made = soft_labels.sharpened(row[None], power, floor)[0]
    back = soft_labels.from_text(soft_labels.to_text(made, classes), classes)
    assert np.allclose(back, made, atol=1e-6)
    assert np.isclose(made.sum(), 1)
    assert made.argmax() == row.argmax()
    assert ((made == 0) | (made >= min(floor, made.max()) - 1e-9)).all()


@pytest.mark.parametrize("text", ["cat", "[0.5]", '{"cow": 1}', '{"a": "x"}'])
def test_a_text_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="are no probabilities of the classes; write"):
        soft_labels.from_text(text, ABC)


# --- the rules


def images(*rows: tuple[str, str, float]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["id", "label", "confidence"])


def chosen(table: pd.DataFrame, accuracy: dict[str, float] | None = None, **how: Any) -> list[str]:
    rule = Selection(**{"threshold": 0.0, **how})
    thresholds = rule.thresholds(table, ABC, accuracy or {})
    return list(rule.chosen(table[table["confidence"] >= rule.lowest], table, thresholds)["id"])


def test_each_class_has_its_own_threshold() -> None:
    table = images(("0", "a", 0.9), ("1", "a", 0.7), ("2", "b", 0.7), ("3", "b", 0.5), ("4", "c", 0.8))
    assert chosen(table, threshold=0.8) == ["0", "4"]
    assert chosen(table, threshold=0.8, class_thresholds={"b": 0.7}) == ["0", "2", "4"]
    assert chosen(table, threshold=0.5, class_thresholds={"a": 0.8}) == ["0", "2", "3", "4"]


def test_the_most_confident_of_a_class_are_taken_and_ties_go_to_the_first_id() -> None:
    table = images(("d", "a", 0.9), ("b", "a", 0.9), ("c", "a", 0.9), ("e", "b", 0.6), ("f", "a", 0.95))
    assert chosen(table, top_k=2) == ["b", "e", "f"], "in the order of the table"
    assert chosen(table, top_k=1) == ["e", "f"]
    assert chosen(table.iloc[::-1].reset_index(drop=True), top_k=2) == ["f", "e", "b"]
    assert chosen(table, top_k=0.5) == ["b", "e", "f"], "half of the four images predicted as a"
    assert chosen(table, top_k=0.5, threshold=0.95) == ["f"], "of those above the threshold"
    assert chosen(table.drop(columns="label"), top_k=2) == ["b", "f"], "images without a class are one set"


@given(
    st.lists(st.tuples(st.sampled_from(ABC), st.integers(0, 10)), max_size=30),
    st.integers(1, 5) | st.floats(0.05, 0.95),
    st.floats(0, 1),
)
def test_no_class_has_more_than_its_share_and_none_that_is_left_out_is_more_confident(
    rows: list[tuple[str, int]], top_k: float, threshold: float
) -> None:
    table = images(*((f"{place:02d}", label, number / 10) for place, (label, number) in enumerate(rows)))
    ids = set(chosen(table, top_k=top_k, threshold=threshold, class_thresholds={"b": 0.5}))
    for name, own in table.groupby("label"):
        most = top_k if top_k >= 1 else int(np.ceil(round(top_k * len(own), 6)))
        sure = own[own["confidence"] >= (0.5 if name == "b" else threshold)]
        taken, left = sure[sure["id"].isin(ids)], sure[~sure["id"].isin(ids)]
        assert len(taken) == min(len(sure), most)
        order = sorted(zip(-sure["confidence"], sure["id"], strict=True))
        assert {id for _, id in order[: len(taken)]} == set(taken["id"]), left


def test_thresholds_follow_the_number_of_confident_predictions_of_a_class() -> None:
    sure = [(f"a{k}", "a", 0.95) for k in range(4)] + [(f"b{k}", "b", 0.95) for k in range(2)]
    table = images(*sure, ("b8", "b", 0.4), ("b9", "b", 0.2), ("c0", "c", 0.31), ("c1", "c", 0.25))
    rule = Selection(0.9, adapt={"by": "counts", "floor": 0.28})
    thresholds = rule.thresholds(table, ABC, {})
    assert thresholds == pytest.approx({"a": 0.9, "b": 0.9 * 0.5 / 1.5, "c": 0.28}), "half as many, and none"
    assert chosen(table, threshold=0.9, adapt=rule.adapt) == [*(id for id, *_ in sure), "b8", "c0"]
    nobody = images(("a0", "a", 0.5), ("b0", "b", 0.6))
    assert chosen(nobody, threshold=0.9, adapt=rule.adapt) == [], "without a confident prediction nothing is known"


def test_thresholds_follow_the_accuracy_of_a_class() -> None:
    known = {"a": 0.8, "b": 0.4, "c": 0.0}
    assert moved(dict.fromkeys(ABC, 0.9), known, 0.5) == pytest.approx({"a": 0.9, "b": 0.5, "c": 0.5})
    assert moved(dict.fromkeys(ABC, 0.9), known, 0.0)["b"] == pytest.approx(0.3)
    table = images(("0", "a", 0.85), ("1", "b", 0.55), ("2", "c", 0.45))
    assert chosen(table, known, threshold=0.9, adapt={"by": "accuracy", "floor": 0.5}) == ["1"]


# --- the stage


def predictions(folder: Path, values: np.ndarray, source: str = "unlabeled", fold: int = 0) -> str:
    path = folder / f"predict/net/round0/fold{fold}/seed0/{source}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    ids = np.array([f"{source[0]}{row}" for row in range(len(values))])
    made = {"ids": ids, "classes": np.array(ABC[: values.shape[1]]), "logits": np.log(values).astype(np.float32)}
    save(path, {**made, "fold": np.array(fold), "round": np.array(0), "seed": np.array(0)}.items())
    return str(path)


def label(folder: Path, files: dict[str, str], task: str = "classification", **how: Any) -> tuple[Any, pd.DataFrame]:
    """Run the stage; its facts and its table."""
    (folder / "classes.json").write_text(json.dumps(ABC))
    out = folder / "pseudo.csv"
    given = {"threshold": 0.0, "fold": 0, "weights": {}, "settings": {"method": "probability"}, "workers": 1, **how}
    found = pseudo_label.run(
        {source: [path] for source, path in files.items()},
        str(folder / "classes.json"),
        str(out),
        {"name": task},
        **given,
    )
    return found["pseudo_labels"], pd.read_csv(out, dtype=str, keep_default_na=False)


VALUES = np.array([[0.9, 0.06, 0.04], [0.6, 0.3, 0.1], [0.5, 0.3, 0.2]])


@pytest.mark.parametrize("task", ["classification", "multilabel"])
def test_the_most_confident_of_almost_certain_images_is_found(tmp_path: Path, task: str) -> None:
    margins = np.array([16.0, 16.5, 17.0, 16.2])
    path = tmp_path / "predict/net/round0/fold0/seed0/test.npz"
    path.parent.mkdir(parents=True)
    logits = np.stack([margins, -margins, -margins], axis=1).astype(np.float32)
    made = {"ids": np.array(list("abcd")), "classes": np.array(ABC), "logits": logits, "fold": np.array(0)}
    save(path, made.items())
    _, table = label(tmp_path, {"test": str(path)}, task, top_k=1, settings={})
    assert table["id"].tolist() == ["c"], "and not the first id"
    assert table["confidence"].tolist() == ["1.0"], "six digits"


def test_soft_labels_stand_beside_the_hard_one(tmp_path: Path) -> None:
    files = {"unlabeled": predictions(tmp_path, VALUES)}
    _, hard = label(tmp_path, files, threshold=0.55)
    made, soft = label(tmp_path, files, threshold=0.55, soft={"power": 2.0, "floor": 0.05})
    assert list(hard) == ["id", "label", "confidence", "source"]
    pd.testing.assert_frame_equal(soft.drop(columns="shares"), hard)
    assert json.loads(soft["shares"][0]) == {"a": 1.0}, "81 of 82"
    assert json.loads(soft["shares"][1]) == {"a": 0.8, "b": 0.2}
    assert made == {"images": {"unlabeled": 3}, "kept": {"unlabeled": 2}, "never_predicted": ["b", "c"]}


def test_the_most_confident_are_chosen_among_the_images_of_all_sources(tmp_path: Path) -> None:
    files = {"test": predictions(tmp_path, VALUES[:2], "test"), "unlabeled": predictions(tmp_path, VALUES)}
    made, table = label(tmp_path, files, top_k=2)
    assert list(table["id"]) == ["t0", "u0"]
    assert made["kept"] == {"test": 1, "unlabeled": 1}


def test_thresholds_of_classes_are_told_and_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.array([[0.9, 0.06, 0.04], [0.92, 0.04, 0.04], [0.05, 0.9, 0.05], [0.1, 0.6, 0.3]])
    files = {"unlabeled": predictions(tmp_path, values)}
    made, table = label(tmp_path, files, threshold=0.9, adapt={"by": "counts", "floor": 0.25})
    assert made["thresholds"] == {"a": 0.9, "b": 0.3, "c": 0.25}
    assert list(table["id"]) == ["u0", "u1", "u2", "u3"]
    said = capsys.readouterr().out
    assert "thresholds: a 0.900, b 0.300, c 0.250" in said
    assert "never predicted: c" in said
    assert "unlabeled: 4 of 4 images at their thresholds or more" in said


def test_a_threshold_that_nobody_passes_leaves_the_round_without_pseudo_labels(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"unlabeled": predictions(tmp_path, VALUES)}
    for how in ({}, {"soft": {"power": 1.0, "floor": 0.0}}, {"top_k": 3}, {"adapt": {"by": "counts", "floor": 0.95}}):
        made, table = label(tmp_path, files, threshold=0.99, **how)
        assert (len(table), made["kept"]) == (0, {"unlabeled": 0})
        assert "No image gets a pseudo label: the round is trained on the true labels alone." in capsys.readouterr().out
        train = pd.DataFrame({"id": ["x", "y"], "split": "train", "label": ["a", "b"]})
        rows = rows_of(train, str(tmp_path / "pseudo.csv"), 0.5)
        assert list(rows["id"]) == ["x", "y"]
        found = whole({"name": "classification"}, ABC).targets(rows)
        first = found[0]["label"]
        assert np.array_equal(first, [1, 0, 0] if "soft" in how else 0)


def test_soft_labels_of_several_classes_are_sharpened_class_by_class(tmp_path: Path) -> None:
    p = np.array([[0.9, 0.2, 0.5]])
    path = tmp_path / "predict/net/round0/fold0/seed0/unlabeled.npz"
    path.parent.mkdir(parents=True)
    entries = {"ids": np.array(["u"]), "classes": np.array(ABC), "logits": np.log(p / (1 - p)).astype(np.float32)}
    save(path, {**entries, "fold": np.array(0), "round": np.array(0), "seed": np.array(0)}.items())
    _, table = label(tmp_path, {"unlabeled": str(path)}, "multilabel", soft={"power": 2.0, "floor": 0.05})
    shares = json.loads(table["shares"][0])
    assert shares == pytest.approx({"a": 1, "b": 0.04 / 0.68, "c": 0.5}, abs=1e-5), "0.01 of no is below the floor"
    task = whole({"name": "multilabel"}, ABC)
    rows = rows_of(pd.DataFrame({"id": ["x"], "split": "train", "labels": ['["b"]']}), str(tmp_path / "pseudo.csv"), 1)
    targets = [row["labels"] for row in task.targets(rows)]
    assert np.allclose(targets, [[0, 1, 0], [1, 0.04 / 0.68, 0.5]], atol=1e-5)


@pytest.mark.parametrize(
    ("task", "how", "number"), [("multilabel", {}, 1), ("multilabel", {"top_k": 2}, 2), ("classification", {}, 2)]
)
def test_images_below_the_threshold_are_converted_only_for_rules_that_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, task: str, how: dict[str, Any], number: int
) -> None:
    """With one class per image they are read for the classes that are never predicted."""
    output, asked = tasks.output({"name": task}, ABC), []
    inner = output.pseudo_labels
    monkeypatch.setattr(
        type(output), "pseudo_labels", lambda self, *given, **more: asked.append(given[1]) or inner(*given, **more)
    )
    label(tmp_path, {"unlabeled": predictions(tmp_path, VALUES)}, task, threshold=0.55, **how)
    assert asked == [0.55, 0.0][:number]


# --- training


def test_soft_labels_are_targets_and_mix_like_labels(tmp_path: Path) -> None:
    _, _ = label(tmp_path, {"unlabeled": predictions(tmp_path, VALUES)}, soft={"power": 1.0, "floor": 0.0})
    train = pd.DataFrame({"id": ["x"], "split": "train", "label": ["c"]})
    task = whole({"name": "classification"}, ABC)
    targets = task.targets(rows_of(train, str(tmp_path / "pseudo.csv"), 0.5))
    rows = np.stack([target["label"] for target in targets])
    assert np.allclose(rows, [[0, 0, 1], *VALUES], atol=1e-6)
    assert rows.dtype == np.float32
    assert all(task.soft(target)["label"] is target["label"] for target in targets), "a row of shares already"
    still = {"weight": 1.0, "images": np.zeros((1, 2, 2, 3), np.uint8), "present": np.ones(1, bool)}
    batch = task.collate([{"id": str(place), **still, **target} for place, target in enumerate(targets)])
    logits = torch.tensor([[0.5, 0.0, -1.0]]).repeat(4, 1)
    loss = task.loss(loss="cross_entropy")(lambda inputs: logits, batch).total
    log_p = functional.log_softmax(logits, 1).numpy()
    assert float(loss) == pytest.approx(float(-(rows * log_p).sum(1).mean()), rel=1e-5)
    assert list(task.content(pd.read_csv(tmp_path / "pseudo.csv"))["a"]) == [1, 1, 1], (
        "classes are counted by the hard label"
    )
    assert isinstance(batch.inputs, Inputs)


def test_a_network_learns_the_probabilities_of_its_soft_labels(tiny: Tiny, tmp_path: Path) -> None:
    """Every test image is labelled 0.7 to 0.3, and so many that the labelled ones hardly count."""
    ids = pd.read_csv(tiny.folds / "test.csv", dtype=str)["id"]
    text = soft_labels.to_text(np.array([0.7, 0.3]), tiny.classes)
    pseudo = pd.DataFrame({"id": ids, "label": tiny.classes[0], "confidence": 0.7, "shares": text, "source": "test"})
    pseudo.to_csv(tmp_path / "pseudo.csv", index=False)
    table = pd.read_csv(tiny.fold_file(), dtype=str)
    few = table[(table["split"] == "val") | (table.index == table.index[table["split"] == "train"][0])]
    few.to_csv(tmp_path / "fold0.csv", index=False)
    model = tiny.model({"epochs": 30, "lr": 0.02, "warmup_epochs": 0, "mixup_alpha": 0.4, "ema_decay": None})
    common = {"fold_file": str(tmp_path / "fold0.csv"), "caches": tiny.caches("train", "test"), "model": model}
    tiny.train(tmp_path / "net", pseudo=str(tmp_path / "pseudo.csv"), place={**PLACE, "round": 1}, **common)
    out = tmp_path / "predict/net/round1/fold0/seed0"
    tiny.predict(out, tmp_path / "net/model.safetensors", "test", place={**PLACE, "round": 1}, **common)
    with np.load(out / "test.npz") as found:
        assert softmax(found["logits"], axis=1)[:, 0].mean() == pytest.approx(0.7, abs=0.1)


def test_distillation_is_a_true_label_mixed_with_a_soft_one() -> None:
    """(1 - w) x loss of the label + w x loss against a teacher of temperature 1 has the gradient of the mixed label."""
    logits = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    teacher = torch.softmax(torch.randn(6, 3, generator=torch.Generator().manual_seed(1)), 1)
    hot, criterion, weight = torch.eye(3)[[0, 1, 2, 0, 1, 2]], distillation.Classes(1.0), 0.3
    rows = torch.from_numpy(criterion.rows(teacher.double().numpy()))
    losses = (1 - weight) * classification.cross_entropy(logits, hot) + weight * criterion(logits, rows)
    (distilled,) = torch.autograd.grad(losses.sum(), logits)
    mixed = classification.cross_entropy(logits, (1 - weight) * hot + weight * teacher)
    assert torch.allclose(distilled, torch.autograd.grad(mixed.sum(), logits)[0], atol=1e-6)


# --- no leaks


ACCURATE: dict[str, Any] = {"threshold": 0.9, "adapt": {"by": "accuracy", "floor": 0.5}}


@pytest.mark.parametrize(("rows_of_part", "reaches"), [("val", False), ("train", True)])
def test_labels_of_validation_rows_reach_no_threshold_that_accuracy_moves(
    tmp_path: Path, rows_of_part: str, reaches: bool
) -> None:
    """All labels of fold 0's validation rows change: the lists of its judges and its pseudo labels keep every byte."""
    made: list[dict[str, bytes]] = []
    validated = [number // 4 % 3 == 0 for number in range(48)]
    planted = [k for k in range(48) if validated[k]] if rows_of_part == "val" else [5, 9, 17, 19]
    teacher = np.stack([p := np.linspace(0.02, 0.98, 30), 1 - p], axis=1)
    for name, labels in (("true", with_flipped(LABELS, [4])), ("planted", with_flipped(LABELS, [4, *planted]))):
        folder = tmp_path / name
        folder.mkdir()
        write_manifest(folder / "manifest", label=labels, fold=[number // 4 % 3 for number in range(48)])
        make_folds(folder, [2])
        judges = write_predictions(folder, 0, 2)
        lists = [str(folder / f"folds/inner/fold0-{part}.csv") for part in ("0of2", "1of2")]
        path = folder / "predict/net/round0/fold0/seed0/unlabeled.npz"
        path.parent.mkdir(parents=True)
        entries = {
            "ids": np.array([f"u{k:02d}" for k in range(30)]),
            "classes": np.array(CATS),
            "logits": np.log(teacher),
        }
        save(path, {**entries, "fold": np.array(0), "round": np.array(0), "seed": np.array(0)}.items())
        out = folder / "pseudo.csv"
        pseudo_label.run(
            {"unlabeled": [str(path)]}, str(folder / "folds/classes.json"), str(out), {"name": "classification"}, fold=0,
            weights={}, settings={"method": "probability"}, workers=1, judges=judges, lists=lists, **ACCURATE,
        )  # fmt: skip
        made.append(
            {"pseudo": out.read_bytes(), **{str(place): Path(one).read_bytes() for place, one in enumerate(lists)}}
        )
    assert len(made[0]["pseudo"].splitlines()) > 5
    assert (made[0] != made[1]) is reaches
    assert (made[0]["pseudo"] != made[1]["pseudo"]) is reaches


def test_thresholds_are_moved_by_inner_trainings_of_the_own_fold_alone(tmp_path: Path) -> None:
    found = plan([{}, {"teacher": ACCURACY}])
    job = Job("pseudo_label", round=1, fold=1)
    judges = [judge for judge in found.above(job) if judge.part]
    assert [judge.name for judge in judges] == [
        f"inner_predict {name}/round0/fold1/part{part}of2/seed0" for name in ("b0", "b3") for part in (0, 1)
    ]
    assert [len(found.jobs(stage)) for stage in ("inner_train", "inner_predict", "clean")] == [8, 8, 0]
    assert "clean" not in found.stages()
    assert not [judge for judge in plan([{}, {"teacher": {"adapt": {"by": "counts"}}}]).above(job) if judge.part]
    config = parse({**BASE, "rounds": [{}, {"teacher": ACCURACY}]})
    assert grid_of({**slices.report(config)["settings"]}) == config.grid
    shared = plan([{}, {"teacher": ACCURACY, "clean": {"folds": 2}}])
    assert len(shared.jobs("inner_train")) == 8, "one set of judges for both"
    others = write_folder(tmp_path)
    with pytest.raises(
        DataError, match="holds predictions of fold 1; the training rows of fold 0 must be judged by inner"
    ):
        pseudo_label.run(judges=others, lists=[], **stage_of(tmp_path))


def write_folder(folder: Path) -> list[str]:
    write_manifest(folder / "manifest", label=LABELS, fold=[number // 4 % 3 for number in range(48)])
    make_folds(folder, [2])
    return write_predictions(folder, 1, 2)


def stage_of(folder: Path) -> dict[str, Any]:
    values = np.array([[0.9, 0.1], [0.2, 0.8]])
    path = folder / "predict/net/round0/fold0/seed0/unlabeled.npz"
    path.parent.mkdir(parents=True)
    entries = {"ids": np.array(["u0", "u1"]), "classes": np.array(CATS), "logits": np.log(values).astype(np.float32)}
    save(path, {**entries, "fold": np.array(0), "round": np.array(0), "seed": np.array(0)}.items())
    return {
        "predictions": {"unlabeled": [str(path)]}, "classes": str(folder / "folds/classes.json"), "out": str(folder / "p.csv"),
        "task": {"name": "classification"}, "fold": 0, "weights": {}, "settings": {"method": "probability"}, "workers": 1,
        **ACCURATE,
    }  # fmt: skip


# --- the config


def plan(rounds: list[dict[str, Any]], **changes: Any) -> Plan:
    return plan_of(parse({**BASE, "rounds": rounds, **changes}))


def test_a_decaying_threshold_is_a_number_in_each_round() -> None:
    decay = {"threshold": {"start": 0.9, "factor": 0.9, "floor": 0.75}}
    rounds: list[dict[str, Any]] = [{}, {"teacher": decay}, {}, {"teacher": decay}, {"teacher": decay}]
    config = parse({**BASE, "rounds": rounds})
    made = [recipe(config, Job("pseudo_label", round=number, fold=0))["settings"] for number in (1, 3, 4)]
    assert [one["threshold"] for one in made] == [0.9, 0.81, 0.75]
    fixed = [
        {},
        {"teacher": {"threshold": 0.9}},
        {},
        {"teacher": {"threshold": 0.81}},
        {"teacher": {"threshold": 0.75}},
    ]
    assert changed(recipes(rounds=rounds), rounds=fixed) == []


def test_recipes_without_the_new_keys_are_as_they_were_and_those_with_them_name_them() -> None:
    config = parse({**BASE, "pseudo_labels": {"rounds": 1}})
    plain = recipe(config, Job("pseudo_label", round=1, fold=0))
    assert set(plain["settings"]) == {"task", "threshold", "weights", "settings"}
    assert set(plain["data"]) == {"models", "seeds", "sources"}
    assert set(slices.report(config)["settings"]["pseudo_labels"]) == {"rounds", "threshold", "sources", "weight"}
    before = recipes(rounds=[{}, {"teacher": {}}])
    for how in ({"labels": "soft"}, {"class_thresholds": {"dark": 0.5}}, {"adapt": {}}, {"top_k": 3}):
        assert changed(before, rounds=[{}, {"teacher": how}]) == ["pseudo_label round1", "report"]
        short = {"pseudo_labels": {"rounds": 1, **how}}
        assert changed(recipes(rounds=[{}, {"teacher": how}]), **short) == ["report"]
    assert changed(before, rounds=[{}, {"teacher": ACCURACY}]) == ["folds", "pseudo_label round1", "report"]
    assert recipe(parse({**BASE, "rounds": [{}, {"teacher": ACCURACY}]}), Job("pseudo_label", round=1, fold=0))["data"][
        "judging"
    ] == {"by": "accuracy", "folds": 2, "models": ["b0", "b3"], "round": 0}


NAMED = {**BASE["data"], "classes": ["dark", "light"]}
WRONG: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    ({"labels": {"soft": {"powr": 2}}}, {}, r"teacher\.labels\.soft\.powr: unknown key; nearest is 'power'; allowed:"),
    ({"labels": {"soft": {"power": 0}}}, {}, r"teacher\.labels\.soft\.power = 0: must be greater than 0"),
    ({"threshold": {"factor": 0.9}}, {}, r"teacher\.threshold\.start: missing; it is required"),
    ({"threshold": {"start": 0.9, "factor": 1.5}}, {}, r"teacher\.threshold\.factor = 1.5: must be less than 1"),
    ({"threshold": {"start": 0.5, "floor": 0.9}}, {}, r"teacher\.threshold: floor = 0.9 is above start = 0.5, so the threshold"),
    ({"threshold": 1.5}, {}, r"teacher\.threshold = 1.5: must be at most 1"),
    ({"top_k": 0}, {}, r"teacher\.top_k = 0: write a number of images, such as 50, or a share of them between 0 and 1"),
    ({"adapt": {"by": "oof"}}, {}, r"teacher\.adapt: by = 'oof': allowed: 'counts', 'accuracy'"),
    ({"adapt": {}, "threshold": 0.4}, {}, r"teacher\.adapt\.floor = 0.5: is above threshold = 0.4, so nothing could be moved"),
    ({"adapt": {}, "class_thresholds": {"dark": 0.3}}, {}, r"teacher\.adapt\.floor = 0.5: is above class_thresholds\.dark = 0.3"),
    ({"adapt": {"by": "accuracy", "round": 1}}, {}, r"teacher\.adapt\.round = 1: the judges must be of an earlier round, here"),
    ({"adapt": {"by": "accuracy", "models": ["b9"]}}, {}, r"teacher\.adapt\.models: no model is named 'b9'; nearest is 'b"),
    ({"class_thresholds": {"drak": 0.3}}, {"data": NAMED}, r"teacher\.class_thresholds: 'drak' is not a class; nearest is"),
    ({"labels": "soft"}, {"task": "regression"}, r"teacher\.labels: soft: task 'regression' has no soft labels; remove it"),
    ({"top_k": 2}, {"task": "detection"}, r"teacher\.top_k: task 'detection' chooses parts of images, not whole ones; set thr"),
    ({"adapt": {}}, {"task": "multilabel"}, r"teacher\.adapt: task 'multilabel' has not one class per image; remove it"),
    ({"class_thresholds": {"a": 1}}, {"task": "regression"}, r"teacher\.class_thresholds: task 'regression' has not one class"),
]  # fmt: skip


@pytest.mark.parametrize(("teacher", "changes", "said"), WRONG, ids=[text[9:50] for *_, text in WRONG])
def test_pseudo_labels_that_cannot_be_are_refused_before_any_job(
    teacher: dict[str, Any], changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=rf"rounds\[1\]\.{said}"):
        parse({**BASE, "rounds": [{}, {"teacher": teacher}], **changes})


def test_a_loss_that_takes_hard_targets_is_refused_with_soft_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hard_loss.py").write_text("def margin(logits, hard_target):\n    return logits[:, 0]\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    for function in (signatures.read, signatures._file, signatures._tree):
        function.cache_clear()
    models = [{**B0, "train": {"loss": "hard_loss:margin"}}, B3]
    soft = {"models": models, "rounds": [{}, {"teacher": {"labels": "soft"}}]}
    said = r"rounds\[1\]\.teacher\.labels: soft: models \(b0\) has the loss margin, which takes hard targets; set"
    with pytest.raises(ConfigError, match=said):
        parse({**BASE, **soft})
    parse({**BASE, **soft, "rounds": [{}, {"models": ["b3"], "teacher": {"labels": "soft"}}]})


def test_accuracy_moves_thresholds_of_a_list_of_rounds_alone() -> None:
    with pytest.raises(ConfigError, match=r"pseudo_labels\.adapt\.by = 'accuracy': allowed: 'counts'"):
        parse({**BASE, "pseudo_labels": {"rounds": 1, "adapt": {"by": "accuracy"}}})


# --- the report


def results_with(folder: Path, tables: dict[tuple[int, int], pd.DataFrame], facts: dict[str, Any]) -> Any:
    """A finished run of two folds as far as the tables of pseudo labels look at it."""
    for fold, own in facts.items():
        path = folder / f"pseudo/round1/{fold}.run.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"pseudo_labels": own}))
    ids = [f"t{number}" for number in range(10)]
    answers = pd.DataFrame({"id": ids, "label": ["a"] * 5 + ["b"] * 5})
    train = pd.DataFrame({"id": ["x", "y", "z", "v"], "label": ["a", "b", "b", "b"]})
    return SimpleNamespace(
        root=folder, pseudo=tables, taught=[1], row="image", unit="images", classes=ABC, answers=answers,
        tables={"train": train, "test": answers[["id"]]}, facts=facts_of("classification"),
        target=whole({"name": "classification"}, ABC), grid=SimpleNamespace(labels=plan([{}, {"teacher": {}}]).labels.values),
    )  # fmt: skip


def test_the_report_has_number_confidence_accuracy_and_thresholds(tmp_path: Path) -> None:
    first = pd.DataFrame(
        {
            "id": ["t0", "t1", "t5", "t6"],
            "label": ["a", "a", "b", "a"],
            "confidence": [0.9, 0.8, 0.9, 0.6],
            "source": "test",
        }
    )
    facts = {"fold0": {"thresholds": {"a": 0.6, "b": 0.5, "c": 0.5}, "never_predicted": ["c"]}}
    facts["fold1"] = {"thresholds": {"a": 0.7, "b": 0.5, "c": 0.5}, "never_predicted": []}
    run = results_with(tmp_path, {(1, 0): first, (1, 1): first.head(0)}, facts)
    run.tables["unlabeled"] = pd.DataFrame({"id": ["u0"]})
    made = tables.blocks(run)
    assert "got a pseudo label, of 10 test images." in made[0].text, "no round uses the unlabeled ones"
    numbers, words, classes = made[1], made[2], made[-1]
    assert numbers.columns == ["round, fold, images", "labelled", "share", "mean confidence", "accuracy"]
    assert [cell if isinstance(cell, str) else cell.text for cell in numbers.rows[0]] == [
        "round 1 fold 0 test", "4", "40.0 %", "0.8000", "0.7500",
    ]  # fmt: skip
    assert "no image got a pseudo label in fold 1; it was trained on the true labels alone there" in words.text
    assert "the teacher never predicts “c” (fold 0), so the class has no pseudo labels" in words.text
    assert classes.columns[4:] == ["mean confidence", "accuracy", "threshold, by fold"]
    assert classes.rows[0][-3:] == ["0.7667", "0.6667", "0.6000 to 0.7000"]
    assert classes.rows[2][-3:] == ["–", "–", "0.5000"]


def test_the_report_names_the_selection_of_each_round() -> None:
    teacher = {"threshold": {"start": 0.9, "factor": 0.5, "floor": 0.2}, "class_thresholds": {"a": 0.3, "b": 0.4}}
    assert selection(
        {**teacher, "adapt": {"by": "counts", "floor": 0.1}, "top_k": 0.25, "labels": "soft"}, "label"
    ) == (
        "0.9, times 0.5 per round down to 0.2, 0.3 for a and 0.4 for b, moved per class by counts down to 0.1, the 25% most "
        "confident per class, soft labels"
    )
    assert selection({"threshold": 0.95, "top_k": 3}, "labels") == "0.95, the 3 most confident"


# --- through Snakemake


def test_snakemake_plans_what_the_plan_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made_run.write_images(tmp_path)
    teacher = {"labels": "soft", "top_k": 5, **ACCURACY}
    (tmp_path / made_run.CONFIG).write_text(
        json.dumps({**BASE, "models": [B0, B3], "rounds": [{}, {"teacher": teacher}]})
    )
    made_run.enter(tmp_path)
    made_run.make_folds()
    found = made_run.session().plan
    planned = scheduled_jobs(tmp_path, Path(__file__).parents[1])
    entry = next(entry for entry in planned if entry["name"] == "pseudo_label round1/fold1")
    job = Job("pseudo_label", round=1, fold=1)
    assert set(entry["inputs"]) - {entry["recipe"]} == set(made_run.inputs_of(found, job))
    assert sum("inner" in path for path in entry["inputs"]) == 4 + 2
    assert not [path for path in entry["inputs"] if path.endswith("folds/fold1.csv")], "it has the validation labels"
    assert job_of("train", Run("b0", 1, 1, 0)).name in {one["name"] for one in planned}


@pytest.mark.workflow
def test_soft_labels_by_accuracy_are_made_and_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    teacher = {"labels": "soft", "threshold": 0.5, "adapt": {"by": "accuracy", "folds": 2, "floor": 0.1}}
    train = {**BASE["train"], "epochs": 4, "lr": 0.01}
    found = write_run(tmp_path, write_images, models=[B0], train=train, rounds=[{}, {"teacher": teacher}])
    target = found.record(job_of("train", Run("b0", 1, 0, 0)))
    result = snakemake(tmp_path, target)
    assert result.returncode == 0, result.stdout + result.stderr
    label = Job("pseudo_label", round=1, fold=0)
    table = pd.read_csv(found.outputs(label)[0], dtype=str)
    made = json.loads(Path(found.record(label)).read_text())
    assert {*table} == {"id", "label", "confidence", "source", "shares"}
    assert made["pseudo_labels"]["kept"] == {"test": len(table)}
    assert made["pseudo_labels"]["thresholds"].keys() == {"dark", "light"}
    assert {path for path in made["inputs"] if "inner" in path} == {
        path for path in made_run.inputs_of(found, label) if "inner" in path
    }
    assert json.loads(Path(target).read_text())["n_pseudo"] == len(table) > 0
    assert jobs_of(snakemake(tmp_path, "-n", target)) == {}
