"""Ensemble step that separates the objects of a mask, with settings given or fitted per class."""

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, shown
from goldfold.components import Written, name_of
from goldfold.ensembling.mask_components import MOST_PIXELS, MOST_SETTINGS, Cleanable, search
from goldfold.ensembling.steps import Members, Metric, only, signed

if TYPE_CHECKING:
    import pandas as pd

Values = tuple[float, float, int]
"""``distance``, ``neck``, ``smallest``."""
NAMES = ("distance", "neck", "smallest")
METRIC = "instance_ap"
"""Metric that settings are fitted for, with or without its parameter."""


class Separates(Protocol):
    """Task facets whose masks hold instances."""

    def decided_classes(self) -> list[str]:
        """Return the names of the classes without the background."""

    def separable(self, predictions: Any, truth: Any, settings: Sequence[Values]) -> Cleanable:
        """Pair predictions with the truth, for each of the settings."""

    def separate(self, predictions: Any, settings: Sequence[Values]) -> Any:
        """Return the predictions with settings per class attached, by which their objects are separated."""

    def metric(self, wanted: Written) -> Metric:
        """Return a metric given as in the config."""


def instances(
    task: Separates,
    workers: int,
    distance: float | Sequence[float] = (0, 5, 10),
    neck: float | Sequence[float] = (0, 0.6, 0.75, 0.85, 0.9, 0.95),
    smallest: int | Sequence[int] = (0, 10, 30),
    metric: Written = METRIC,
    per_class: bool = True,
) -> "Separation | FittedSeparation":
    """Instances of masks: touching objects cut at their necks, small ones left out; given, or fitted per class.

    Args:
        distance: centres nearer than so many pixels of the image are of one instance.
        neck: objects are cut where the neck between them is at most this share of the smaller one's width; 0 cuts nothing.
        smallest: instances of fewer pixels are left out.
        metric: `instance_ap`, with or without its parameter.
        per_class: whether classes may have different settings.

    Raises:
        ConfigError: a value is out of range, there are too many, or the metric is another one.
    """
    values: list[Values] = [
        *product(
            _numbers("distance", distance, MOST_PIXELS, "a number of pixels", False),
            _numbers("neck", neck, 1, "a share", False),
            _numbers("smallest", smallest, MOST_PIXELS, "a whole number of pixels", True),
        )
    ]
    if len(values) > MOST_SETTINGS:
        raise ConfigError(
            f"ensemble: instances: {len(values)} combinations of distance, neck and smallest: at most {MOST_SETTINGS} are "
            f"tried; give fewer values"
        )
    if name_of(metric) != METRIC:
        raise ConfigError(
            f"ensemble: instances: metric = {shown(metric)}: must be {METRIC}, or {{{METRIC}: {{iou: 0.5}}}}"
        )
    return FittedSeparation(task, values, metric, per_class) if len(values) > 1 else Separation(task, values[0])


def _numbers(name: str, given: Any, most: float, what: str, is_whole: bool) -> list[Any]:
    """Values to try, each once.

    Raises:
        ConfigError: there are none, or one is out of range.
    """
    values = list(given) if isinstance(given, list | tuple) else [given]
    kinds = int if is_whole else (int, float)
    are_numbers = all(isinstance(one, kinds) and not isinstance(one, bool) for one in values)
    if not values or not are_numbers or not all(0 <= one <= most for one in values):
        raise ConfigError(
            f"ensemble: instances: {name} = {shown(given)}: must be {what} from 0 to {most:,}, or a list of such"
        )
    return [*dict.fromkeys(values)]


class Separation:
    """Separation of all classes by the same, given settings."""

    def __init__(self, task: Separates, values: Values) -> None:
        self.task, self.values = task, values

    def apply(self, members: Members, fitted: Any = None) -> Members:
        """Attach the settings to the predictions; probabilities and masks stay the same."""
        settings = [self.values] * len(self.task.decided_classes())
        return {name: self.task.separate(predictions, settings) for name, predictions in members.items()}


class FittedSeparation:
    """Separation by the settings that score best out of fold.

    All settings are tried for all classes together, then for one class after the other. Of settings with the same score the
    first stays, so that objects are cut only where this pays.
    """

    is_by_image = True

    def __init__(self, task: Separates, values: Sequence[Values], metric: Written, per_class: bool) -> None:
        """``values``: settings to try."""
        self.task, self.values, self.metric, self.per_class = task, values, metric, per_class

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return ``distance``, ``neck`` and ``smallest``, each by class."""
        chosen, classes = self.task.metric(self.metric), self.task.decided_classes()
        evidence = self.task.separable(only(members), truth, self.values)

        def value(places: Sequence[int]) -> float:
            return signed(chosen.value(evidence.at(places), np.arange(len(evidence))), chosen)

        found = search(value, len(classes), len(self.values), self.per_class)
        return {
            name: {of: self.values[place][at] for of, place in zip(classes, found, strict=True)}
            for at, name in enumerate(NAMES)
        }

    def apply(self, members: Members, fitted: Any) -> Members:
        """Attach the settings to the predictions; probabilities and masks stay the same."""
        settings = [(*(fitted[name][of] for name in NAMES),) for of in self.task.decided_classes()]
        return {name: self.task.separate(predictions, settings) for name, predictions in members.items()}
