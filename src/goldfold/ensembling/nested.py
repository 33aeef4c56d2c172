"""Fitting without the images that are scored: the one place that knows folds.

Out-of-fold predictions are honest, but a step that is fitted on them knows their truth. So for each fold the fitted steps are
fitted again on the other folds, and change the predictions of this fold; these are what is scored. For test images and bundles
they are fitted on all folds. Where images have groups, a group lies within one fold, so that nothing passes between folds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.ensembling.steps import FittedStep, Members, Metric, Step, only

if TYPE_CHECKING:
    import pandas as pd

Pick = Callable[[Sequence[tuple[Any, Sequence[str]]]], Any]
"""Pairs of predictions and ids of some of their images -> one prediction of these images."""


@dataclass(frozen=True)
class Nested:
    """Out-of-fold predictions after all steps."""

    predictions: Any
    """Each image by steps that were fitted without its fold: what is reported."""
    optimistic: Any
    """Each image by steps that were fitted on all folds, its own included; None where no step is fitted."""
    fitted: list[Any]
    """What each step was fitted to on all folds; None where there is nothing to fit."""
    without: dict[int, list[Any]] = field(default_factory=dict)
    """The same without each fold."""


def nested(
    steps: Sequence[Step],
    members: Members,
    truth: "pd.DataFrame",
    folds: NDArray[np.int64],
    metric: Metric,
    pick: Pick,
    hold: Callable[[Any], Any] = lambda predictions: predictions,
) -> Nested:
    """Out-of-fold predictions of the members, after steps that never saw an image's own fold.

    Steps before the first fitted one see no truth, and are applied once to all images.

    Args:
        members: out-of-fold predictions by name.
        truth: id and target of each image.
        folds: fold of each row of ``truth``.
        hold: called with predictions that are looked at many times.

    Raises:
        DataError: there is one fold alone, so that nothing can be fitted without it.
    """
    plain = list(takewhile(lambda step: not isinstance(step, FittedStep), steps))
    rest, nothing = steps[len(plain) :], [None] * len(plain)
    members = _applied(plain, members, nothing)
    if not rest:
        return Nested(only(members), None, nothing)
    numbers = np.unique(folds).tolist()
    if len(numbers) < 2:
        raise DataError(
            "ensemble: its steps are fitted on the other folds, but all validated images are in one. Give the data "
            "several folds, or remove the steps that are fitted."
        )
    members = {name: hold(predictions) for name, predictions in members.items()}
    fitted, without, parts = fit(rest, members, truth, folds, metric), {}, []
    for number in numbers:
        others, own = truth[folds != number].reset_index(drop=True), truth["id"][folds == number].tolist()
        without[number] = fit(rest, members, others, folds[folds != number], metric)
        parts.append((applied(rest, members, without[number]), own))
    return Nested(
        pick(parts),
        applied(rest, members, fitted),
        [*nothing, *fitted],
        {number: [*nothing, *own] for number, own in without.items()},
    )


def fit(
    steps: Sequence[Step], members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric
) -> list[Any]:
    """Fit one step after the other, each on what those before it make of the members' predictions."""
    fitted = []
    for step in steps:
        fitted.append(step.fit(members, truth, folds, metric) if isinstance(step, FittedStep) else None)
        members = step.apply(members, fitted[-1])
    return fitted


def applied(steps: Sequence[Step], members: Members, fitted: Sequence[Any]) -> Any:
    """The one prediction that steps make of the members'.

    Raises:
        ConfigError: they leave several.
    """
    return only(_applied(steps, members, fitted))


def _applied(steps: Sequence[Step], members: Members, fitted: Sequence[Any]) -> Members:
    for step, own in zip(steps, fitted, strict=True):
        members = step.apply(members, own)
    return members
