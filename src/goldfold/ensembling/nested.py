"""Nested fitting of ensemble steps, without the images that are scored.

Out-of-fold predictions are unbiased, but a step fitted on them has seen their truth. So for each fold, the steps are fitted
on the other folds and applied to the predictions of this fold, and the result is scored. For test images and bundles the
steps are fitted on all folds. A group of images is always within one fold, so that no information leaks between folds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.ensembling.steps import FittedStep, Members, Metric, Step, only

if TYPE_CHECKING:
    import pandas as pd

MOST_FITTED = 50_000
"""Most images that steps are fitted on: enough for their few parameters, and members as columns then stay small in memory."""
BLOCK = 32_768
"""Images that steps are applied to at a time, where each image depends on itself alone."""
Pick = Callable[[Sequence[tuple[Any, Sequence[str]]]], Any]
"""Pairs of predictions and ids of some of their images -> one prediction for all these images."""


@dataclass(frozen=True)
class Nested:
    """Out-of-fold predictions after all steps."""

    predictions: Any
    """Predictions by steps fitted without the fold of the image; these are reported."""
    optimistic: Any
    """Predictions by steps fitted on all folds, including that of the image; None if no step is fitted that changes what is
    scored, see `FittedStep`."""
    fitted: list[Any]
    """Fitted parameters of each step on all folds; None for a step without parameters."""
    without: dict[int, list[Any]] = field(default_factory=dict)
    """By fold, the fitted parameters of each step on the other folds."""


def nested(
    steps: Sequence[Step],
    members: Members,
    truth: "pd.DataFrame",
    folds: NDArray[np.int64],
    metric: Metric,
    pick: Pick,
    hold: Callable[[Any], Any] = lambda predictions: predictions,
) -> Nested:
    """Apply steps to the members' out-of-fold predictions, each fitted without the fold of the image.

    Steps before the first fitted step do not use the truth, and are applied once to all images.

    Args:
        members: out-of-fold predictions by name.
        truth: id and target of each image.
        folds: fold of each row of ``truth``.
        pick: merges predictions of parts of the images.
        hold: called with predictions that are read many times, to keep them in memory.

    Raises:
        DataError: there is only one fold, so that no others are left for fitting.
    """
    plain = list(takewhile(lambda step: not isinstance(step, FittedStep), steps))
    rest, nothing = steps[len(plain) :], [None] * len(plain)
    members = _applied(plain, members, nothing)
    if not rest:
        return Nested(only(members), None, nothing)
    numbers = np.unique(folds).tolist()
    if len(numbers) < 2:
        raise DataError(
            "ensemble: its steps are fitted on the other folds, but all validated images are in one fold. Use several "
            "folds, or remove the fitted steps."
        )
    members = {name: hold(predictions) for name, predictions in members.items()}
    fitted, without = fit(rest, members, truth, folds, metric, pick), {}
    parts: list[tuple[Any, Sequence[str]]] = []
    for number in numbers:
        others, own = truth[folds != number].reset_index(drop=True), truth["id"][folds == number].tolist()
        without[number] = fit(rest, members, others, folds[folds != number], metric, pick)
        parts += _of_images(rest, members, without[number], own, pick)
    predictions = pick(parts)
    del parts  # as large as the result, unless it reads them on access
    return Nested(
        predictions,
        applied(rest, members, fitted) if any(map(_changes_scores, rest)) else None,
        [*nothing, *fitted],
        {number: [*nothing, *own] for number, own in without.items()},
    )


def _is_by_image(steps: Sequence[Step], members: Members) -> bool:
    """Return whether steps may be applied to some of the images: each depends on itself alone, and all are in memory."""
    in_memory = all(isinstance(one, dict) for one in members.values())
    return in_memory and all(getattr(step, "is_by_image", False) for step in steps)


def _of_images(
    steps: Sequence[Step], members: Members, fitted: Sequence[Any], ids: Sequence[str], pick: Pick
) -> Iterator[tuple[Any, Sequence[str]]]:
    """Apply steps; yield predictions of these images alone, and their ids."""
    if not _is_by_image(steps, members):
        yield pick([(applied(steps, members, fitted), ids)]), ids
        return
    for start in range(0, len(ids), BLOCK):
        own = ids[start : start + BLOCK]
        yield applied(steps, {name: pick([(one, own)]) for name, one in members.items()}, fitted), own


def _changes_scores(step: Step) -> bool:
    return isinstance(step, FittedStep) and not getattr(step, "keeps_scores", False)


def fit(
    steps: Sequence[Step],
    members: Members,
    truth: "pd.DataFrame",
    folds: NDArray[np.int64],
    metric: Metric,
    pick: Pick,
) -> list[Any]:
    """Fit one step after the other, each on the output of the steps before it, and on at most `MOST_FITTED` images.

    A step that ``needs_all`` is fitted on all images. Steps see no other images than these, except where those change the
    predictions of the images that they are fitted on.
    """
    fitted: list[Any] = []
    some, every = _some(truth, folds), (truth, folds)
    seen, _ = every if any(map(_needs_all, steps)) else some
    if _is_by_image(steps, members):
        given = _Picked(members, seen["id"].tolist(), pick)
        members = given if getattr(steps[0], "reads_once", False) else dict(given)
    for place, step in enumerate(steps):
        members = steps[place - 1].apply(members, fitted[-1]) if place else members
        images = every if _needs_all(step) else some
        fitted.append(step.fit(members, *images, metric) if isinstance(step, FittedStep) else None)
    return fitted


def _needs_all(step: Step) -> bool:
    return bool(getattr(step, "needs_all", False))


class _Picked(Mapping[str, Any]):
    """Predictions of some images by member, picked on each access."""

    def __init__(self, members: Members, ids: Sequence[str], pick: Pick) -> None:
        self.members, self.ids, self.pick = members, ids, pick

    def __getitem__(self, name: str) -> Any:
        return _only(self.members[name], self.ids, self.pick)

    def __iter__(self) -> Iterator[str]:
        return iter(self.members)

    def __len__(self) -> int:
        return len(self.members)


def _only(predictions: Any, ids: Sequence[str], pick: Pick) -> Any:
    """Return the predictions of these images; as they are if there are no others."""
    return predictions if len(predictions["ids"]) == len(ids) else pick([(predictions, ids)])


def _some(truth: "pd.DataFrame", folds: NDArray[np.int64]) -> tuple["pd.DataFrame", NDArray[np.int64]]:
    """Return at most `MOST_FITTED` rows, drawn at random, always the same."""
    if len(truth) <= MOST_FITTED:
        return truth, folds
    rows = np.sort(np.random.default_rng(0).permutation(len(truth))[:MOST_FITTED])
    return truth.iloc[rows].reset_index(drop=True), folds[rows]


def applied(steps: Sequence[Step], members: Members, fitted: Sequence[Any]) -> Any:
    """Apply the steps to the members' predictions; return the single resulting prediction.

    Raises:
        ConfigError: several predictions are left.
    """
    return only(_applied(steps, members, fitted))


def _applied(steps: Sequence[Step], members: Members, fitted: Sequence[Any]) -> Members:
    for step, own in zip(steps, fitted, strict=True):
        members = step.apply(members, own)
    return members
