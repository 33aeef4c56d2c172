"""Steps after prediction: what they are fitted to, on which images, and where that shows."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import picture, save_picture
from goldfold import catalog
from goldfold.base.errors import ConfigError, DataError
from goldfold.bundles import form
from goldfold.config import chosen, parse, slices, with_classes
from goldfold.config.dependencies import code, recipe
from goldfold.ensembling.averaging import FittedAverage
from goldfold.ensembling.columns import Scorer
from goldfold.ensembling.nested import Nested, applied, nested
from goldfold.ensembling.steps import average, build, weights_of
from goldfold.ensembling.thresholds import Thresholds
from goldfold.metrics.segmentation import LEVELS
from goldfold.planning.plan import Job
from goldfold.predictions.arrays import Arrays, OneByOne, picked, with_thresholds
from goldfold.stages import manifest
from goldfold.submission.form import Form
from goldfold.targets.label_sets import indicators, to_text
from goldfold.tasks.detection.boxes import arrays
from test_config import OF_TASK
from whole_task import whole

TWO = whole({"name": "classification"}, ["no", "yes"])
SEVERAL = whole({"name": "multilabel"}, ["a", "b", "c"])
N_FOLDS = 4


def ids_of(n: int) -> list[str]:
    return [f"i{number:03d}" for number in range(n)]


def labelled(values: np.ndarray, classes: Sequence[str]) -> Arrays:
    """Fused predictions, probabilities (n, classes)."""
    return {
        "ids": np.array(ids_of(len(values))),
        "classes": np.array(classes),
        "probabilities": np.asarray(values, float),
    }


def of_yes(p: Sequence[float] | np.ndarray) -> Arrays:
    return labelled(np.stack([1 - np.asarray(p), np.asarray(p)], axis=1), TWO.classes)


def truth_of(labels: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({"id": ids_of(len(labels)), "label": list(labels)})


def folds_of(n: int) -> np.ndarray:
    return np.arange(n) % N_FOLDS


def run(
    steps: Sequence[Any], members: Mapping[str, Arrays], truth: pd.DataFrame, metric: str, task: Any = TWO
) -> Nested:
    return nested(build(task, steps, 1), members, truth, folds_of(len(truth)), task.metric(metric), picked)


def value(task: Any, predictions: Arrays, truth: pd.DataFrame, metric: str) -> float:
    return float(task.metric(metric).value(task.evidence(predictions, truth), np.arange(len(truth))))


# --- what is reported


def noise(seed: int, n: int = 40) -> tuple[Arrays, pd.DataFrame]:
    """Probabilities and labels that know nothing of each other."""
    generator = np.random.default_rng(seed)
    return of_yes(generator.uniform(size=n)), truth_of(np.array(TWO.classes)[generator.integers(2, size=n)].tolist())


def test_thresholds_of_noise_are_at_chance_nested_and_above_it_where_they_saw_the_images() -> None:
    honest, flattered = [], []
    for seed in range(40):
        predictions, truth = noise(seed)
        made = run(["average", "thresholds"], {"a": predictions}, truth, "accuracy")
        honest.append(value(TWO, made.predictions, truth, "accuracy"))
        flattered.append(value(TWO, made.optimistic, truth, "accuracy"))
    error = np.std(honest, ddof=1) / np.sqrt(len(honest))
    assert abs(np.mean(honest) - 0.5) < 3 * error < 0.06
    assert np.mean(flattered) > 0.58


def test_fitted_weights_of_noise_are_at_chance_nested_and_above_it_where_they_saw_the_images() -> None:
    honest, flattered = [], []
    for seed in range(8):
        members = {f"m{number}": noise(100 * seed + number + 1)[0] for number in range(4)}
        truth = noise(seed)[1]
        made = run(["fitted_average"], members, truth, "roc_auc")
        honest.append(value(TWO, made.predictions, truth, "accuracy"))
        flattered.append(value(TWO, made.optimistic, truth, "roc_auc"))
    assert abs(np.mean(honest) - 0.5) < 3 * np.std(honest, ddof=1) / np.sqrt(len(honest))
    assert np.mean(flattered) > 0.58


def test_no_image_is_decided_by_a_threshold_that_saw_its_fold() -> None:
    predictions, truth = noise(3)
    made, folds = run(["average", "thresholds"], {"a": predictions}, truth, "accuracy"), folds_of(len(truth))
    for fold in range(N_FOLDS):
        others = truth[folds != fold].reset_index(drop=True)
        alone = Thresholds(TWO, 1).fit({"a": predictions}, others, folds[folds != fold], TWO.metric("accuracy"))
        used = made.predictions["thresholds"][folds == fold]
        assert made.without[fold] == [None, alone]
        assert np.all(used == alone["thresholds"]["yes"])
    assert len({fitted[1]["thresholds"]["yes"] for fitted in made.without.values()}) > 1
    assert np.array_equal(made.predictions["ids"], truth["id"])
    assert np.array_equal(made.predictions["probabilities"], predictions["probabilities"])


def test_labels_of_a_fold_change_nothing_of_its_own_predictions() -> None:
    predictions, truth = noise(5)
    other = truth.assign(label=[{"no": "yes", "yes": "no"}[label] for label in truth["label"]])
    folds = folds_of(len(truth))
    mixed = truth.where(pd.Series(folds != 0), other)
    before, after = (run(["average", "thresholds"], {"a": predictions}, table, "accuracy") for table in (truth, mixed))
    thresholds = [made.predictions["thresholds"] for made in (before, after)]
    assert np.array_equal(thresholds[0][folds == 0], thresholds[1][folds == 0])
    assert not np.array_equal(thresholds[0], thresholds[1])


def test_what_has_nothing_to_fit_is_applied_once_to_all_images() -> None:
    """A rank average of one fold alone would give other values."""
    members = {name: noise(number)[0] for number, name in enumerate("ab")}
    truth, given = noise(0)[1], average({"method": "rank"}, {"a": 2.0, "b": 1.0})
    made = run([given], members, truth, "accuracy")
    fused = TWO.fuse(list(members.values()), [2 / 3, 1 / 3], method="rank")
    assert np.array_equal(made.predictions["probabilities"], fused["probabilities"])
    assert (made.optimistic, made.fitted, made.without) == (None, [None], {})
    thresholded = run([given, "thresholds"], members, truth, "accuracy")
    assert np.array_equal(thresholded.predictions["probabilities"], fused["probabilities"])


def test_what_cannot_be_fitted_without_a_fold_is_refused() -> None:
    predictions, truth = noise(0)
    steps = build(TWO, ["average", "thresholds"], 1)
    with pytest.raises(DataError, match="all validated images are in one"):
        nested(steps, {"a": predictions}, truth, np.zeros(len(truth), int), TWO.metric("accuracy"), picked)


# --- what is fitted


def test_a_threshold_is_found_where_half_finds_nothing() -> None:
    truth = truth_of(["no"] * 8 + ["yes"] * 4)
    predictions = of_yes([*np.linspace(0.01, 0.1, 8), 0.2, 0.25, 0.3, 0.4])
    fitted = Thresholds(TWO, 1).fit({"a": predictions}, truth, folds_of(12), TWO.metric("f1_macro"))
    assert fitted["thresholds"]["yes"] == pytest.approx(0.15)
    (made,) = Thresholds(TWO, 1).apply({"a": predictions}, json.loads(json.dumps(fitted))).values()
    assert value(TWO, predictions, truth, "f1_macro") == pytest.approx(0.4)
    assert value(TWO, made, truth, "f1_macro") == 1
    assert value(TWO, made, truth, "log_loss") == value(TWO, predictions, truth, "log_loss")


def test_each_class_has_its_own_threshold_or_all_have_one() -> None:
    truth = pd.DataFrame(
        {"id": ids_of(6), "labels": [to_text(labels) for labels in (["a"], ["a"], ["a", "b"], ["b"], ["c"], [])]}
    )
    said = indicators(truth["labels"], SEVERAL.classes).astype(float)
    predictions = labelled(said * [0.1, 0.6, 0.2] + 0.05, SEVERAL.classes)
    metric, members = SEVERAL.metric("f1_micro"), {"a": predictions}
    own = Thresholds(SEVERAL, 1).fit(members, truth, folds_of(6), metric)["thresholds"]
    assert own == pytest.approx({"a": 0.1, "b": 0.5, "c": 0.15})
    one = Thresholds(SEVERAL, 1, per_class=False).fit(members, truth, folds_of(6), metric)["thresholds"]
    assert one == pytest.approx(dict.fromkeys("abc", 0.1))
    other = Thresholds(SEVERAL, 1, metric="f1_macro").fit(members, truth, folds_of(6), SEVERAL.metric("roc_auc"))
    assert other["thresholds"] == pytest.approx(own)


def test_classes_that_are_scored_for_themselves_get_the_thresholds_of_a_search_over_all() -> None:
    generator = np.random.default_rng(0)
    said = generator.uniform(size=(40, 3)) < [0.1, 0.3, 0.6]
    truth = pd.DataFrame({"id": ids_of(40), "labels": [to_text([*np.array(SEVERAL.classes)[row]]) for row in said]})
    predictions = labelled(np.clip(said * 0.2 + generator.uniform(0, 0.5, said.shape), 0, 1), SEVERAL.classes)
    macro, fit = SEVERAL.metric("f1_macro"), Thresholds(SEVERAL, 1).fit
    alone = fit({"a": predictions}, truth, folds_of(40), macro)
    together = fit({"a": predictions}, truth, folds_of(40), replace(macro, is_mean_over_classes=False))
    assert alone == together
    assert len(set(alone["thresholds"].values()) - {0.5}) >= 2


def test_a_class_that_cannot_be_scored_keeps_the_neutral_threshold() -> None:
    truth = pd.DataFrame({"id": ids_of(4), "labels": [to_text([])] * 4})
    predictions = labelled(np.full((4, 3), 0.1) + np.arange(4)[:, None] / 100, SEVERAL.classes)
    fitted = Thresholds(SEVERAL, 1).fit({"a": predictions}, truth, folds_of(4), SEVERAL.metric("f1_macro"))
    assert fitted["thresholds"] == dict.fromkeys("abc", 0.5)


def test_weights_go_to_the_member_that_knows() -> None:
    generator = np.random.default_rng(0)
    truth = truth_of(np.array(TWO.classes)[np.arange(60) % 2].tolist())
    right = np.clip((np.arange(60) % 2) * 0.4 + 0.3 + generator.normal(0, 0.15, 60), 0.01, 0.99)
    members = {"good": of_yes(right), "noise": of_yes(generator.uniform(size=60))}
    made = run(["fitted_average"], members, truth, "log_loss")
    weights = made.fitted[0]["weights"]
    assert sum(weights.values()) == pytest.approx(1)
    assert weights["good"] > 0.8
    equal = run(["average"], members, truth, "log_loss")
    assert value(TWO, made.predictions, truth, "log_loss") < value(TWO, equal.predictions, truth, "log_loss")
    alone = FittedAverage(TWO, 1).fit({"good": members["good"]}, truth, folds_of(60), TWO.metric("log_loss"))
    assert alone == {"weights": {"good": 1.0}}


@pytest.mark.parametrize("method", [None, "probability", "geometric"])
def test_a_weighting_is_scored_as_the_average_that_is_applied(method: str | None) -> None:
    """Fitted averages, hill climbing and whatever else searches weights have one scorer."""
    generator = np.random.default_rng(1)
    truth = truth_of(np.array(TWO.classes)[generator.integers(0, 2, 40)].tolist())
    members = {name: of_yes(generator.uniform(size=40)) for name in "abc"}
    metric, weights = TWO.metric("log_loss"), {"a": 0.2, "b": 0.0, "c": 0.8}
    scorer = Scorer(TWO, list(members.values()), truth, metric, method)
    assert scorer.is_mean == (method != "geometric")
    whole = FittedAverage(TWO, 1, method).apply(members, {"weights": weights})["ensemble"]
    assert scorer([*weights.values()]) == pytest.approx(-value(TWO, whole, truth, "log_loss"), abs=1e-12)


# --- fusing one member, and thresholds of one half, change nothing


def test_one_member_at_a_threshold_of_half_is_itself() -> None:
    generator = np.random.default_rng(0)
    p = np.concatenate([generator.uniform(size=60), [0.5, 0.5, 0.0, 1.0, np.nextafter(0.5, 1), np.nextafter(0.5, 0)]])
    truth = truth_of(np.array(TWO.classes)[generator.integers(2, size=len(p))].tolist())
    member = {**of_yes(p)}
    member["logits"] = np.log(np.clip(member.pop("probabilities"), 1e-9, 1))
    alone = applied(build(TWO, ["average"], 1), {"a": member}, [None])
    half = TWO.decide(alone, [0.5])
    for metric in TWO.reported:
        assert value(TWO, member, truth, metric) == value(TWO, half, truth, metric)
    assert TWO.table(half).equals(TWO.table(alone))
    labels, form = [SEVERAL.evidence(of, _three(truth)) for of in _halves()], Form(["id", "label"], as_labels=True)
    assert TWO.submission(half, form).equals(TWO.submission(alone, form))
    assert np.array_equal(labels[0].predicted, labels[1].predicted)


def _halves() -> list[Arrays]:
    values = np.round(np.random.default_rng(1).uniform(size=(66, 3)), 1)
    predictions = labelled(values, SEVERAL.classes)
    return [predictions, SEVERAL.decide(predictions, [0.5] * 3)]


def _three(truth: pd.DataFrame) -> pd.DataFrame:
    return truth.assign(labels=to_text(["a"]))


# --- where thresholds show


def test_table_submission_and_scores_by_class_follow_the_thresholds() -> None:
    truth, predictions = truth_of(["no", "yes", "yes"]), of_yes([0.1, 0.3, 0.6])
    made = TWO.decide(predictions, [0.25])
    table = TWO.table(made)
    assert table["prediction"].tolist() == ["no", "yes", "yes"]
    assert table["confidence"].tolist() == [0.9, 0.3, 0.6]
    assert TWO.submission(made, Form(["id", "label"], as_labels=True))["label"].tolist() == ["no", "yes", "yes"]
    assert TWO.submission(made, Form(["id", "yes"]))["yes"].tolist() == [0.1, 0.3, 0.6]
    assert TWO.by_class(TWO.evidence(made, truth))["recall"].tolist() == [1, 1]
    assert TWO.by_class(TWO.evidence(predictions, truth))["recall"].tolist() == [1, 0.5]
    several = SEVERAL.decide(labelled(np.array([[0.3, 0.3, 0.9]]), SEVERAL.classes), [0.2, 0.4, 0.95])
    assert SEVERAL.table(several)["prediction"].tolist() == [to_text(["a"])]
    assert SEVERAL.submission(several, Form(["id", "label"], as_labels=True))["label"].tolist() == ["a"]


class Mask:
    """Maps and masks of one class, small, of other sizes, one of them of a part of its image."""

    def __init__(self, folder: Path) -> None:
        self.task = whole({"name": "segmentation", "mask_values": {"spot": 1}, "ignore_value": 9}, ["spot"])
        generator = np.random.default_rng(0)
        self.maps = [generator.integers(0, 256, (1, 8, 10)).astype(np.uint8) for _ in range(4)]
        sizes = np.array([[8, 10], [16, 12], [8, 10], [20, 20]], np.int32)
        rois = [[0, 0, size[1], size[0]] for size in sizes.tolist()]
        rois[3] = [4, 2, 16, 18]
        paths = []
        for number, size in enumerate(sizes.tolist()):
            mask = generator.choice([0, 1, 9], size, p=[0.5, 0.4, 0.1]).astype(np.uint8)
            paths.append(str(folder / f"{number}.png"))
            cv2.imwrite(paths[-1], mask)
        self.truth = pd.DataFrame({"id": ids_of(4), "mask": paths})
        self.made = 0
        heads = {
            "ids": np.array(ids_of(4)),
            "classes": np.array(["spot"]),
            "sizes": sizes,
            "rois": np.array(rois, np.int32),
        }
        self.predictions = OneByOne(heads, "maps", 4, self._map)

    def _map(self, row: int) -> np.ndarray:
        self.made += 1
        return self.maps[row]


@pytest.fixture
def spots(tmp_path: Path) -> Mask:
    return Mask(tmp_path)


def test_pixels_counted_by_level_are_those_of_masks_at_each_threshold(spots: Mask) -> None:
    undecided = spots.task.decidable(spots.predictions, spots.truth)
    for threshold in [*LEVELS[::7].tolist(), 0.5]:
        direct = spots.task.evidence(spots.task.decide(spots.predictions, [threshold]), spots.truth)
        found = undecided.at([threshold])
        for part in ("both", "predicted", "true"):
            assert np.array_equal(getattr(found, part), getattr(direct, part)), threshold
    plain = spots.task.evidence(spots.predictions, spots.truth)
    assert np.array_equal(undecided.at([0.5]).both, plain.both)
    assert plain.both.sum() > 0


def test_masks_are_made_at_the_threshold_of_each_image_one_image_at_a_time(spots: Mask) -> None:
    made = run(["average", "thresholds"], {"a": spots.predictions}, spots.truth, "dice", spots.task)
    assert isinstance(made.predictions, OneByOne)
    fitted = [without[1]["thresholds"]["spot"] for without in made.without.values()]
    assert made.predictions["thresholds"][:, 0].tolist() == fitted
    assert made.predictions["rois"].tolist() == spots.predictions["rois"].tolist()
    mask = next(spots.task.masks(made.predictions, ["i000"]))
    assert np.array_equal(mask, spots.maps[0][0] / np.float32(255) >= np.float32(fitted[0]))
    best = spots.task.metric("dice")
    rows, undecided = np.arange(4), spots.task.decidable(spots.predictions, spots.truth)
    values = [best.value(undecided.at([level]), rows) for level in LEVELS.tolist()]
    assert value(spots.task, made.optimistic, spots.truth, "dice") == pytest.approx(max(values))
    asked = spots.made
    with_thresholds(spots.predictions, [0.3])
    assert spots.made == asked, "no map is made before it is asked for"


def test_images_of_several_predictions_become_one_by_id() -> None:
    def boxes(counts: Sequence[int], score: float) -> Arrays:
        found = [(np.full((n, 4), score), np.full(n, score), np.zeros(n)) for n in counts]
        return arrays(task.classes, np.array(ids_of(len(counts))), np.ones((len(counts), 2)), found)

    task = whole({"name": "detection"}, ["thing"])
    made = picked([(boxes([1, 2, 3], 0.25), ["i002", "i000"]), (boxes([2, 2, 2], 0.75), ["i001"])])
    assert made["ids"].tolist() == ids_of(3)
    assert made["counts"].tolist() == [1, 2, 3]
    assert made["scores"].tolist() == [0.25, 0.75, 0.75, 0.25, 0.25, 0.25]
    assert made["boxes"].shape == (6, 4)
    assert made["classes"].tolist() == ["thing"]


# --- own steps, and those that cannot be

OWN = """
class Flip:
    def __init__(self, task, workers, share=1.0):
        self.share = share

    def fit(self, members, truth, folds, metric):
        return {"n": len(truth), "share": self.share}

    def apply(self, members, fitted):
        return {name: {**one, "probabilities": one["probabilities"][:, ::-1]} for name, one in members.items()}


class Several:
    def __init__(self, task, workers):
        pass

    def apply(self, members, fitted):
        return members


class Nothing:
    def __init__(self, task, workers):
        pass


def own_metric(probabilities, labels):
    return float((probabilities.argmax(axis=1) == labels).mean())
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ownsteps.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("own")
def test_a_step_of_ones_own_is_fitted_and_applied_like_any_other() -> None:
    predictions, truth = noise(0)
    made = run(["average", {"ownsteps:Flip": {"share": 0.5}}], {"a": predictions}, truth, "accuracy")
    assert made.fitted == [None, {"n": 40, "share": 0.5}]
    assert made.without[0] == [None, {"n": 30, "share": 0.5}]
    assert np.array_equal(made.predictions["probabilities"], predictions["probabilities"][:, ::-1])
    with pytest.raises(ConfigError, match="2 predictions where there must be one"):
        run(["ownsteps:Several"], {"a": predictions, "b": predictions}, truth, "accuracy")


def test_the_step_of_the_docs_is_fitted_without_each_fold(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (repo / "docs/extending.md").read_text().partition("# A step of your own")[2]
    python, settings = re.findall(r"```(?:python|yaml)\n(.*?)```", page, re.DOTALL)[:2]
    (tmp_path / "sharpen.py").write_text(python)
    monkeypatch.syspath_prepend(str(tmp_path))
    made, truth = parse({**BASE, **yaml.safe_load(settings)}), truth_of(["no", "yes"] * 8)
    predictions = of_yes([0.2, 0.8] * 8)
    found = run(["average", *made.postprocessing], {"a": predictions}, truth, "log_loss")
    assert found.fitted == [None, {"power": 1.25}]
    assert len(found.without) == N_FOLDS
    assert value(TWO, found.predictions, truth, "log_loss") < value(TWO, predictions, truth, "log_loss")


MODEL = {"name": "a", "network": "small_resnet", "image_size_px": 8}
BASE = {"name": "x", "data": {"source": "digits"}, "models": [MODEL]}
LABELS = {**BASE, "task": "multilabel", "data": {"source": "digits_labels"}}
NUMBERS = {**BASE, "task": "regression", "data": {"source": "digits_ink"}}
MASKS = {
    **BASE, "task": "segmentation", "data": {"source": "masks", "train": "t", "masks": "m", "classes": ["dim", "lit"]},
    "models": [{"name": "a", "network": "unet", "backbone": "resnet18", "image_size_px": 64}],
}  # fmt: skip
NAMED = {"source": "folder", "train": "t"}


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (LABELS | {"ensemble": ["average", "fitted_average"]},
         "ensemble[1] = 'fitted_average': ensemble[0], 'average', already combines the members' predictions; remove one"),
        (LABELS | {"ensemble": ["thresholds", "average"]},
         "ensemble[1] = 'average': comes after 'thresholds', which needs the combined prediction; put the average first"),
        (LABELS | {"ensemble": ["thresholds", "thresholds"]}, "ensemble[1] = 'thresholds': is listed twice; remove one"),
        (BASE | {"task": "regression", "data": {"source": "digits_ink"}, "ensemble": ["thresholds"]},
         "ensemble[0] = 'thresholds': allowed with regression: average, fitted_average, "
            "hill_climbing, simplex, stacking, boosted_stacking, prediction_intervals, package.module:function"),
        (MASKS | {"ensemble": ["fitted_average"]},
         "allowed with segmentation: average, thresholds, components, instances, package.module:function"),
        (LABELS | {"ensemble": [{"thresholds": {"metrc": "f1_macro"}}]}, "thresholds does not take 'metrc'; nearest is 'metric'"),
        (LABELS | {"ensemble": [{"thresholds": {"metric": "f1"}}]}, "metric 'f1': nearest is 'pf1'; allowed with multilabel"),
        (LABELS | {"ensemble": [{"hill_climbing": {"steps": 0}}]}, "steps = 0: must be a whole number from 1 to 1,000"),
        (LABELS | {"ensemble": [{"hill_climbing": {"steps": "ten"}}]}, "steps = 'ten': must be a whole number"),
        (NUMBERS | {"ensemble": [{"stacking": {"penalty": -1}}]}, "penalty = -1: must be above 0"),
        (NUMBERS | {"ensemble": [{"stacking": {"penalty": "lots"}}]}, "penalty = 'lots': must be a number"),
        (LABELS | {"ensemble": [{"boosted_stacking": {"trees": 0}}]}, "trees = 0: must be from 1 to 10,000"),
        (LABELS | {"ensemble": [{"thresholds": {"per_class": 1}}]}, "per_class = 1: must be true or false"),
        (LABELS | {"ensemble": ["thresholds"], "metric": "roc_auc"},
         "metric 'roc_auc' does not depend on thresholds, so none can be fitted for it; write {thresholds: {metric: ...}} with "
         "one of f1_macro, f1_micro, mcc, or remove the step"),
        (BASE | {"ensemble": [{"thresholds": {"metric": "log_loss"}}]},
         "'log_loss' does not depend on thresholds, so none can be fitted for it; write {thresholds: {metric: ...}} with one of "
         "accuracy, balanced_accuracy, f1_macro, f1_micro, quadratic_kappa, f1, mcc"),
        (BASE | {"ensemble": [{"thresholds": {"metric": "ownsteps:own_metric"}}]}, "'own_metric' does not depend on thresholds"),
        (BASE | {"data": {**NAMED, "classes": ["a", "b", "c"]}, "ensemble": ["thresholds"]},
         "thresholds decide between two classes, but there are 3; remove the step"),
        (LABELS | {"ensemble": ["thresholds"], "task_params": {"threshold": 0.3}}, "task_params.threshold has no effect if"),
        (BASE | {"ensemble": [{"average": {"weights": {"b": 1}}}]}, "ensemble[0].average.weights.b: no model of that name"),
        (BASE | {"ensemble": [{"average": {"wieghts": {}}}]}, "ensemble[0].average.wieghts: unknown key; nearest is 'weights'"),
        (BASE | {"ensemble": [{"average": {"method": "wbf"}}]}, "ensemble[0].average.method = 'wbf': allowed with clas"),
        (BASE | {"ensemble": [{"fitted_average": {"method": "wbf"}}]}, "method 'wbf': allowed with classification: probability"),
        (BASE | {"ensemble": [{"average": {"iou_threshold": 0.3}}]}, "[0].average.iou_threshold: task 'classification' has"),
        (BASE | {"ensemble": ["ownsteps:Nothing"]}, "has no apply(members, fitted); see docs/extending.md"),
        (BASE | {"ensemble": ["ownsteps:Flop"]}, "nearest is 'Flip'"),
        (BASE | {"ensemble": [{"ownsteps:Flip": {"shares": 1}}]}, "ownsteps:Flip does not take 'shares'; nearest is 'share'"),
        (BASE | {"ensemble": []}, "ensemble = []: must have at least 1 item"),
        (BASE | {"ensemble": "rank"}, "ensemble = 'rank': write {method: rank}"),
        (BASE | {"ensemble": "hill_climbing"}, "ensemble = 'hill_climbing': write a list of steps: [hill_climbing]"),
        (BASE | {"ensemble": "hil_climbing"}, "= 'hil_climbing': nearest is 'hill_climbing'; write {method: ...}, or a list of"),
        (BASE | {"ensemble": {"stacking": {}}}, "ensemble: stacking is a step; write a list of steps: [{stacking: {}}]"),
        (BASE | {"ensemble": [3]}, "ensemble[0] = 3: Input should be a valid string; YAML reads it as a number"),
        (BASE | {"ensemble": {"metod": 1}}, "ensemble.metod: unknown key; nearest is 'method'; allowed: iou_threshold, m"),
    ],
)  # fmt: skip
def test_steps_that_cannot_be_are_one_error_of_the_config(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(changes)
    assert said in str(caught.value)
    assert str(caught.value).startswith("config: 1 problem\n")


def test_the_configs_of_the_page_are_valid(repo: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (repo / "docs/ensembling.md").read_text(), re.DOTALL)
    of_ours = {**LABELS, "models": [MODEL, {**MODEL, "name": "big"}]}
    found = map(yaml.safe_load, blocks)
    made = [
        parse(
            {**of_ours, **OF_TASK.get(one.get("task"), {}), **one}
            | ({"task": "classification"} if "data" in one and "task" not in one else {})
        )
        for one in found
    ]
    assert [one.average.weights for one in made] == [{"big": 2}, {"big": 2}, *[{}] * 9]
    assert made[2].postprocessing == ["thresholds"]
    assert [one.stacks_metadata for one in made].count(True) == 1
    assert [(one.on_all_rows.rounds, one.on_all_rows.test) for one in made if one.full_data] == [
        ({"big": 0, MODEL["name"]: 0}, "replace"), ({"big": 0}, "join"),
    ]  # fmt: skip


@pytest.mark.parametrize("weights", [{"a": 0, "b": 0}, {"a": -1}, {"a": float("nan")}])
def test_weights_of_ones_own_that_cannot_be_used_are_refused(weights: dict[str, float]) -> None:
    assert weights_of({"weights": {"a": 2, "b": 0}}, "ab") == {"a": 2, "b": 0}
    assert weights_of(None, "ab") == {"a": 1, "b": 1}
    with pytest.raises(ConfigError, match="must be finite, >= 0 and not all 0"):
        weights_of({"weights": weights}, "ab")


def test_a_bundle_with_a_step_of_ones_own_runs_it_only_where_its_module_is_trusted() -> None:
    manifest = form.Manifest.model_construct(
        task={"name": "classification"}, members=[], views=["identity"], ensemble={}, fusion=None,
        postprocessing=[form.Fitted(step="thresholds"), form.Fitted(step={"ownsteps:Flip": {"share": 0.5}})],
    )  # fmt: skip
    assert manifest.places_of_own_code() == ["ownsteps:Flip"]


def test_the_short_form_is_one_average_in_the_list() -> None:
    def recipe_of(ensemble: Any) -> Any:
        made = parse({**BASE, "models": [MODEL, {**MODEL, "name": "b"}], "ensemble": ensemble})
        return recipe(made, Job("ensemble"))["settings"]

    keys = {"method": "rank", "weights": {"a": 2.0}}
    assert recipe_of(keys) == recipe_of([{"average": keys}])
    assert recipe_of({}) == recipe_of(["average"]) == recipe_of([{"average": None}])
    assert recipe_of(["thresholds"]) == recipe_of(["average", "thresholds"])
    assert recipe_of(keys)["weights"] == {"a": 2.0}
    found = recipe_of([{"average": keys}, {"thresholds": {"metric": "f1_macro"}}])
    assert (found["fusion"], found["postprocessing"]) == (None, [{"thresholds": {"metric": "f1_macro"}}])
    assert recipe_of(["fitted_average"])["fusion"] == "fitted_average"


def test_pseudo_labels_are_made_by_the_average_and_its_given_weights_alone() -> None:
    base = {**BASE, "data": {**NAMED, "test": "te"}, "pseudo_labels": {"rounds": 1}}
    job, given = Job("pseudo_label", round=1), {"average": {"method": "rank", "weights": {"a": 2.0}}}
    short = recipe(parse({**base, "ensemble": given["average"]}), job)
    assert recipe(parse({**base, "ensemble": [given, "thresholds"]}), job) == short
    fitted = recipe(parse({**base, "ensemble": [{"fitted_average": {"method": "rank"}}]}), job)
    assert fitted["settings"]["settings"] == {"method": "rank"}
    assert fitted["settings"]["weights"] == {}


def test_a_step_is_code_of_the_ensemble_alone_and_another_entry_of_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    stages = ("train", "predict", "pseudo_label", "ensemble", "submit", "report")

    def digests(ensemble: Any) -> dict[str, Any]:
        made = parse({**LABELS, "ensemble": ensemble})
        return {stage: code(made, Job(stage, "a", 0, 0, 0)) for stage in stages}

    before, after = digests({}), digests(["thresholds"])
    assert [stage for stage in stages if before[stage] != after[stage]] == ["ensemble"]
    for family in (*catalog.FUSIONS.values(), *catalog.POSTPROCESSING.values()):
        monkeypatch.setitem(family, "added", "goldfold.ensembling.thresholds:Thresholds")
    assert digests({}) == before
    assert parse({**LABELS, "ensemble": ["added"]}).fusion == "added"


def test_classes_between_which_no_threshold_decides_are_refused_before_any_training(in_tmp: Path) -> None:
    for number in range(6):
        save_picture(in_tmp / f"raw/{'abc'[number % 3]}/{number}.png", picture(number))
    made = parse({**BASE, "data": {"source": "folder", "train": "raw"}, "ensemble": ["thresholds"]})
    with pytest.raises(ConfigError, match=r"ensemble: thresholds decide between two classes, but there are 3; remove"):
        manifest.run(folder="made", workers=1, **with_classes.settings(made), **slices.manifest(made))
    plain = parse({**BASE, "data": {"source": "folder", "train": "raw"}})
    assert not with_classes.settings(plain)["has_thresholds"]
    assert slices.manifest(plain) == slices.manifest(made), "another step asks for no other manifest"
    manifest.run(folder="made", workers=1, **slices.manifest(plain))


@pytest.mark.parametrize("weights", [[0.1, 0.9], {"a": None}, {"a": "much"}])
def test_fitted_weights_of_another_form_are_one_error(weights: Any) -> None:
    with pytest.raises(ConfigError, match=r"must be fitted to weights that map each member name to a number"):
        weights_of({"weights": weights}, iter(["a", "b"]))


def test_parameters_of_an_own_step_are_its_own_whatever_they_are_called(in_tmp: Path) -> None:
    Path("my_stack.py").write_text(
        "class Stack:\n    def __init__(self, task, workers, method=1, metric=2):\n        pass\n"
    )
    text = Path("my_stack.py").read_text() + "\n    def apply(self, members, fitted):\n        return members\n"
    Path("my_stack.py").write_text(text)
    sys.path.insert(0, str(in_tmp))
    try:
        config = parse({**BASE, "ensemble": [{"my_stack:Stack": {"method": "ridge", "metric": "neg_log_loss"}}]})
    finally:
        sys.path.remove(str(in_tmp))
    assert config.average.method == "probability"
    assert "my_stack:Stack" in chosen.places(config, "ensemble")
