"""Conformal prediction sets and intervals, whose limits are fitted on out-of-fold predictions."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, DataError, shown
from goldfold.ensembling.columns import Array, Targets, values_of
from goldfold.ensembling.conformal import OF_ONE_CLASS, cumulative, improbable, limit, too_few, uniform
from goldfold.ensembling.steps import Members, Metric, only

if TYPE_CHECKING:
    import pandas as pd

KEEP_SCORES = SETS, INTERVALS = "prediction_sets", "prediction_intervals"
"""Names of the steps of this module, which attach arrays that no metric reads."""
COVERAGE = 0.9
SCORES = ("threshold", "adaptive")


class PredictionSets:
    """Set of classes per image that contains the true class with a probability of ``coverage``."""

    keeps_scores = True
    is_by_image = True

    def __init__(
        self,
        task: Targets,
        workers: int,
        coverage: float = COVERAGE,
        score: str = "threshold",
        randomised: bool = True,
        by: str | None = None,
        groups: bool = True,
    ) -> None:
        """Set up for a task.

        Args:
            score: ``threshold``: classes whose probability is large enough; ``adaptive``: the most probable classes up to a
                total probability.
            randomised: for ``adaptive``, the last class enters with a probability, drawn from the id; otherwise the score
                of a class is the probability of the classes before it, and no set is empty.
            by: ``class``: the coverage holds for each true class.
            groups: where there are groups, the coverage is that of a case of a new group; otherwise cases are taken to be
                independent.

        Raises:
            ConfigError: a parameter has another value.
        """
        _check(SETS, coverage, groups=groups, randomised=randomised)
        if score not in SCORES:
            raise ConfigError(f"{SETS}: score = {shown(score)}: must be {' or '.join(SCORES)}")
        if by not in (None, "class"):
            raise ConfigError(f"{SETS}: by = {shown(by)}: must be class, or left out")
        if score == "threshold" and not randomised:
            raise ConfigError(f"{SETS}: randomised has no effect with score: threshold; remove it")
        self.task, self.coverage, self.score, self.randomised = task, coverage, score, randomised
        self.is_by_class, self.groups = by == "class", groups

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return the ``limit`` of scores, or ``limits`` by class; None for a class with too few cases, which is in all sets.

        Raises:
            DataError: there are too few cases or groups for any limit.
        """
        predictions = only(members)
        evidence = self.task.evidence(predictions, truth)
        labels, groups = evidence.labels, _groups(truth, self.groups)
        scores = self._scores(values_of(evidence), truth["id"].tolist())[np.arange(len(truth)), labels]
        if not self.is_by_class:
            found = limit(scores, self.coverage, groups)
            _refuse_none(SETS, [found], truth, self.coverage, groups)
            return {"limit": found}
        names, limits = [str(name) for name in predictions["classes"]], []
        for place in range(len(names)):
            own = labels == place
            limits.append(limit(scores[own], self.coverage, None if groups is None else groups[own]))
        _refuse_none(SETS, limits, truth, self.coverage, groups, OF_ONE_CLASS)
        return {"limits": dict(zip(names, limits, strict=True))}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Attach ``sets`` bool (n, classes) to the predictions; all else stays."""
        return {name: {**one, "sets": self._sets(one, fitted)} for name, one in members.items()}

    def _sets(self, predictions: Any, fitted: Any) -> NDArray[np.bool_]:
        names = [str(name) for name in predictions["classes"]]
        limits = [fitted["limits"][name] if self.is_by_class else fitted["limit"] for name in names]
        scores = self._scores(np.asarray(predictions["probabilities"], np.float64), predictions["ids"].tolist())
        return np.asarray(scores <= [np.inf if one is None else one for one in limits])

    def _scores(self, probabilities: Array, ids: list[str]) -> Array:
        if self.score == "threshold":
            return improbable(probabilities)
        return cumulative(probabilities, uniform(ids) if self.randomised else np.zeros(len(ids)))


class PredictionIntervals:
    """Interval per image, of the same width for all, that contains the true number with a probability of ``coverage``."""

    keeps_scores = True
    is_by_image = True

    def __init__(self, task: Targets, workers: int, coverage: float = COVERAGE, groups: bool = True) -> None:
        """Set up for a task.

        Args:
            groups: where there are groups, the coverage is that of a case of a new group; otherwise cases are taken to be
                independent.

        Raises:
            ConfigError: a parameter has another value.
        """
        _check(INTERVALS, coverage, groups=groups)
        self.task, self.coverage, self.groups = task, coverage, groups

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return the ``limit`` of the absolute error, in units of the target.

        Raises:
            DataError: there are too few cases or groups.
        """
        evidence, groups = self.task.evidence(only(members), truth), _groups(truth, self.groups)
        found = limit(np.abs(values_of(evidence) - evidence.truth), self.coverage, groups)
        _refuse_none(INTERVALS, [found], truth, self.coverage, groups)
        return {"limit": found}

    def apply(self, members: Members, fitted: Any) -> Members:
        """Attach ``lower`` and ``upper`` (n,) to the predictions; all else stays."""
        half = float(fitted["limit"])
        return {
            name: {**one, "lower": one["values"] - half, "upper": one["values"] + half} for name, one in members.items()
        }


def _check(step: str, coverage: Any, **flags: Any) -> None:
    """Raise ConfigError if the coverage is not within 0..1, or a flag is neither true nor false."""
    if isinstance(coverage, bool) or not isinstance(coverage, int | float) or not 0 < coverage < 1:
        raise ConfigError(f"{step}: coverage = {shown(coverage)}: must be above 0 and below 1, such as 0.9")
    for name, value in flags.items():
        if not isinstance(value, bool):
            raise ConfigError(f"{step}: {name} = {shown(value)}: must be true or false")


def _groups(truth: "pd.DataFrame", wanted: bool) -> NDArray[np.str_] | None:
    return truth["group"].to_numpy(dtype=str) if wanted and "group" in truth else None


def _refuse_none(
    step: str, limits: list[float | None], truth: "pd.DataFrame", coverage: float, groups: Any, part: str = ""
) -> None:
    """Raise DataError if there is no limit, so that every set would have all classes."""
    if any(one is not None for one in limits):
        return
    n = len(truth) if groups is None else len(np.unique(groups))
    raise DataError(too_few(step, coverage, n, groups is not None, part))
