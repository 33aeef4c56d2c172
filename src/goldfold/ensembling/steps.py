"""Steps from the members' predictions to the one that is scored and submitted: each with ``apply``, some with ``fit``.

The first step makes one prediction of the members'; those after it change that one. What `fit` finds is plain JSON, kept
in ``ensemble/fitted.json`` and in bundles. `goldfold.ensembling.nested` alone knows which images a step may be fitted on.
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
"""Predictions by name of the member."""
WHOLE = "ensemble"
"""Name of the one prediction that the first step makes."""
AVERAGE_ALONE = {"average": catalog.FUSIONS["label"]["average"]}
One = TypeVar("One")


class Metric(Protocol):
    """The part of `goldfold.metrics.Metric` that steps use."""

    @property
    def greater_is_better(self) -> bool:
        """Whether a larger value is a better one."""

    def value(self, evidence: Any, rows: NDArray[Any]) -> float:
        """Value for the images ``rows``; NaN where they cannot be scored."""


@runtime_checkable
class Step(Protocol):
    """Something that is done with predictions after predicting, without a look at the truth."""

    def apply(self, members: Members, fitted: Any) -> Members:
        """Predictions of the same images, by name.

        Args:
            fitted: what `FittedStep.fit` gave, as read back from JSON; None for a step that has nothing to fit.
        """


@runtime_checkable
class FittedStep(Step, Protocol):
    """A step with parameters that are fitted on out-of-fold predictions."""

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Parameters as plain JSON.

        Args:
            members: predictions of these images, and maybe of others, whose truth the step is not to know.
            truth: id and target of each image that it may look at.
            folds: fold of each row of ``truth``.
            metric: the config's.
        """


def fusions(task: Any) -> Mapping[str, str]:
    """Steps that make one prediction of the members', by name: of a task of one's own that says nothing, the average."""
    found: Mapping[str, str] = getattr(task, "fusions", AVERAGE_ALONE)
    return found


def entries(task: Any) -> dict[str, str]:
    """All steps that a task takes, by name."""
    return {**fusions(task), **getattr(task, "postprocessing", {})}


def build(task: Fuses, wanted: Sequence[components.Written], workers: int) -> list[Step]:
    """Steps as a config writes them, in their order.

    Args:
        workers: processes that a step may use.

    Raises:
        ConfigError: there is no such step, it cannot serve the task with these classes, or has no ``apply``.
    """
    made = []
    for written in wanted:
        step = components.load(written, entries(task), "ensemble step")(task, workers)
        if not isinstance(step, Step):
            raise ConfigError(f"ensemble step {components.label(written)}: it has no apply(members, fitted).")
        made.append(step)
    return made


def average(settings: Mapping[str, Any], weights: Mapping[str, float]) -> components.Written:
    """The average with given weights, which the config's short form stands for.

    Args:
        settings: ``method`` and its parameters.
        weights: by name of the member.
    """
    return {
        "average": {**{key: value for key, value in settings.items() if value is not None}, "weights": dict(weights)}
    }


def weights_of(fitted: Any, names: Iterable[str]) -> dict[str, float]:
    """Weights of the members in a fusion that was fitted: its ``weights`` by name; 1 each where it has none.

    A member of weight 0 has no part in the prediction, and bundles leave it out.

    Raises:
        ConfigError: a step of one's own gave weights of which none, or a negative one, can be used.
    """
    weights, names = fitted.get("weights", {}) if isinstance(fitted, Mapping) else {}, list(names)
    if not isinstance(weights, Mapping) or not all(isinstance(weights.get(name, 1.0), int | float) for name in names):
        raise ConfigError(
            "ensemble: the weights that the first step was fitted to must be a number by name of each member."
        )
    found = {name: float(weights.get(name, 1.0)) for name in names}
    if not all(np.isfinite(weight) and weight >= 0 for weight in found.values()) or not any(found.values()):
        raise ConfigError(
            f"ensemble: the first step was fitted to the weights {found}; none may be negative, nor all be 0."
        )
    return found


def only(members: Mapping[str, One]) -> One:
    """The one prediction that steps after the first work on, and that the last one leaves.

    Raises:
        ConfigError: there are several.
    """
    if len(members) != 1:
        raise ConfigError(
            f"ensemble: {len(members)} predictions where there must be one. The first step makes one prediction of the "
            f"members': put an average first."
        )
    return next(iter(members.values()))


def signed(value: float, metric: Metric) -> float:
    """A value of which more is better, whatever the metric."""
    if not np.isfinite(value):
        return -np.inf
    return value if metric.greater_is_better else -value
