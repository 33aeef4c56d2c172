"""Fitted decision thresholds on class probabilities, per image or pixel."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.components import Written
from goldfold.ensembling.steps import Members, Metric, only, signed

if TYPE_CHECKING:
    import pandas as pd

NEUTRAL = 0.5
"""Default threshold, which changes no decision."""
SWEEPS = 3
"""Maximum number of passes over the classes: for micro averages, the best threshold of one depends on the others."""
MOST = 200
"""Most levels that are tried at a time, of a metric that is not known by counts."""
MOST_MATRICES = 20_000
"""Most confusion matrices at a time."""
SAME = 1e-12
"""Metric values within this count as equal; of equally good thresholds, the one nearest to 0.5 is used."""


ONE_COLUMN = ("label", "labels")
"""Targets of which all images are in memory at once, as one column per class."""


class Decidable(Protocol):
    """Predictions paired with the truth, before any decision."""

    def __len__(self) -> int:
        """Number of images."""

    def levels(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Return the candidate thresholds for some of the classes, including `NEUTRAL`."""

    def at(self, thresholds: Sequence[float]) -> Any:
        """Return the evidence decided by one threshold per class."""

    def of_class(self, column: int) -> "Decidable":
        """Return the evidence of one class; used for metrics that are a mean over classes."""


class Decides(Protocol):
    """Optional task facet: decisions by threshold."""

    def decided_classes(self) -> list[str]:
        """Return the names of the classes that have a threshold."""

    def decidable(self, predictions: Any, truth: Any) -> Decidable:
        """Pair predictions with the truth, for any thresholds."""

    def decide(self, predictions: Any, thresholds: Sequence[float]) -> Any:
        """Return the predictions with these decision thresholds attached."""

    def metric(self, wanted: Written) -> Metric:
        """Return a metric given as in the config."""


class Thresholds:
    """Decision thresholds on class probabilities with the best out-of-fold score, one per class or one for all."""

    is_by_image = True

    def __init__(self, task: Decides, workers: int, metric: Written | None = None, per_class: bool = True) -> None:
        """Set up for a task.

        Args:
            metric: metric that the thresholds are fitted for; default: that of the config.
            per_class: one threshold per class, instead of one for all.

        Raises:
            ConfigError: the task does not decide by thresholds.
        """
        if not hasattr(task, "decided_classes"):
            raise ConfigError("ensemble: thresholds: this task does not decide by thresholds. Remove the step.")
        self.task, self.metric, self.classes = task, metric, task.decided_classes()
        self.needs_all = getattr(task, "target", None) in ONE_COLUMN
        self.groups = [[place] for place in range(len(self.classes))] if per_class else [[*range(len(self.classes))]]

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return ``thresholds`` by class."""
        chosen = self.task.metric(self.metric) if self.metric else metric
        evidence = self.task.decidable(only(members), truth)
        if len(self.groups) > 1 and getattr(chosen, "is_mean_over_classes", False):
            parts = [evidence.of_class(place) for place in range(len(self.classes))]
            found = np.concatenate([_search(part, chosen, [[0]]) for part in parts])
        else:
            found = _search(evidence, chosen, self.groups)
        return {"thresholds": dict(zip(self.classes, found.tolist(), strict=True))}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Attach the thresholds to the predictions; probabilities stay the same."""
        thresholds = [fitted["thresholds"][name] for name in self.classes]
        return {name: self.task.decide(predictions, thresholds) for name, predictions in members.items()}


def _search(evidence: Decidable, metric: Metric, groups: Sequence[list[int]]) -> NDArray[np.float64]:
    """Search thresholds (classes,) from 0.5, one group of classes after the other; all stay 0.5 without a finite score."""
    thresholds, rows = np.full(sum(map(len, groups)), NEUTRAL), np.arange(len(evidence))

    def value(tried: NDArray[np.float64]) -> float:
        return signed(metric.value(evidence.at(tried.tolist()), rows), metric)

    def value_at(group: list[int], level: float) -> float:
        tried = thresholds.copy()
        tried[group] = level
        return value(tried)

    for _ in range(SWEEPS if len(groups) > 1 else 1):
        before = thresholds.copy()
        for group in groups if np.isfinite(value(thresholds)) else ():
            levels = evidence.levels(group)
            if getattr(metric, "of_counts", None) and hasattr(evidence, "outcomes"):
                values = _by_counts(evidence, metric, group, levels, thresholds)
            elif getattr(metric, "of_confusion", None) and hasattr(evidence, "confusions") and len(group) == 1:
                values = _of_confusions(evidence, metric, group[0], levels, thresholds)
            else:
                levels, values = _narrowed(levels, partial(value_at, group))
            thresholds[group] = _best(levels, values)
        if np.array_equal(before, thresholds):
            break
    return thresholds


def _by_counts(
    evidence: Any, metric: Any, group: list[int], levels: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values of the metric at all levels (levels,), more is better; -inf where it is undefined."""
    found, others = evidence.outcomes(group, levels, thresholds)
    is_mean = metric.is_mean_over_classes
    values = metric.of_counts(found).mean(axis=0) if is_mean else metric.of_counts(found.summed(others))
    values = values if metric.greater_is_better else -values
    return np.where(np.isfinite(values), values, -np.inf)


def _of_confusions(
    evidence: Any, metric: Any, place: int, levels: NDArray[np.float64], thresholds: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Values of the metric at all levels (levels,) of one of several ordered thresholds, as of `_by_counts`."""
    blocks = [levels[start : start + MOST_MATRICES] for start in range(0, len(levels), MOST_MATRICES)]
    found = np.concatenate([metric.of_confusion(evidence.confusions(place, one, thresholds)) for one in blocks])
    values = found if metric.greater_is_better else -found
    return np.where(np.isfinite(values), values, -np.inf)


def _narrowed(
    levels: NDArray[np.float64], value: Callable[[float], float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Try some of the levels (sorted), then those around the best ones; return the levels tried and their values.

    The largest and smallest levels are close together, since thresholds of rare classes are among them. The result is the best
    of all levels where the value has one maximum in the last range; up to `MOST` levels are all tried.
    """
    low, high = 0, len(levels)
    tried = {int(np.searchsorted(levels, NEUTRAL)): value(NEUTRAL)}
    while True:
        for place in _spread(low, high):
            if place not in tried:
                tried[place] = value(float(levels[place]))
        places = np.array(sorted(tried))
        values = np.array([tried[place] for place in places])
        if high - low <= MOST:
            return levels[places], values
        around = int(np.searchsorted(levels[places], _best(levels[places], values)))
        low, high = int(places[max(0, around - 1)]), int(places[min(len(places) - 1, around + 1)]) + 1


def _spread(low: int, high: int) -> list[int]:
    """Return at most `MOST` places from low to high - 1, with ever larger steps from both ends to the middle."""
    n = high - low
    if n <= MOST:
        return [*range(low, high)]
    steps = np.unique(np.geomspace(1, n / 2, MOST // 2).astype(int)) - 1
    return sorted({*(low + steps).tolist(), *(high - 1 - steps).tolist()})


def _best(levels: NDArray[np.float64], values: NDArray[np.float64]) -> float:
    """Return the level with the largest value, of several the one nearest to `NEUTRAL`."""
    good = levels[values >= values.max() - SAME]
    return float(good[np.abs(good - NEUTRAL).argmin()])
