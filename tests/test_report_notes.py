"""What the report says first, and in which order its tables and pictures say it."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image as Picture

from goldfold import tasks
from goldfold.audit.adversarial import Auc
from goldfold.audit.doubts.submission import about_formulas
from goldfold.audit.shift import Feature, Shift
from goldfold.drawing import box_errors, mask_colours, overlays
from goldfold.drawing.blocks import Table
from goldfold.drawing.figures import learning_curves
from goldfold.drawing.tables import order_in_words, worst_first
from goldfold.metrics import Score
from goldfold.metrics.classification import Labelled
from goldfold.metrics.multilabel import MultiLabelled
from goldfold.metrics.regression import Valued
from goldfold.metrics.segmentation import Overlap
from goldfold.planning.full import NOTHING
from goldfold.report import chance, ensemble, notes, shift, training
from goldfold.report.answers import note
from goldfold.report.results import Results, Run
from goldfold.targets.mask_coding import Coding
from goldfold.tasks.detection import show_images as detection
from goldfold.tasks.segmentation import show_images as segmentation
from whole_task import classification

Made = Any


def shift_of(low: float, features: list[Feature] | None = None) -> Shift:
    auc = Auc(low + 0.05, low, low + 0.1)
    given = features or [Feature("brightness", "light", 0.9, 10.0, 90.0)]
    return Shift(auc, auc, (134, 134), {"light": 0.3}, given, [], [])


def results(test: float, labels: str = "aabb", groups: dict[str, int] | None = None) -> Made:
    """A run with an accuracy of 0.8 (0.7 to 0.9) and a test score with an interval of 0.1."""
    train, answers = pd.DataFrame({"label": list("aabb")}), pd.DataFrame({"id": list("wxyz"), "label": list(labels)})
    return SimpleNamespace(
        metric="accuracy",
        metrics={"oof": {"accuracy": {"value": 0.8, "low": 0.7, "high": 0.9}}},
        test_score=Score(test, test - 0.05, test + 0.05),
        greater_is_better=True,
        answers=answers,
        truth=train,
        tables={"train": train, "test": answers},
        settings={"folds": {"n_folds": 3}},
        test_groups=groups,
        target=classification(["a", "b"]),
        facts=classification(["a", "b"]).facts,
        row="image",
        unit="images",
    )


def test_a_test_score_outside_the_interval_comes_first_with_its_likely_causes() -> None:
    found = note(results(0.4, labels="bbbb"), [], {"test": shift_of(0.8)})
    assert found is not None
    assert (found.level, found.title) == ("warn", "The test score is worse than the out-of-fold interval predicts")
    for said in (
        "accuracy is 0.4000 (0.3500 to 0.4500) on 4 test images and 0.8000 (0.7000 to 0.9000) out of fold.",
        "The two intervals do not overlap",
        "Test images look different: a classifier can tell them from training images (AUC 0.850, 0.800 to 0.900",
        "The data have no groups",
        "“a” is 50.0 % of the training and 0.0 % of the test images",
    ):
        assert said in found.text
    shared = {"groups": 4, "images": 10, "new": 1, "new_images": 2, "shared": 0}
    better = note(results(0.93, groups=shared), [], {"test": shift_of(0.45)})
    assert better is not None
    assert "better than the out-of-fold interval" in better.title
    assert "3 of 4 groups of test images also occur in training (80% of the images)." in better.text
    assert "Test images look like training images (AUC 0.500" in better.text
    assert "The two intervals overlap" in better.text
    assert note(results(0.85), [], {}) is None


def test_classes_of_which_nothing_is_found_are_named(tmp_path: Path) -> None:
    task, truth = classification(["a", "b", "c"]), pd.DataFrame({"id": list("vwxyz"), "label": list("aabbb")})
    probabilities = np.tile([0.8, 0.1, 0.1], (5, 1))
    evidence = task.evidence(
        {"ids": truth["id"].to_numpy(str), "classes": np.array(list("abc")), "probabilities": probabilities}, truth
    )
    made = SimpleNamespace(scores=task, target=task, evidence=evidence, truth=truth, row="image")
    (found,) = notes._never_found(made)  # type: ignore[arg-type]
    assert found.title == "1 class never found"
    assert found.text.startswith("F1 is 0 for b (3)"), "c has no image to be found"


def test_a_quick_run_says_that_its_scores_count_for_nothing() -> None:
    made: list[Made] = [SimpleNamespace(settings={"quick": is_quick}) for is_quick in (True, False)]
    quick, whole = (list(notes._quick(one)) for one in made)
    assert [note.title for note in quick] == ["This was a quick run"]
    assert "say nothing about the models" in quick[0].text
    assert whole == []


def history(*scores: float) -> pd.DataFrame:
    return pd.DataFrame({"epoch": range(len(scores)), "train_loss": 1.0, "accuracy": scores})


@pytest.mark.parametrize(
    ("scores", "is_better", "rises"),
    [
        ((0.1, 0.3, 0.5, 0.6, 0.7, 0.8), True, True),
        ((0.1, 0.6, 0.79, 0.8, 0.8, 0.801), True, False),
        ((0.1, 0.3, 0.5, 0.6, 0.8, 0.7), True, False),
        ((5.0, 3.0, 2.0, 1.5, 1.2, 0.9), False, True),
    ],
)
def test_a_score_that_still_gains_in_the_last_epoch_is_said(
    scores: tuple[float, ...], is_better: bool, rises: bool
) -> None:
    runs = [SimpleNamespace(model="m", history=history(*scores), record={}) for _ in range(2)]
    found = list(
        training.still_rising(
            SimpleNamespace(
                models=["m"], runs=runs, metric="accuracy", watched_metric="accuracy", greater_is_better=is_better
            )  # type: ignore[arg-type]
        )
    )
    assert bool(found) == rises
    if rises:
        assert found[0].text.startswith(
            f"m: {scores[4]:.4f} after 5 epochs, {scores[5]:.4f} after 6 (mean of its runs)"
        )


def test_equal_medians_are_no_evidence_of_a_shift() -> None:
    same = Feature("width", "size", 0.7, 134.0, 134.2)
    assert shift.evidence(same, "test") == "width: AUC 0.700 alone, with equal medians"
    other = Feature("height", "size", 0.6, 100.0, 120.0)
    assert shift.most_discriminative([same, other], "size") is other
    assert shift.evidence(other, "test") == "height: median 100 in training, 120 in test images"
    near = Feature("spread of red", "light", 0.6, 8.67, 8.66)
    assert shift.evidence(near, "test") == "spread of red: AUC 0.600 alone, with almost equal medians"
    assert "median 640 in training, 641" in shift.evidence(Feature("width", "size", 1.0, 640, 641), "test"), (
        "all differ"
    )
    text = shift.verdict("test", shift_of(0.8, [Feature("width", "light", 0.51, 134.0, 134.0)]))
    assert "134" not in text
    assert "light (no single feature, but several in combination)" in text


def test_one_model_stands_under_its_own_name_and_is_no_ensemble() -> None:
    table = pd.DataFrame({"member": ["only-seed0", "ensemble"], "accuracy": [0.5, 0.5]})

    def named(weights: dict[str, float]) -> tuple[str, list[str]]:
        run = Results(**(dict.fromkeys(Results.__dataclass_fields__) | {"ensemble": {"weights": weights}, "steps": []}))  # type: ignore[arg-type]
        return run.whole, list(run.named(table)["member"])

    assert named({"only-seed0": 1.0}) == ("model", ["only-seed0"])
    assert named({"only-seed0": 0.5, "b-seed0": 0.5}) == ("ensemble", ["only-seed0", "ensemble"])
    assert named({"only-seed0": 1.0, "mute-seed0": 0.0})[0] == "model"


def test_the_worst_classes_of_a_long_table_come_first() -> None:
    many = pd.DataFrame({"f1": [0.9, np.nan, 0.1, *[0.5] * 20]})
    assert list(worst_first(many, "f1").index[[0, -2, -1]]) == [2, 0, 1]
    assert order_in_words(23, "F1") == " The 23 classes are listed by F1, the worst first."
    few = many.head(3)
    assert worst_first(few, "f1") is few
    assert order_in_words(3, "F1") == ""


def test_masks_are_shown_in_the_colours_of_the_data(tmp_path: Path) -> None:
    own = Coding(["road", "sky"], {"road": 65536 + 0x804080, "sky": 65536 + 0x0000F0}, None)
    assert mask_colours.of_classes(own) == [(128, 64, 128), (0, 0, 240)]
    plain, path = Coding(["road", "sky"], "index", None), tmp_path / "mask.png"
    palette = Picture.fromarray(np.array([[0, 1, 2]], np.uint8), mode="P")
    palette.putpalette([0, 0, 0, 250, 10, 20, 30, 200, 40])
    palette.save(path)
    assert mask_colours.of_classes(plain, str(path)) == [(250, 10, 20), (30, 200, 40)]
    assert mask_colours.of_classes(plain) == [overlays.colour_of(0), overlays.colour_of(1)]


def test_boxes_do_not_cover_a_picture_and_are_named_below_it() -> None:
    n = 60
    boxes = np.array([[row, row, row + 9, row + 9] for row in range(n)], float)
    labels, scores = np.zeros(n, np.int64), np.linspace(0.9, 0.3, n)
    objects, classes = np.array([[500.0, 500, 520, 520], [600, 600, 700, 700]]), np.array([1, 1])
    image = detection.Image("im", "", objects, classes, boxes, scores, labels)
    missed, false = detection.chosen_errors(image)
    assert list(missed) == [1, 0], "the larger object first"
    assert list(false) == list(range(10)), "the surest first"
    drawn = detection.boxes_of(image, missed, false)
    assert len(drawn) == 62, "every error is marked"
    assert sum(not box.is_dot for box in drawn) == 12 <= detection.MOST_BOXES
    assert [box.words for box in drawn if not box.is_dot] == [str(number) for number in range(1, 13)]
    well = detection.Image("im", "", boxes, labels, boxes, scores, labels)
    none = np.zeros(0, np.intp)
    assert all(box.is_dot for box in detection.boxes_of(well, none, none)), "90 found objects are no 90 frames"
    few = detection.Image("im", "", boxes[:9], labels[:9], boxes[:9], scores[:9], labels[:9])
    assert not any(box.is_dot for box in detection.boxes_of(few, none, none))
    task: Made = SimpleNamespace(classes=["cell", "rod"])
    legend = detection._legend(task, image, missed, false)
    assert legend[0] == "Missed: 1 rod, 2 rod"
    assert legend[1].startswith("False: 3 cell 0.90, 4 cell")
    assert legend[1].endswith(", and 50 more")
    assert box_errors.FOUND not in image.checked.kind
    plain = np.zeros((100, 100, 3), np.uint8)
    shown = overlays.boxed(plain, [overlays.Box([20, 20, 60, 60], overlays.FALSE, "7")])
    assert (shown != 0).any(axis=2).mean() < 0.02, "thin lines, and no ground below the number"


@pytest.mark.parametrize(("slope", "n", "shown"), [(0.5, 60, True), (0.0, 60, False), (0.5, 5, False)])
def test_dice_by_size_is_left_out_where_it_says_nothing(slope: float, n: int, shown: bool) -> None:
    generator = np.random.default_rng(0)
    size = np.arange(1, n + 1)
    dice = slope * size / n + generator.uniform(0, 0.4, n)
    outcome: Made = SimpleNamespace(n_true=size, counted=np.full(n, 100), dice=dice)
    rank = segmentation.trend(outcome)
    assert (rank is not None) == shown
    figure = segmentation._spread(outcome, rank)
    assert ("Dice by size" in re.sub(r"<[^>]*>", "", figure.svg)) == shown


def test_names_that_a_spreadsheet_would_evaluate_are_a_doubt() -> None:
    (doubt,) = about_formulas(["a", "=1+1", "-3.5", "+cmd", "@x", "1e5", "-1 0.5 2 3 4 5"])
    assert doubt.startswith(
        "3 names of the submission (ids of test images, classes) begin like a formula, first '=1+1'"
    )
    assert not list(about_formulas(["a", "-1", "+2.5"]))


def test_a_training_of_one_epoch_is_seen_in_its_curve() -> None:
    history = pd.DataFrame({"epoch": [0], "accuracy": [0.5], "train_loss": [1.0]})
    assert learning_curves("a", [(0, history)], "accuracy").svg.count("<use") == 2, "a mark in both curves"
    lines = pd.concat([history, history.assign(epoch=1)])
    assert learning_curves("a", [(0, lines)], "accuracy").svg.count("<use") == 0


def test_the_learning_rate_is_drawn_within_the_epochs_where_the_record_has_it() -> None:
    history = pd.DataFrame({"epoch": [0, 1], "accuracy": [0.5, 0.6], "train_loss": [1.0, 0.9], "lr": [0.1, 0.05]})
    points = [[0.0, 0.01], [0.5, 0.2], [1.0, 0.1], [1.5, 0.05]]
    run = Run("a", 0, 0, 0, {"lr_curve": points}, history)
    assert training.lr_curve(run).to_numpy().tolist() == points
    old = Run("a", 0, 0, 0, {}, history)
    assert training.lr_curve(old).to_numpy().tolist() == [[1, 0.1], [2, 0.05]]
    rates = [(0, training.lr_curve(one)) for one in (run, run, old)]
    drawn = re.sub(r"<[^>]*>", "", learning_curves("a", [(0, history)] * 3, "accuracy", rates).svg)
    assert "learning rate" in drawn
    assert "0.2" in drawn


def test_a_method_with_parameters_is_named_with_them() -> None:
    made = SimpleNamespace(
        ensemble={"method": {"rank": {"power": 2}}, "weights": {"a-seed0": 0.5, "b-seed0": 0.5}},
        members={}, steps=[], row="image", made=[], full=NOTHING,
    )  # fmt: skip
    section = ensemble.section(made)  # type: ignore[arg-type]
    assert section is not None
    assert "Method: “rank(power=2)”: " in section.intro


def test_what_steps_were_fitted_to_stands_in_the_section_of_the_ensemble_of_one_model_too() -> None:
    thresholds = {"step": {"thresholds": {"metric": "f1_macro"}}, "fitted": {"thresholds": {"yes": 0.25}}}
    steps = [{"step": "average", "fitted": None}, thresholds]
    without = {fold: [None, {"thresholds": {"yes": at}}] for fold, at in enumerate([0.2, 0.3])}
    weights = {"method": "probability", "weights": {"a-seed0": 1.0}}
    made = SimpleNamespace(ensemble=weights, steps=steps, without_fold=without, members={}, truth=None, metrics={})
    section = ensemble.section(made)  # type: ignore[arg-type]
    assert section is not None
    (table,) = (block for block in section.blocks if isinstance(block, Table))
    assert table.rows == [["thresholds(metric=f1_macro)", "thresholds.yes", "0.25", "0.2", "0.3"]]
    made.steps = steps[:1]
    assert ensemble.section(made) is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("low", "high", "is_said"), [(0.55, 0.7, True), (0.8, 0.9, False), (0.1, 0.5, True), (None, None, False)]
)
def test_a_score_that_needs_no_image_is_said(low: float | None, high: float | None, is_said: bool) -> None:
    """Six of ten images are of the first class."""
    labels = np.array([0] * 6 + [1] * 4)
    evidence = Labelled(np.random.default_rng(0).dirichlet([1, 1], 10), labels, np.full(10, 0.3))
    entry = {"value": 0.7, "low": low, "high": high}
    found: Any = SimpleNamespace(
        metric="accuracy", metrics={"oof": {"accuracy": entry}}, evidence=evidence, greater_is_better=True, row="image",
        chosen_metric=tasks.score({"name": "classification"}, ["a", "b"]).metric("accuracy"),
    )  # fmt: skip
    said = [one.text for one in chance.notes(found)]
    assert len(said) == is_said
    assert all("The shares of the classes of the validated images" in text and "score 0.6000" in text for text in said)


def test_constants_of_sets_of_labels_and_numbers() -> None:
    several = chance.constant(MultiLabelled(np.eye(2), np.array([[1, 0], [1, 1]], np.uint8), 0.9))
    assert (several.probabilities.tolist(), several.threshold) == ([[1, 0.5], [1, 0.5]], 0.5)
    assert chance.constant(Valued(np.zeros(2), np.array([1.0, 3.0]))).predicted.tolist() == [2, 2]
    assert chance.constant(Overlap(*[np.zeros((2, 1), np.int64)] * 3)) is None
