"""Metrics of points against true ones, see `goldfold.metrics.matched_points`."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from goldfold.base.errors import ConfigError, shown
from goldfold.metrics.matched_points import Evidence, Floats, Ints, by_cell
from goldfold.metrics.metric import Metric, Rows

RECALLS = np.linspace(0, 1, 101)
AVERAGES = ("micro", "macro")
DISTANCES = (0.5, 1.0, 1.5, 2.0)
"""Multiples of the task's distance that `ap` is averaged over."""


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

    There are as many of these as true points, in pairs of the smallest sum of distances. It is kept for the next resample.
    """
    if "away" not in evidence.partners:
        evidence.partners["away"] = _to_partners(evidence)
    return evidence.partners["away"]


def _to_partners(evidence: Evidence) -> Floats:
    from scipy.optimize import linear_sum_assignment

    away = np.hypot(*evidence.sizes[evidence.true.image].T).astype(float)
    of_found = by_cell(evidence.found, evidence.n_classes)
    for cell, rows in by_cell(evidence.true, evidence.n_classes).items():
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
