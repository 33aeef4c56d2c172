"""Detection metrics against faster-coco-eval and pycocotools on the same boxes."""

import contextlib
import io
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from faster_coco_eval import COCO as FasterCOCO
from faster_coco_eval import COCOeval_faster
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from entries import METRICS as ALL_METRICS
from goldfold.base.errors import ConfigError, DataError
from goldfold.metrics import score
from goldfold.metrics.detection import Evidence, best_threshold, by_class, compare, precision_recall

IN_STATS = {"ap": 0, "ap50": 1, "ap75": 2, "ap_small": 3, "ap_medium": 4, "ap_large": 5, "ar100": 8}
"""Positions in COCO's twelve numbers."""
Truth = list[tuple[np.ndarray, np.ndarray]]
Predictions = list[tuple[np.ndarray, np.ndarray, np.ndarray]]
seeds = st.integers(0, 2**32 - 1)

METRICS = ALL_METRICS["boxes"]


def scene(seed: int, n_images: int = 6, n_classes: int = 4) -> tuple[Truth, Predictions]:
    """Images with and without objects and detections of all sizes; the last class is never in the truth.

    Scores tie in two of three scenes, in every fourth an image holds more than 100 detections of a class.
    """
    generator = np.random.default_rng(seed)
    truth, predictions = [], []
    for number in range(n_images):
        n = 0 if generator.random() < 0.2 else int(generator.integers(1, 8))
        corners, sides = generator.uniform(0, 300, (n, 2)), np.exp(generator.uniform(2, 5.3, (n, 2)))
        objects, labels = np.hstack([corners, corners + sides]), generator.integers(0, n_classes - 1, n)
        crowded = seed % 4 == 0 and number == 0
        found = generator.integers(0, n, 130 if crowded else generator.integers(0, 12)) if n else np.zeros(0, dtype=int)
        boxes = objects[found] + generator.uniform(-0.25, 0.25, (len(found), 4)) * np.tile(sides[found], 2)
        own = np.array([[10.0, 10, 60, 90], [200, 200, 210, 220], [5, 5, 300, 300]])[: generator.integers(0, 4)]
        names = np.concatenate([labels[found], generator.integers(0, n_classes, len(own))])
        names = np.full_like(names, labels[0]) if crowded and n else names
        scores = generator.uniform(0, 1, len(names)).round([1, 2, 17][seed % 3])
        truth.append((objects, labels))
        predictions.append((np.vstack([boxes, own]), scores, names))
    return truth, predictions


def as_coco(entries: list[tuple[np.ndarray, ...]], n_classes: int) -> dict[str, Any]:
    annotations: list[dict[str, Any]] = []
    for image, (boxes, *scores, labels) in enumerate(entries):
        for row, (x1, y1, x2, y2) in enumerate(boxes.tolist()):
            size = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
            place = {"id": len(annotations) + 1, "image_id": image, "category_id": int(labels[row]), "iscrowd": 0}
            annotations.append({**place, **size, **({"score": float(scores[0][row])} if scores else {})})
    categories = [{"id": number, "name": f"c{number}"} for number in range(n_classes)]
    return {"images": [{"id": n} for n in range(len(entries))], "categories": categories, "annotations": annotations}


def by_faster(truth: Truth, predictions: Predictions, n_classes: int) -> np.ndarray:
    sets = FasterCOCO(as_coco(truth, n_classes)), FasterCOCO(as_coco(predictions, n_classes))
    evaluation = COCOeval_faster(*sets, iouType="bbox")
    evaluation.run()
    return np.where(np.array(evaluation.stats) == -1, np.nan, evaluation.stats)


def by_pycocotools(truth: Truth, predictions: Predictions, n_classes: int) -> COCOeval:
    sets = COCO(), COCO()
    with contextlib.redirect_stdout(io.StringIO()):
        for one, entries in zip(sets, (truth, predictions), strict=True):
            one.dataset = as_coco(entries, n_classes)
            one.createIndex()
        evaluation = COCOeval(*sets, iouType="bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def f1_by_hand(evaluation: COCOeval) -> tuple[float, float]:
    """Best F1 and its threshold from pycocotools' matches at IoU 0.5 (threshold 0) and over all areas."""
    cells = [cell for cell in evaluation.evalImgs if cell and cell["aRng"] == evaluation.params.areaRng[0]]
    scores = np.concatenate([cell["dtScores"] for cell in cells])
    hits = np.concatenate([cell["dtMatches"][0] > 0 for cell in cells])
    n_objects = sum(len(cell["gtIds"]) for cell in cells)
    best = [(2 * hits[scores >= t].sum() / ((scores >= t).sum() + n_objects), t) for t in np.unique(scores)]
    return max(best)


def values(evidence: Evidence, rows: Any = None) -> dict[str, float]:
    rows = np.arange(len(evidence)) if rows is None else np.asarray(rows, dtype=np.int64)
    return {name: metric.value(evidence, rows) for name, metric in METRICS.items()}


# --- against the libraries


def test_it_gives_what_faster_coco_eval_and_pycocotools_give() -> None:
    compared = 0
    for seed in range(60):
        truth, predictions = scene(seed)
        evidence = compare(truth, predictions, 4)
        ours, faster = values(evidence), by_faster(truth, predictions, 4)
        judge = by_pycocotools(truth, predictions, 4)
        for name, place in IN_STATS.items():
            expected = judge.stats[place] if judge.stats[place] > -1 else np.nan
            assert ours[name] == pytest.approx(faster[place], abs=1e-9, nan_ok=True), (seed, name)
            assert ours[name] == pytest.approx(expected, abs=1e-6, nan_ok=True), (seed, name)
        assert (ours["f1"], best_threshold(evidence)) == pytest.approx(f1_by_hand(judge), abs=1e-12), seed
        each = judge.eval["precision"][:, :, :, 0, 2]
        scored = (each > -1).all(axis=(0, 1))
        for name, part in (("ap", each), ("ap50", each[:1]), ("ap75", each[5:6])):
            expected = np.where(scored, part.mean(axis=(0, 1)), np.nan)
            assert by_class(evidence)[name] == pytest.approx(expected, abs=1e-6, nan_ok=True), (seed, name)
        compared += 1
    assert compared == 60


@settings(max_examples=25, deadline=None)
@given(seeds, st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_a_resample_is_scored_as_the_images_drawn_would_be(seed: int, rows: list[int]) -> None:
    truth, predictions = scene(seed)
    drawn = compare([truth[row] for row in rows], [predictions[row] for row in rows], 4)
    assert values(compare(truth, predictions, 4), rows) == pytest.approx(values(drawn), abs=1e-12, nan_ok=True)


def test_the_interval_holds_the_score() -> None:
    evidence = compare(*scene(1, n_images=30), 4)
    for metric in METRICS.values():
        made = score(metric, evidence, n_resamples=60)
        assert made.low <= made.value <= made.high
        assert 0 < made.high - made.low < 0.6


# --- by hand


def test_average_precision_by_hand() -> None:
    """Hit, miss, hit of two objects: precision 1 up to recall 0.5 (51 of 101 levels), 2/3 beyond."""
    objects = np.array([[0.0, 0, 50, 50], [100, 100, 150, 150]])
    boxes = np.array([objects[0], [200.0, 0, 250, 50], objects[1]])
    evidence = compare([(objects, [0, 0])], [(boxes, [0.9, 0.8, 0.7], [0, 0, 0])], 1)
    ap = (51 + 50 * 2 / 3) / 101
    expected = {"ap": ap, "ap50": ap, "ap75": ap, "ap_small": np.nan, "ap_large": np.nan, "ar100": 1.0, "f1": 0.8}
    assert values(evidence) == pytest.approx({**expected, "ap_medium": ap}, abs=1e-12, nan_ok=True)
    assert best_threshold(evidence) == 0.7
    table = {"objects": [2], "detections": [3], "ap": [ap], "ap50": [ap], "ap75": [ap]}
    made = by_class(evidence)
    assert list(made) == [*table, "precision", "recall", "threshold"]
    assert [made[name] for name in table] == [pytest.approx(column) for column in table.values()]
    assert (made["precision"], made["recall"], made["threshold"]) == ([2 / 3], [1.0], [0.7])


def test_an_iou_of_0_6_counts_at_the_three_lowest_thresholds() -> None:
    evidence = compare([([[0, 0, 100, 100]], [0])], [([[0, 0, 100, 60.5]], [0.5], [0])], 1)
    assert values(evidence)["ap"] == pytest.approx(0.3)
    assert values(evidence)["ap50"] == 1
    assert values(evidence)["ap75"] == 0
    assert [precision_recall(evidence, iou)[0][1].mean() for iou in (0.6, 0.65)] == [1, 0]


def test_detections_of_equal_score_count_together_in_f1() -> None:
    objects = np.array([[0.0, 0, 50, 50]])
    evidence = compare([(objects, [0])], [(np.vstack([objects, objects + 200]), [0.5, 0.5], [0, 0])], 1)
    assert values(evidence)["f1"] == pytest.approx(2 / 3)


def test_f1_of_a_resample_without_the_best_detections_is_silent() -> None:
    truth, found = (
        [([], []), ([[0, 0, 50, 50]], [0])],
        [([[0, 0, 50, 50]], [0.9], [0]), ([[60, 0, 90, 50]], [0.5], [0])],
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert values(compare(truth, found, 1), [1, 1])["f1"] == 0


def test_no_more_than_100_detections_of_an_image_and_class_count() -> None:
    boxes = np.tile([0.0, 0, 50, 50], (130, 1))
    evidence = compare([(boxes[:1], [1])], [(boxes, np.linspace(1, 0.1, 130), [1] * 120 + [0] * 10)], 2)
    assert by_class(evidence)["detections"] == [10, 100]


# --- what cannot be scored


def test_without_truth_nothing_can_be_scored() -> None:
    nothing = (np.zeros((0, 4)), [])
    for found in (([[0, 0, 5, 5]], [0.5], [0]), ([], [], [])):
        evidence = compare([nothing], [found], 2)
        assert np.isnan(list(values(evidence).values())).all()
        assert np.isnan(best_threshold(evidence))
        assert np.isnan([by_class(evidence)[name] for name in ("ap", "ap50", "ap75", "recall", "threshold")]).all()
        assert np.isnan([precision for _, precision in precision_recall(evidence)]).all()
    half = compare([nothing, ([[0, 0, 5, 5]], [0])], [([], [], []), ([[0, 0, 5, 5]], [0.5], [0])], 1)
    assert np.isnan(list(values(half, [0, 0]).values())).all()
    assert np.isnan(list(values(half, []).values())).all()
    assert values(half, [0, 1])["ap"] == 1


def test_without_detections_the_score_is_zero() -> None:
    evidence = compare([([[0, 0, 5, 5]], [1])], [([], [], [])], 2)
    made = values(evidence)
    assert (made["ap"], made["ap_small"], made["ar100"], made["f1"]) == (0, 0, 0, 0)
    assert np.isnan([made["ap_large"], best_threshold(evidence)]).all()
    assert by_class(evidence)["recall"] == pytest.approx([np.nan, 0], nan_ok=True)


def test_curves_give_the_average_precision_of_each_class() -> None:
    evidence = compare(*scene(2), 4)
    curves = precision_recall(evidence, 0.75)
    assert all(recall.tolist() == pytest.approx(np.linspace(0, 1, 101)) for recall, _ in curves)
    assert [precision.mean() for _, precision in curves] == pytest.approx(by_class(evidence)["ap75"], nan_ok=True)
    with pytest.raises(ConfigError) as caught:
        precision_recall(evidence, 0.4)
    assert str(caught.value) == "iou: 0.4. It must be one of 0.5, 0.55, ... 0.95."


@pytest.mark.parametrize(
    ("truth", "predictions", "text"),
    [
        ([], [], "0 images of truth and 0 of predictions. Give one entry per image."),
        ([([], [])], [], "1 images of truth and 0 of predictions. Give one entry per image."),
        (
            [([], [])],
            [([[0, 0, 5, 5]], [0.5, 0.4], [0])],
            "predictions, image 0: boxes, scores and labels have shapes (1, 4), (2,) and (1,). Give (n, 4), (n,) and (n,).",
        ),
        ([([[0, 0, 5, float("nan")]], [0])], [([], [], [])], "truth, image 0: NaN or infinite numbers."),
        (
            [([[9, 0, 5, 5]], [0])],
            [([], [], [])],
            "truth, image 0: reversed boxes. Write x1, y1, x2, y2 with x1 <= x2 and y1 <= y2.",
        ),
        (
            [([], []), ([], [])],
            [([], [], []), ([[0, 0, 5, 5]], [0.5], [2])],
            "predictions, image 1: labels [2]. They must be 0 to 1.",
        ),
    ],
)
def test_entries_that_do_not_fit(truth: Any, predictions: Any, text: str) -> None:
    with pytest.raises(DataError) as caught:
        compare(truth, predictions, 2)
    assert str(caught.value) == text


# --- house rules


def test_each_metric_stands_under_its_name() -> None:
    assert list(METRICS) == [*IN_STATS, "f1"]
    assert [metric.name for metric in METRICS.values()] == list(METRICS)
    assert all(metric.greater_is_better and not metric.of_labels for metric in METRICS.values())


def test_comparing_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    values(compare(*scene(0), 4))
    assert capfd.readouterr() == ("", "")


def test_importing_it_loads_no_faster_coco_eval() -> None:
    code = "import sys, goldfold.metrics.detection; sys.exit('faster_coco_eval' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
