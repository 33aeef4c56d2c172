"""Scores with intervals, and scores of many resamples.

What a metric computes per sample, such as whether the prediction is right, or the order of the scores, is the same in all
resamples. For metrics in `PREPARED` it is computed once; a resample is then scored without sorting. The values are those of
the metric to the last bit, since counts of samples are exact in floating point, and means are taken over the same numbers in
the same order.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.bound import parts_of
from goldfold.base.many import are_many
from goldfold.metrics.areas import resampled_areas
from goldfold.metrics.bootstrap import Score, draws, independent, resample, summary
from goldfold.metrics.metric import Evidence, Metric, Rows
from goldfold.metrics.ranking import reciprocal_ranks

OfRows = Callable[[Rows], float]
Ordered = tuple[NDArray[Any], NDArray[Any], NDArray[np.bool_]]
"""Samples in order of their scores, index of the first one of each distinct score, whether each is positive."""


def score(metric: Metric, evidence: Evidence, groups: Sequence[str] | None = None, n_resamples: int = 1000) -> Score:
    """Score all images, with a 95 % interval; whole groups are resampled if there are groups."""
    return score_and_draws(metric, evidence, groups, n_resamples)[0]


def score_and_draws(
    metric: Metric, evidence: Evidence, groups: Sequence[str] | None = None, n_resamples: int = 1000
) -> tuple[Score, NDArray[np.float64]]:
    """Return the score of all images with its interval, and the scores of the resamples that this is from."""
    found = drawn(metric, evidence, groups, n_resamples)
    value = metric.value(evidence, np.arange(len(evidence)))
    return summary(value, found, independent(len(evidence), groups)), found


def drawn(
    metric: Metric, evidence: Evidence, groups: Sequence[str] | None = None, n_resamples: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """Score resamples (n_resamples,), which are the same for all predictions of the same images."""
    if not is_together(metric, evidence):
        return resample(prepared(metric, evidence), len(evidence), groups, n_resamples, seed)
    together = TOGETHER[place(metric.function)]
    n, every = len(evidence), draws(len(evidence), groups, n_resamples, seed)
    counts = np.array([np.bincount(rows, minlength=n) for rows in every], dtype=np.int32).reshape(-1, n)
    return together(*evidence.arguments(np.arange(n)), counts)


def is_together(metric: Metric, evidence: Evidence) -> bool:
    """Return whether all resamples of an evidence are scored at once, see `TOGETHER`."""
    probabilities = getattr(evidence, "probabilities", np.empty((0, 0)))
    return place(metric.function) in TOGETHER and are_many(probabilities.shape[1])


def prepared(metric: Metric, evidence: Evidence) -> OfRows:
    """Return the function of rows that `Metric.value` is for an evidence; faster for many sets of rows, if known how."""
    function, values = parts_of(metric.function)
    prepare = PREPARED.get(place(function))
    if prepare is None:
        return lambda rows: metric.value(evidence, rows)
    decided = getattr(evidence, "decided", None) if metric.of_labels else None
    return prepare(*(decided or evidence.arguments)(np.arange(len(evidence))), **values)


def place(function: Callable[..., Any]) -> str:
    """Module and name of a function.

    >>> place(place)
    'goldfold.metrics.resampling.place'
    """
    return f"{getattr(function, '__module__', '')}.{getattr(function, '__name__', '')}"


def _accuracy(probabilities: NDArray[Any], labels: NDArray[Any]) -> OfRows:
    hit = probabilities.argmax(axis=1) == labels
    return lambda rows: float(hit[rows].mean())


def _log_loss(probabilities: NDArray[Any], labels: NDArray[Any]) -> OfRows:
    of_true = probabilities[np.arange(len(labels)), labels] / probabilities.sum(axis=1)
    logs = np.log(np.clip(of_true, 1e-15, 1))
    return lambda rows: float(-logs[rows].mean())


def _balanced_accuracy(probabilities: NDArray[Any], labels: NDArray[Any]) -> OfRows:
    hit, n = probabilities.argmax(axis=1) == labels, probabilities.shape[1]

    def value(rows: Rows) -> float:
        own = labels[rows]
        n_true, hits = np.bincount(own, minlength=n), np.bincount(own[hit[rows]], minlength=n)
        return float(np.mean(hits[n_true > 0] / n_true[n_true > 0]))

    return value


def _f1_macro(probabilities: NDArray[Any], labels: NDArray[Any]) -> OfRows:
    """Mean F1 of the classes that are true or predicted, as that of scikit-learn."""
    chosen, n = probabilities.argmax(axis=1), probabilities.shape[1]

    def value(rows: Rows) -> float:
        own, predicted = labels[rows], chosen[rows]
        n_both = np.bincount(own, minlength=n) + np.bincount(predicted, minlength=n)
        hits = np.bincount(own[own == predicted], minlength=n)
        return float(np.mean(2 * hits[n_both > 0] / n_both[n_both > 0]))

    return value


def _map_at_k(probabilities: NDArray[Any], labels: NDArray[Any], k: int = 5) -> OfRows:
    values = reciprocal_ranks(probabilities, labels, k)
    return lambda rows: float(values[rows].mean())


def _gap(probabilities: NDArray[Any], labels: NDArray[Any]) -> OfRows:
    hit = probabilities.argmax(axis=1) == labels
    ordered = _ordered(probabilities.max(axis=1), hit)

    def value(rows: Rows) -> float:
        precision = _average_precision(ordered, np.bincount(rows, minlength=len(hit)))
        return precision * float(hit[rows].mean()) if hit[rows].any() else 0.0

    return value


def _of_classes(of_class: Callable[[Ordered, NDArray[np.int64]], float]) -> Callable[..., OfRows]:
    """Prepare the mean over classes of a ranking metric: of the second of two, or of all that can be scored."""

    def prepare(probabilities: NDArray[Any], labels: NDArray[Any]) -> OfRows:
        columns = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
        return _mean([_ordered(probabilities[:, column], labels == column) for column in columns], of_class)

    return prepare


def _of_labels(of_class: Callable[[Ordered, NDArray[np.int64]], float]) -> Callable[..., OfRows]:
    def prepare(found: Any) -> OfRows:
        pairs = zip(found.probabilities.T, (found.truth == 1).T, strict=True)
        return _mean([_ordered(values, is_positive) for values, is_positive in pairs], of_class)

    return prepare


def _mean(ordered: Sequence[Ordered], of_class: Callable[[Ordered, NDArray[np.int64]], float]) -> OfRows:
    n = len(ordered[0][0]) if ordered else 0

    def value(rows: Rows) -> float:
        counts = np.bincount(rows, minlength=n)
        known = [found for one in ordered if np.isfinite(found := of_class(one, counts))]
        return float(np.mean(known)) if known else float("nan")

    return value


def _ordered(scores: NDArray[Any], is_positive: NDArray[np.bool_]) -> Ordered:
    order = np.argsort(-scores, kind="stable").astype(np.int32)
    ordered = scores[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(order)])
    return order, starts, is_positive[order]


def _levels(ordered: Ordered, counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of drawn positives, and of all drawn samples, at each distinct score, the highest first."""
    order, starts, is_positive = ordered
    every = counts[order]
    positive = every * is_positive
    if len(starts) == len(order):
        return positive, every
    return np.add.reduceat(positive, starts), np.add.reduceat(every, starts)


def _area(ordered: Ordered, counts: NDArray[np.int64]) -> float:
    """Area under the ROC curve: see `goldfold.metrics.ranking.roc_area`."""
    positive, every = _levels(ordered, counts)
    n_positive, n = int(positive.sum()), int(every.sum())
    if not n_positive or n_positive == n:
        return float("nan")
    negative = every - positive
    twice = int(np.dot(positive, 2 * (n - n_positive - np.cumsum(negative)) + negative))
    return float((twice / 2) / (n_positive * (n - n_positive)))


def _average_precision(ordered: Ordered, counts: NDArray[np.int64]) -> float:
    """Average precision: see `goldfold.metrics.ranking.average_precision`."""
    positive, every = _levels(ordered, counts)
    there = every > 0
    found, above = np.cumsum(positive[there]), np.cumsum(every[there])
    if not len(found) or not found[-1]:
        return float("nan")
    return float((np.diff(found, prepend=0) * found / above).sum() / found[-1])


PREPARED: Mapping[str, Callable[..., OfRows]] = {
    "goldfold.metrics.classification.accuracy": _accuracy,
    "goldfold.metrics.classification.balanced_accuracy": _balanced_accuracy,
    "goldfold.metrics.classification.f1_macro": _f1_macro,
    "goldfold.metrics.classification.log_loss": _log_loss,
    "goldfold.metrics.classification.roc_auc": _of_classes(_area),
    "goldfold.metrics.positives.average_precision": _of_classes(_average_precision),
    "goldfold.metrics.positives.gap": _gap,
    "goldfold.metrics.positives.map_at_k": _map_at_k,
    "goldfold.metrics.multilabel.roc_auc": _of_labels(_area),
    "goldfold.metrics.multilabel.mean_average_precision": _of_labels(_average_precision),
}
"""Place of a metric's function -> function of its arguments for all images, which returns a function of rows.

Metrics are named as text and not imported, so that each is code only of the jobs that use it (written with a colon, a name
would count as a component).
"""
TOGETHER: Mapping[str, Callable[..., NDArray[np.float64]]] = {
    "goldfold.metrics.classification.roc_auc": resampled_areas,
}
"""Place of a metric's function -> function of its arguments and of the counts of all resamples, faster for many classes."""
