"""Ensemble steps, from the members' predictions to the final one: each with ``apply``, some with ``fit``.

The first step fuses the members into one prediction; later steps change it. The result of `fit` is plain JSON, saved in
``ensemble/fitted.json`` and in bundles. `goldfold.ensembling.nested` decides which images a step is fitted on.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.base.errors import ConfigError
from goldfold.ensembling.members import Fuses

if TYPE_CHECKING:
    import pandas as pd

Members = Mapping[str, Any]
"""Predictions by member name."""
WHOLE = "ensemble"
"""Name of the prediction after the first step."""
AVERAGE_ALONE = {"average": catalog.FUSIONS["label"]["average"]}
MEANS = (None, "probability", "mean")
"""Methods that are the weighted mean of the predictions."""
One = TypeVar("One")


class Metric(Protocol):
    """Part of `goldfold.metrics.Metric` used by steps."""

    @property
    def greater_is_better(self) -> bool:
        """True if larger values are better."""

    def value(self, evidence: Any, rows: NDArray[Any]) -> float:
        """Return the value for the images ``rows``; NaN if they cannot be scored."""


class Scores(Fuses, Protocol):
    """Task facet that fuses and scores predictions."""

    def evidence(self, predictions: Any, truth: Any) -> Any:
        """Return the predictions paired with the truth."""

    def metric(self, wanted: components.Written) -> Metric:
        """Return a metric given as in the config."""


@runtime_checkable
class Step(Protocol):
    """A transformation of predictions that does not use the truth.

    Optional: ``is_by_image`` is True if the result of an image depends on no other image, so that `apply` may get some of them.
    ``reads_once`` is True if `FittedStep.fit` reads each member once, so that they need not be in memory together.
    """

    def apply(self, members: Members, fitted: Any) -> Members:
        """Return predictions for the same images, by name.

        Args:
            fitted: result of `FittedStep.fit`, as read back from JSON; None for a step without parameters.
        """


@runtime_checkable
class FittedStep(Step, Protocol):
    """A step with parameters that are fitted on out-of-fold predictions.

    Optional: ``keeps_scores`` is True if it only attaches arrays to the predictions, which no metric reads.
    ``needs_all`` is True if it is fitted on all images, not on `goldfold.ensembling.nested.MOST_FITTED` of them.
    """

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return the fitted parameters as plain JSON.

        Args:
            members: predictions for these images, and possibly for others, whose truth is withheld.
            truth: id and target of each image to fit on.
            folds: fold of each row of ``truth``.
            metric: metric of the config.
        """


def fusions(task: Any) -> Mapping[str, str]:
    """Return the fusion steps of a task by name; for a user-defined task without ``fusions``, the average."""
    found: Mapping[str, str] = getattr(task, "fusions", AVERAGE_ALONE)
    return found


def entries(task: Any) -> dict[str, str]:
    """Return all ensemble steps of a task by name."""
    return {**fusions(task), **getattr(task, "postprocessing", {})}


def build(task: Fuses, wanted: Sequence[components.Written], workers: int) -> list[Step]:
    """Build the steps of a config, in order.

    Args:
        workers: number of processes that a step may use.

    Raises:
        ConfigError: unknown step, a step that does not fit the task and its classes, or one without ``apply``.
    """
    made = []
    for written in wanted:
        step = components.load(written, entries(task), "ensemble step")(task, workers)
        if not isinstance(step, Step):
            raise ConfigError(f"ensemble step {components.label(written)}: it has no apply(members, fitted).")
        made.append(step)
    return made


def average(settings: Mapping[str, Any], weights: Mapping[str, float]) -> components.Written:
    """Return the config of an average with given weights, from the short form of ``ensemble``.

    Args:
        settings: ``method`` and its parameters.
        weights: by member name.
    """
    return {
        "average": {**{key: value for key, value in settings.items() if value is not None}, "weights": dict(weights)}
    }


def weights_of(fitted: Any, names: Iterable[str]) -> dict[str, float]:
    """Return the member weights of a fitted fusion: its ``weights`` by name, 1 where missing.

    A member of weight 0 does not contribute to the prediction, and bundles leave it out.

    Raises:
        ConfigError: a user-defined step returned weights that are negative, not finite, all 0, or not numbers.
    """
    weights, names = fitted.get("weights", {}) if isinstance(fitted, Mapping) else {}, list(names)
    if not isinstance(weights, Mapping) or not all(isinstance(weights.get(name, 1.0), int | float) for name in names):
        raise ConfigError("ensemble: the first step must be fitted to weights that map each member name to a number.")
    found = {name: float(weights.get(name, 1.0)) for name in names}
    if not all(np.isfinite(weight) and weight >= 0 for weight in found.values()) or not any(found.values()):
        raise ConfigError(
            f"ensemble: the first step was fitted to the weights {found}; they must be finite, >= 0 and not all 0."
        )
    return found


def has_weights(fitted: Any) -> bool:
    """Return whether a fitted fusion has member weights; a stack has none."""
    return isinstance(fitted, Mapping) and isinstance(fitted.get("weights"), Mapping)


def only(members: Mapping[str, One]) -> One:
    """Return the single prediction in ``members``, as left by every step from the first on.

    Raises:
        ConfigError: there are several.
    """
    if len(members) != 1:
        raise ConfigError(
            f"ensemble: {len(members)} predictions where there must be one. The first step must fuse the members: put an "
            f"average first."
        )
    return next(iter(members.values()))


def signed(value: float, metric: Metric) -> float:
    """Return ``value`` with its sign set so that more is better; -inf if it is not finite."""
    if not np.isfinite(value):
        return -np.inf
    return value if metric.greater_is_better else -value
