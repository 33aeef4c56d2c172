"""Metrics of points against true ones.

A predicted point finds a true one of its class in its image if it is within ``distance_px``. Matching is one to one and greedy:
predictions by descending score, each with the nearest true point that is still free. What a point finds therefore does not
depend on points of lower score, so that one matching serves all thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, DataError, shown
from goldfold.metrics.metric import Metric, Rows
from goldfold.targets.nearness import default_distance

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
RECALLS = np.linspace(0, 1, 101)
AVERAGES = ("micro", "macro")
DISTANCES = (0.5, 1.0, 1.5, 2.0)
"""Multiples of the task's distance that `ap` is averaged over."""


@dataclass(frozen=True)
class Places:
    """Points of all images in flat arrays."""

    image: Ints
    label: Ints
    point: Floats
    """(n, 2) x, y in pixels."""
    score: Floats

    @classmethod
    def of(cls, images: Sequence[tuple[Any, Any, Any]]) -> "Places":
        """Flatten points (n, 2), scores (n,) and labels (n,) of each image."""
        lengths = [len(scores) for _, scores, _ in images]
        points, scores, labels = (
            np.concatenate([np.asarray(image[part], float).reshape(shape) for image in images] or [np.empty(empty)])
            for part, shape, empty in ((0, (-1, 2), (0, 2)), (1, -1, 0), (2, -1, 0))
        )
        return cls(np.repeat(np.arange(len(images)), lengths), labels.astype(np.int64), points, scores)


@dataclass(frozen=True)
class Evidence:
    """Predicted points with the true ones."""

    true: Places
    found: Places
    """By descending score."""
    sizes: Ints
    """(n, 2) height and width of each image in pixels."""
    n_classes: int
    thresholds: Floats
    """(n, classes) score from which a point counts."""
    distance_px: float | None = None
    """Distance of the task; None: 3 % of each image's longer side."""
    matched: dict[Any, Ints] = field(default_factory=dict, repr=False)
    """By distance: the row of the true point that each prediction finds, -1 for none; filled on access."""

    def __len__(self) -> int:
        return len(self.sizes)

    def arguments(self, rows: Rows) -> tuple["Evidence", Rows]:
        """See `goldfold.metrics.metric.Evidence`."""
        return self, rows

    def at(self, thresholds: Sequence[float]) -> "Evidence":
        """Return the same points decided by one threshold per class."""
        return replace(self, thresholds=np.tile(np.asarray(thresholds, float), (len(self), 1)))

    def levels(self, columns: Sequence[int]) -> Floats:
        """Return candidate thresholds for some of the classes: scores of their points, with 0.5."""
        scores = self.found.score[np.isin(self.found.label, columns)]
        return np.unique(np.append(scores, 0.5))

    def of_class(self, column: int) -> "Evidence":
        """Return the evidence of one class."""
        parts = []
        for places in (self.true, self.found):
            own = places.label == column
            parts.append(Places(places.image[own], np.zeros(own.sum(), np.int64), places.point[own], places.score[own]))
        return Evidence(parts[0], parts[1], self.sizes, 1, self.thresholds[:, [column]], self.distance_px)

    def reach(self, distance_px: float | None, factor: float = 1.0) -> Floats:
        """Return the distance up to which a point is at its place, of each image (n,)."""
        given = self.distance_px if distance_px is None else distance_px
        own = [default_distance((int(height), int(width))) for height, width in self.sizes]
        return np.asarray(own if given is None else np.full(len(self), float(given))) * factor

    def matches(self, distance_px: float | None = None, factor: float = 1.0) -> Ints:
        """Return the row of the true point that each prediction finds, -1 for none."""
        key = (self.distance_px if distance_px is None else distance_px, factor)
        if key not in self.matched:
            self.matched[key] = _matched(self.true, self.found, self.reach(distance_px, factor), self.n_classes)
        return self.matched[key]

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Return which predictions reach the threshold of their class."""
        return self.found.score >= self.thresholds[self.found.image, self.found.label]

    def cells(self, rows: Ints, labels: Ints, weights: Any = None) -> Floats:
        """Count by image and class, (n, classes)."""
        places = rows * self.n_classes + labels
        return np.bincount(places, weights, len(self) * self.n_classes).reshape(len(self), self.n_classes).astype(float)


def compare(
    truth: Sequence[tuple[Any, Any]],
    predictions: Sequence[tuple[Any, Any, Any]],
    sizes: Any,
    n_classes: int,
    thresholds: Floats,
    distance_px: float | None = None,
) -> Evidence:
    """Pair predicted points with true ones.

    Args:
        truth: per image, points in pixels and labels.
        predictions: per image in the same order, points in pixels, scores and labels.
        sizes: (n, 2) height and width of each image.
        thresholds: (n, classes) score from which a point counts.

    Raises:
        DataError: there are no images, or lengths differ.
    """
    if not len(truth) or len(truth) != len(predictions):
        raise DataError(
            f"{len(truth)} images of truth and {len(predictions)} of predictions. Give one entry per image."
        )
    true = Places.of([(points, np.ones(len(np.asarray(labels))), labels) for points, labels in truth])
    every = Places.of(predictions)
    order = np.lexsort((every.point[:, 1], every.point[:, 0], every.label, every.image, -every.score))
    found = Places(every.image[order], every.label[order], every.point[order], every.score[order])
    return Evidence(true, found, np.asarray(sizes, np.int64).reshape(-1, 2), n_classes, thresholds, distance_px)


def _matched(true: Places, found: Places, reach: Floats, n_classes: int) -> Ints:
    """Match greedily within each image and class, see the module."""
    matches = np.full(len(found.score), -1, np.int64)
    of_true, of_found = (_by_cell(places, n_classes) for places in (true, found))
    for cell, rows in of_found.items():
        if cell not in of_true:
            continue
        targets = of_true[cell]
        away = np.linalg.norm(found.point[rows][:, None] - true.point[targets][None], axis=2)
        away[away > reach[cell // n_classes]] = np.inf
        for place in np.flatnonzero(np.isfinite(away).any(axis=1)).tolist():
            nearest = int(away[place].argmin())
            if np.isfinite(away[place, nearest]):
                matches[rows[place]] = targets[nearest]
                away[:, nearest] = np.inf
    return matches


def _by_cell(places: Places, n_classes: int) -> dict[int, Ints]:
    """Rows by image and class; predictions stay in the order of their scores."""
    keys = places.image * n_classes + places.label
    order = np.argsort(keys, kind="stable")
    cells, starts = np.unique(keys[order], return_index=True)
    return dict(zip(cells.tolist(), np.split(order, starts[1:]), strict=True))


def fbeta(
    evidence: Evidence,
    rows: Rows,
    beta: float = 1.0,
    distance_px: float | None = None,
    average: str = "micro",
) -> float:
    """F-beta of the points that reach their threshold: ``beta`` above 1 counts missed points more than false ones.

    Args:
        distance_px: distance up to which a point is found, in pixels of the image; default: ``task_params.distance_px``.
        average: ``micro``: all points together; ``macro``: mean over the classes with a true point.
    """
    _above_0("beta", beta)
    _refuse_distance(distance_px)
    if average not in AVERAGES:
        raise ConfigError(f"average = {shown(average)}: allowed: {', '.join(AVERAGES)}")
    hits, found, true = (part[rows].sum(axis=0) for part in table(evidence, distance_px))
    if average == "micro":
        hits, found, true = (part.sum(keepdims=True) for part in (hits, found, true))
    scored = true > 0
    if not scored.any():
        return float("nan")
    values = (1 + beta**2) * hits / np.maximum(beta**2 * true + found, 1e-12)
    return float(values[scored].mean())


def table(evidence: Evidence, distance_px: float | None = None) -> tuple[Floats, Floats, Floats]:
    """Return points that are found, predicted, and true, by image and class (n, classes) each."""
    found, keep = evidence.found, evidence.counts
    hits = keep & (evidence.matches(distance_px) >= 0)
    true = evidence.cells(evidence.true.image, evidence.true.label)
    return evidence.cells(found.image, found.label, hits), evidence.cells(found.image, found.label, keep), true


def average_precision(evidence: Evidence, rows: Rows, distance_px: float | Sequence[float] | None = None) -> float:
    """Mean precision over 101 recall levels (COCO's interpolation), the distances, and the classes with a true point.

    Args:
        distance_px: distance up to which a point is found, or a list of several; default: half, one, one and a half and two
            times ``task_params.distance_px``.
    """
    return float(np.mean(precisions(evidence, rows, distance_px)))


def precisions(evidence: Evidence, rows: Rows, distance_px: float | Sequence[float] | None = None) -> Floats:
    """Return the average precision by distance and class with a true point, (distances, classes); NaN without any."""
    given: list[tuple[float | None, float]] = [(None, factor) for factor in DISTANCES]
    if distance_px is not None:
        listed: list[Any] = list(distance_px) if isinstance(distance_px, list | tuple) else [distance_px]
        for one in listed or [None]:  # an empty list has no distance
            _above_0("distance_px", one)
        given = [(one, 1.0) for one in listed]
    weight = np.bincount(rows, minlength=len(evidence))
    true = np.bincount(evidence.true.label, weight[evidence.true.image], evidence.n_classes)
    curves = [
        [_area(*curve(evidence, number, weight, reach, factor)) for number in np.flatnonzero(true).tolist()]
        for reach, factor in given
    ]
    return np.array(curves) if true.any() else np.full((len(given), 1), np.nan)


def curve(
    evidence: Evidence, number: int, weight: Ints, distance_px: float | None = None, factor: float = 1.0
) -> tuple[Floats, Floats, Floats]:
    """Return recall, precision and score of one class, point by point by descending score; equal scores count together.

    Args:
        weight: (n,) how many times each image counts.
    """
    own = np.flatnonzero(evidence.found.label == number)
    times = weight[evidence.found.image[own]]
    own, times = own[times > 0], times[times > 0]
    hits = np.cumsum(times * (evidence.matches(distance_px, factor)[own] >= 0))
    score, n_true = evidence.found.score[own], weight[evidence.true.image[evidence.true.label == number]].sum()
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1) if len(score) else np.array([], np.int64)
    return hits[last] / max(1, n_true), hits[last] / np.cumsum(times)[last], score[last]


def _area(recall: Floats, precision: Floats, score: Floats) -> float:
    best = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(best[np.searchsorted(recall, RECALLS - 1e-12)].mean())


def count_mae(evidence: Evidence, rows: Rows) -> float:
    """Mean difference between predicted and true number of points, over images and classes."""
    _, found, true = (part[rows] for part in table(evidence))
    return float(np.abs(found - true).mean())


def count_rmse(evidence: Evidence, rows: Rows) -> float:
    """Root of the mean squared difference between predicted and true number of points of an image, mean over the classes."""
    _, found, true = (part[rows] for part in table(evidence))
    return float(np.sqrt(np.square(found - true).mean(axis=0)).mean())


def mean_distance(evidence: Evidence, rows: Rows) -> float:
    """Mean distance in pixels between each true point and the best predicted one of its class, as for keypoints.

    The best is that of highest score, whatever the threshold; of k true points of a class, the k best are assigned to them by
    the smallest sum of distances. Without a prediction, the distance is the diagonal of the image.
    """
    away, weight = _away(evidence), np.bincount(rows, minlength=len(evidence))[evidence.true.image]
    return float(np.average(away, weights=weight)) if weight.any() else float("nan")


def pck(evidence: Evidence, rows: Rows, distance_px: float | None = None) -> float:
    """Share of true points whose predicted point, see `mean_distance`, is within a distance (PCK).

    Args:
        distance_px: in pixels of the image; default: ``task_params.distance_px``.
    """
    _refuse_distance(distance_px)
    weight = np.bincount(rows, minlength=len(evidence))[evidence.true.image]
    is_near = _away(evidence) <= evidence.reach(distance_px)[evidence.true.image]
    return float(np.average(is_near, weights=weight)) if weight.any() else float("nan")


def _away(evidence: Evidence) -> Floats:
    """Distance from each true point to its partner among the best predictions of its class in its image.

    There are as many of these as true points, in pairs of the smallest sum of distances.
    """
    from scipy.optimize import linear_sum_assignment

    away = np.hypot(*evidence.sizes[evidence.true.image].T).astype(float)
    of_found = _by_cell(evidence.found, evidence.n_classes)
    for cell, rows in _by_cell(evidence.true, evidence.n_classes).items():
        best = of_found.get(cell, np.array([], np.int64))[: len(rows)]
        apart = np.linalg.norm(evidence.true.point[rows][:, None] - evidence.found.point[best][None], axis=2)
        pairs = linear_sum_assignment(apart)
        away[rows[pairs[0]]] = apart[pairs]
    return away


def by_class(evidence: Evidence, distance_px: float | None = None) -> dict[str, list[float]]:
    """Return the columns of a table with one row per class; NaN for a class that cannot be scored."""
    hits, found, true = (part.sum(axis=0) for part in table(evidence, distance_px))
    errors = np.abs(table(evidence)[1] - table(evidence)[2]).mean(axis=0)
    weight = np.ones(len(evidence), np.int64)
    areas = [_area(*curve(evidence, number, weight, distance_px)) for number in range(evidence.n_classes)]
    nan = np.full(evidence.n_classes, np.nan)
    return {
        "images": (table(evidence)[2] > 0).sum(axis=0).tolist(),
        "points": true.astype(int).tolist(),
        "found": found.astype(int).tolist(),
        "precision": np.divide(hits, found, out=nan.copy(), where=found > 0).tolist(),
        "recall": np.divide(hits, true, out=nan.copy(), where=true > 0).tolist(),
        "f1": np.divide(2 * hits, true + found, out=nan.copy(), where=true > 0).tolist(),
        "ap": np.where(true > 0, areas, np.nan).tolist(),
        "count_mae": errors.tolist(),
    }


def _above_0(name: str, value: Any) -> None:
    """Raise ConfigError for a parameter that is no finite number above 0."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise ConfigError(f"{name} = {shown(value)}: must be a number above 0")


def _refuse_distance(value: float | None) -> None:
    if value is not None:
        _above_0("distance_px", value)


AP = Metric(average_precision, compares_cases=True)
FBETA = Metric(fbeta, of_labels=True)
COUNT_MAE = Metric(count_mae, greater_is_better=False, of_labels=True)
COUNT_RMSE = Metric(count_rmse, greater_is_better=False, of_labels=True)
MEAN_DISTANCE = Metric(mean_distance, greater_is_better=False)
PCK = Metric(pck)
