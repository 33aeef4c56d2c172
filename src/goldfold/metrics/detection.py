"""Metrics of object detection: COCO's average precision and recall, and F1.

Faster-coco-eval matches each image once, into one cell per class. For a bootstrap resample, its own accumulation is called
with the cells of the drawn images, and gives every AP and AR, with repeats.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from goldfold.base.errors import ConfigError, DataError
from goldfold.metrics.metric import Metric, Rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Truth = tuple[ArrayLike, ArrayLike]
"""Boxes (n, 4), x1, y1, x2, y2 in pixels, and labels (n,) of one image."""
Prediction = tuple[ArrayLike, ArrayLike, ArrayLike]
"""Boxes (n, 4), scores (n,) and labels (n,) of one image."""

MAX_DETECTIONS = 100
"""Number of best detections per image and class that count by default, as in COCO."""
AREAS = ("all", "small", "medium", "large")
"""COCO's ranges of areas, divided at 32 x 32 and 96 x 96 pixels."""


@dataclass(frozen=True)
class Matches:
    """Matches of faster-coco-eval over one range of areas; cannot be pickled."""

    params: Any
    """Parameters of the library: IoU thresholds, recall levels, range of areas."""
    cells: NDArray[np.object_]
    """(classes, images) result objects of the library."""


@dataclass(frozen=True)
class Evidence:
    """Detections of all images matched with the truth. Arrays are sorted by descending score, then by image."""

    matches: dict[str, Matches]
    """By each of `AREAS`, at IoU 0.5, 0.55, ... 0.95; ``iou50`` and ``iou75`` at one IoU, for all areas."""
    objects: Ints
    """(classes, images) number of true objects."""
    image: Ints
    """(detections,) position of the image."""
    label: Ints
    """(detections,) class."""
    score: Floats
    """(detections,) score."""
    hit: NDArray[np.bool_]
    """(detections,) True for detections matched at IoU 0.5."""

    def __len__(self) -> int:
        """Number of images."""
        return self.objects.shape[1]

    def arguments(self, rows: Rows) -> tuple["Evidence", Rows]:
        """Return the evidence itself and the selected images."""
        return self, rows


def compare(
    truth: Sequence[Truth],
    predictions: Sequence[Prediction],
    n_classes: int,
    max_detections: int = MAX_DETECTIONS,
) -> Evidence:
    """Match detections with true objects per class, as in COCO; no object is a crowd.

    Args:
        truth: per image, boxes in pixels and labels.
        predictions: per image in the same order, boxes in pixels, scores and labels.
        n_classes: labels are 0 to n_classes - 1.
        max_detections: best detections per image and class that count.

    Raises:
        DataError: no images, inconsistent lengths or shapes, reversed boxes, labels out of range, or NaN.
    """
    if not len(truth) or len(truth) != len(predictions):
        raise DataError(
            f"{len(truth)} images of truth and {len(predictions)} of predictions. Give one entry per image."
        )
    objects = _flat("truth", [(boxes, np.zeros(len(np.asarray(labels))), labels) for boxes, labels in truth], n_classes)
    found = _best_of_each_cell(_flat("predictions", predictions, n_classes), max_detections)
    sets = [_coco(boxes, len(truth), n_classes) for boxes in (objects, found)]
    every, at_50, at_75 = (_evaluated(sets, iou, max_detections) for iou in (None, 0.5, 0.75))
    matches = {area: _matches(every, number) for number, area in enumerate(AREAS)}
    matches |= {"iou50": _matches(at_50, 0), "iou75": _matches(at_75, 0)}
    hit = np.zeros(len(found.score), dtype=bool)
    hit[[int(pair.split("_")[0]) - 1 for pair in at_50.eval["matched"]]] = True
    counts = np.zeros((n_classes, len(truth)), dtype=np.int64)
    np.add.at(counts, (objects.label, objects.image), 1)
    order = np.lexsort((found.image, -found.score))
    return Evidence(matches, counts, found.image[order], found.label[order], found.score[order], hit[order])


def average_precision(evidence: Evidence, rows: Rows, matches: str = "all") -> float:
    """COCO's AP: mean precision over 101 recall levels, the IoU thresholds and the classes with objects.

    Args:
        matches: key of ``Evidence.matches``.
    """
    return _mean(_accumulated(evidence.matches[matches], rows)["precision"])


def average_recall(evidence: Evidence, rows: Rows) -> float:
    """COCO's AR with 100 detections: mean of the highest recall over IoU thresholds and the classes with objects."""
    return _mean(_accumulated(evidence.matches["all"], rows)["recall"])


def f1(evidence: Evidence, rows: Rows) -> float:
    """F1 at IoU 0.5 over the detections of all classes, at the score threshold that is best for the same images."""
    weight = np.bincount(rows, minlength=len(evidence))[evidence.image]
    return _best(evidence.score, evidence.hit, weight, int(evidence.objects[:, rows].sum()))["f1"]


AP = Metric(average_precision, compares_cases=True)
AP50 = Metric(partial(average_precision, matches="iou50"), compares_cases=True)
AP75 = Metric(partial(average_precision, matches="iou75"), compares_cases=True)
AP_SMALL = Metric(partial(average_precision, matches="small"), compares_cases=True)
AP_MEDIUM = Metric(partial(average_precision, matches="medium"), compares_cases=True)
AP_LARGE = Metric(partial(average_precision, matches="large"), compares_cases=True)
F1 = Metric(f1, compares_cases=True)


def best_threshold(evidence: Evidence) -> float:
    """Return the score threshold (detections at or above it count) with the best `f1`, the highest of several.

    NaN if there are no objects or no detections.
    """
    every = np.ones(len(evidence.score), dtype=np.int64)
    return _best(evidence.score, evidence.hit, every, int(evidence.objects.sum()))["threshold"]


def by_class(evidence: Evidence) -> dict[str, list[Any]]:
    """Return the columns of a table with one row per class; NaN for a class that cannot be scored.

    ``objects`` and ``detections`` are counts (of detections, those that count), ``ap``, ``ap50`` and ``ap75`` are those of
    COCO, ``precision``, ``recall`` and ``threshold`` are those of the best F1 of the class at IoU 0.5.
    """
    precision = _accumulated(evidence.matches["all"], np.arange(len(evidence)))["precision"]
    rows = []
    for number, objects in enumerate(evidence.objects.sum(axis=1).tolist()):
        of_class, own = precision[:, :, number], evidence.label == number
        best = _best(evidence.score[own], evidence.hit[own], np.ones(own.sum(), dtype=np.int64), objects)
        aps = {
            "ap": _mean(of_class),
            "ap50": _mean(of_class[_threshold(evidence, 0.5)]),
            "ap75": _mean(of_class[_threshold(evidence, 0.75)]),
        }
        ends = {name: best[name] for name in ("precision", "recall", "threshold")}
        rows.append({"objects": objects, "detections": int(own.sum()), **aps, **ends})
    return {name: [row[name] for row in rows] for name in rows[0]}


def precision_recall(evidence: Evidence, iou: float = 0.5) -> list[tuple[Floats, Floats]]:
    """Return recall (101,) and COCO's interpolated precision (101,) per class; NaN for a class without objects.

    Args:
        iou: one of 0.5, 0.55, ... 0.95.
    """
    precision = _accumulated(evidence.matches["all"], np.arange(len(evidence)))["precision"][_threshold(evidence, iou)]
    recall = np.asarray(evidence.matches["all"].params.recThrs)
    return [(recall, np.where(column > -1, column, np.nan)) for column in precision.T]


def _accumulated(matches: Matches, rows: Rows) -> dict[str, Floats]:
    """Return ``precision`` (thresholds, 101, classes) and ``recall`` (thresholds, classes); -1 without objects."""
    from faster_coco_eval.faster_eval_api_cpp import COCOevalAccumulate

    params = copy(matches.params)
    params.imgIds = list(range(len(rows)))
    made = COCOevalAccumulate(params, matches.cells[:, rows].ravel().tolist())
    return {name: made[name][..., 0, 0] for name in ("precision", "recall")}


def _mean(values: Floats) -> float:
    scored = values[values > -1]
    return float(scored.mean()) if scored.size else float("nan")


def _threshold(evidence: Evidence, iou: float) -> int:
    near = np.flatnonzero(np.isclose(evidence.matches["all"].params.iouThrs, iou))
    if not len(near):
        raise ConfigError(f"iou: {iou}. It must be one of 0.5, 0.55, ... 0.95.")
    return int(near[0])


def _best(score: Floats, hit: NDArray[np.bool_], weight: Ints, n_objects: int) -> dict[str, float]:
    """Return the best F1 with its precision, recall and threshold.

    Args:
        score, hit, weight: per detection by descending score; ``weight`` is how many times it counts.
    """
    nan = float("nan")
    if n_objects == 0:
        return {"f1": nan, "precision": nan, "recall": nan, "threshold": nan}
    if not weight.any():
        return {"f1": 0.0, "precision": nan, "recall": 0.0, "threshold": nan}
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)  # equal scores count together
    n_found, n_hit = np.cumsum(weight)[last], np.cumsum(weight * hit)[last]
    values = 2 * n_hit / (n_found + n_objects)
    top = int(np.flatnonzero((values == values.max()) & (n_found > 0))[0])
    precision, recall = float(n_hit[top] / n_found[top]), float(n_hit[top] / n_objects)
    return {"f1": float(values[top]), "precision": precision, "recall": recall, "threshold": float(score[last[top]])}


@dataclass(frozen=True)
class _Boxes:
    """Boxes of all images in flat arrays."""

    image: Ints
    box: Floats
    score: Floats
    label: Ints

    def annotations(self) -> list[dict[str, Any]]:
        """Return the boxes as COCO annotations, with ids from 1."""
        sides = self.box[:, 2:] - self.box[:, :2]
        columns = (self.image, self.label, np.hstack([self.box[:, :2], sides]), sides.prod(axis=1), self.score)
        names = ("image_id", "category_id", "bbox", "area", "score")
        rows = zip(*(column.tolist() for column in columns), strict=True)
        return [{"id": id_, "iscrowd": 0, **dict(zip(names, row, strict=True))} for id_, row in enumerate(rows, 1)]


def _flat(what: str, images: Sequence[Prediction], n_classes: int) -> _Boxes:
    parts = []
    for number, (boxes, scores, labels) in enumerate(images):
        box, score, label = np.asarray(boxes, np.float64), np.asarray(scores, np.float64), np.asarray(labels)
        where = f"{what}, image {number}"
        if box.size != 4 * len(label) or not len(box) == len(score) == len(label):
            shapes = f"{box.shape}, {score.shape} and {label.shape}"
            raise DataError(f"{where}: boxes, scores and labels have shapes {shapes}. Give (n, 4), (n,) and (n,).")
        box = box.reshape(-1, 4)
        if not (np.isfinite(box).all() and np.isfinite(score).all()):
            raise DataError(f"{where}: NaN or infinite numbers.")
        if (box[:, :2] > box[:, 2:]).any():
            raise DataError(f"{where}: reversed boxes. Write x1, y1, x2, y2 with x1 <= x2 and y1 <= y2.")
        if not np.isin(label, np.arange(n_classes)).all():
            raise DataError(f"{where}: labels {np.unique(label).tolist()}. They must be 0 to {n_classes - 1}.")
        parts.append((np.full(len(label), number), box, score, label.astype(np.int64)))
    return _Boxes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _best_of_each_cell(found: _Boxes, most: int) -> _Boxes:
    """Keep the best ``most`` per image and class; equal scores stay in the given order, as in COCO."""
    order = np.lexsort((-found.score, found.label, found.image))
    cell = found.image[order] * (found.label.max(initial=0) + 1) + found.label[order]
    order = order[np.arange(len(order)) - np.searchsorted(cell, cell) < most]
    return _Boxes(found.image[order], found.box[order], found.score[order], found.label[order])


def _coco(boxes: _Boxes, n_images: int, n_classes: int) -> Any:
    from faster_coco_eval import COCO

    categories = [{"id": number, "name": str(number)} for number in range(n_classes)]
    images = [{"id": number} for number in range(n_images)]
    return COCO({"images": images, "categories": categories, "annotations": boxes.annotations()})


def _evaluated(sets: list[Any], iou: float | None, max_detections: int) -> Any:
    """Run faster-coco-eval at ten IoU thresholds and over all of `AREAS`, or at one IoU for all areas.

    ``eval["matched"]`` pools the pairs of all thresholds and areas, so it identifies hits only if ``iou`` is given.
    """
    from faster_coco_eval import COCOeval_faster

    evaluation = COCOeval_faster(*sets, iouType="bbox", separate_eval=True)
    evaluation.params.maxDets = [max_detections]
    if iou is not None:
        evaluation.params.iouThrs, evaluation.params.areaRng = np.array([iou]), evaluation.params.areaRng[:1]
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation


def _matches(evaluation: Any, area: int) -> Matches:
    params = copy(evaluation.params)
    shape = (len(params.catIds), len(params.areaRng), len(params.imgIds))
    cells = np.array(evaluation._evalImgs_cpp, dtype=object).reshape(shape)[:, area]
    params.areaRng = params.areaRng[area : area + 1]
    return Matches(params, cells)
