"""Metrics of object detection: COCO's average precision and recall, and F1.

Faster-coco-eval matches each image once, into a cell for each class; a resample hands it the cells of the images drawn,
so that its own accumulation gives every AP and AR, with and without repeats.
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
"""Best detections of each image and class that count, as in COCO."""
AREAS = ("all", "small", "medium", "large")
"""COCO's ranges, parted at 32 x 32 and 96 x 96 pixels."""


@dataclass(frozen=True)
class Matches:
    """What faster-coco-eval matched over one range of areas; it cannot be pickled."""

    params: Any
    """The library's parameters: IoU thresholds, levels of recall, the range of areas."""
    cells: NDArray[np.object_]
    """(classes, images) results of the library."""


@dataclass(frozen=True)
class Evidence:
    """Detections of all images beside the truth. The arrays are by falling score, those of equal score by image."""

    matches: dict[str, Matches]
    """At IoU 0.5, 0.55, ... 0.95 for each of `AREAS`; at one IoU for all areas: ``iou50`` and ``iou75``."""
    objects: Ints
    """(classes, images) number of true objects."""
    image: Ints
    """(detections,) position of the image."""
    label: Ints
    """(detections,) class."""
    score: Floats
    """(detections,) score."""
    hit: NDArray[np.bool_]
    """(detections,) whether it is matched at IoU 0.5."""

    def __len__(self) -> int:
        """Number of images."""
        return self.objects.shape[1]

    def arguments(self, rows: Rows) -> tuple["Evidence", Rows]:
        """Itself, and which images count."""
        return self, rows


def compare(truth: Sequence[Truth], predictions: Sequence[Prediction], n_classes: int) -> Evidence:
    """Evidence of all images: each class's detections matched with its objects as in COCO, no object being a crowd.

    Args:
        truth: boxes in pixels and labels, an entry an image.
        predictions: boxes in pixels, scores and labels, in the same order.
        n_classes: labels are 0 to n_classes - 1.

    Raises:
        DataError: no images, or entries that do not fit each other; boxes are reversed, labels out of range, or NaN.
    """
    if not len(truth) or len(truth) != len(predictions):
        raise DataError(f"{len(truth)} images of truth and {len(predictions)} of predictions. Give one entry an image.")
    objects = _flat("truth", [(boxes, np.zeros(len(np.asarray(labels))), labels) for boxes, labels in truth], n_classes)
    found = _best_of_each_cell(_flat("predictions", predictions, n_classes))
    sets = [_coco(boxes, len(truth), n_classes) for boxes in (objects, found)]
    every, at_50, at_75 = (_evaluated(sets, iou) for iou in (None, 0.5, 0.75))
    matches = {area: _matches(every, number) for number, area in enumerate(AREAS)}
    matches |= {"iou50": _matches(at_50, 0), "iou75": _matches(at_75, 0)}
    hit = np.zeros(len(found.score), dtype=bool)
    hit[[int(pair.split("_")[0]) - 1 for pair in at_50.eval["matched"]]] = True
    counts = np.zeros((n_classes, len(truth)), dtype=np.int64)
    np.add.at(counts, (objects.label, objects.image), 1)
    order = np.lexsort((found.image, -found.score))
    return Evidence(matches, counts, found.image[order], found.label[order], found.score[order], hit[order])


def average_precision(evidence: Evidence, rows: Rows, matches: str = "all") -> float:
    """COCO's AP: mean of precision over 101 levels of recall, IoU thresholds and the classes that have objects.

    Args:
        matches: which of the evidence's.
    """
    return _mean(_accumulated(evidence.matches[matches], rows)["precision"])


def average_recall(evidence: Evidence, rows: Rows) -> float:
    """COCO's AR with 100 detections: mean of the highest recall over IoU thresholds and the classes with objects."""
    return _mean(_accumulated(evidence.matches["all"], rows)["recall"])


def f1(evidence: Evidence, rows: Rows) -> float:
    """F1 at IoU 0.5 over the detections of all classes, at the score threshold that is best for these very images."""
    weight = np.bincount(rows, minlength=len(evidence))[evidence.image]
    return _best(evidence.score, evidence.hit, weight, int(evidence.objects[:, rows].sum()))["f1"]


AP50 = Metric(partial(average_precision, matches="iou50"))
AP75 = Metric(partial(average_precision, matches="iou75"))
AP_SMALL = Metric(partial(average_precision, matches="small"))
AP_MEDIUM = Metric(partial(average_precision, matches="medium"))
AP_LARGE = Metric(partial(average_precision, matches="large"))


def best_threshold(evidence: Evidence) -> float:
    """Score from which on detections count where `f1` is best, the highest of several; NaN without any to choose."""
    every = np.ones(len(evidence.score), dtype=np.int64)
    return _best(evidence.score, evidence.hit, every, int(evidence.objects.sum()))["threshold"]


def by_class(evidence: Evidence) -> dict[str, list[Any]]:
    """Columns of a table with a row a class; NaN where a class cannot be scored.

    ``objects`` and ``detections`` are counts (of detections, at most 100 an image), ``ap``, ``ap50`` and ``ap75`` are
    COCO's, ``precision``, ``recall`` and ``threshold`` belong to the class's own best F1 at IoU 0.5.
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
    """Recall (101,) and COCO's interpolated precision (101,) of each class; NaN where a class has no objects.

    Args:
        iou: one of 0.5, 0.55, ... 0.95.
    """
    precision = _accumulated(evidence.matches["all"], np.arange(len(evidence)))["precision"][_threshold(evidence, iou)]
    recall = np.asarray(evidence.matches["all"].params.recThrs)
    return [(recall, np.where(column > -1, column, np.nan)) for column in precision.T]


def _accumulated(matches: Matches, rows: Rows) -> dict[str, Floats]:
    """``precision`` (thresholds, 101, classes) and ``recall`` (thresholds, classes); -1 where there are no objects."""
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
    """Best F1 with its precision, recall and threshold, of detections by falling score that count ``weight`` times."""
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
    """Boxes of all images in one row of arrays."""

    image: Ints
    box: Floats
    score: Floats
    label: Ints

    def annotations(self) -> list[dict[str, Any]]:
        """COCO's form, ids from 1."""
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
            raise DataError(f"{where}: boxes, scores and labels of shapes {shapes}. Give (n, 4), (n,) and (n,).")
        box = box.reshape(-1, 4)
        if not (np.isfinite(box).all() and np.isfinite(score).all()):
            raise DataError(f"{where}: NaN or infinite numbers.")
        if (box[:, :2] > box[:, 2:]).any():
            raise DataError(f"{where}: reversed boxes. Write x1, y1, x2, y2 with x1 <= x2 and y1 <= y2.")
        if not np.isin(label, np.arange(n_classes)).all():
            raise DataError(f"{where}: labels {np.unique(label).tolist()}. They must be 0 to {n_classes - 1}.")
        parts.append((np.full(len(label), number), box, score, label.astype(np.int64)))
    return _Boxes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _best_of_each_cell(found: _Boxes) -> _Boxes:
    """By image and class, the best `MAX_DETECTIONS` by falling score; equal scores in the order given, as in COCO."""
    order = np.lexsort((-found.score, found.label, found.image))
    cell = found.image[order] * (found.label.max(initial=0) + 1) + found.label[order]
    order = order[np.arange(len(order)) - np.searchsorted(cell, cell) < MAX_DETECTIONS]
    return _Boxes(found.image[order], found.box[order], found.score[order], found.label[order])


def _coco(boxes: _Boxes, n_images: int, n_classes: int) -> Any:
    from faster_coco_eval import COCO

    categories = [{"id": number, "name": str(number)} for number in range(n_classes)]
    images = [{"id": number} for number in range(n_images)]
    return COCO({"images": images, "categories": categories, "annotations": boxes.annotations()})


def _evaluated(sets: list[Any], iou: float | None) -> Any:
    """Faster-coco-eval's evaluation at ten IoU thresholds and over all of `AREAS`, or at one without regard to area.

    Its ``eval["matched"]`` has the pairs of all thresholds and areas together, hence tells hits only with ``iou``.
    """
    from faster_coco_eval import COCOeval_faster

    evaluation = COCOeval_faster(*sets, iouType="bbox", separate_eval=True)
    evaluation.params.maxDets = [MAX_DETECTIONS]
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
