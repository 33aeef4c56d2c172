"""Ensemble step that cleans the connected components of masks, with settings given or fitted per class."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError, shown
from goldfold.components import Written
from goldfold.ensembling.steps import Members, Metric, only, signed

if TYPE_CHECKING:
    import pandas as pd

Sizes = int | Sequence[int]
"""A number of pixels, or several to try."""
Values = tuple[int, int, bool]
"""``smallest``, ``holes``, ``largest``."""
NAMES = ("smallest", "holes", "largest")
MOST_SETTINGS = 200
"""Most combinations that are tried; their counts are in memory, 8 bytes per image, class and combination."""
MOST_PIXELS = 10**9
SWEEPS = 2
"""Most passes over the classes: for means over all classes, the best setting of one depends on the others."""
LEAST_GAIN = 1e-9


class Cleanable(Protocol):
    """Predicted masks paired with the truth, for any settings."""

    def __len__(self) -> int:
        """Number of images."""

    def at(self, places: Sequence[int]) -> Any:
        """Return the evidence of masks cleaned by one setting per class, given by its place among the settings."""


class Cleans(Protocol):
    """Task facets whose masks can be cleaned."""

    def decided_classes(self) -> list[str]:
        """Return the names of the classes without the background."""

    def cleanable(self, predictions: Any, truth: Any, settings: Sequence[Values]) -> Cleanable:
        """Pair predictions with the truth, for each of the settings."""

    def clean(self, predictions: Any, settings: Sequence[Values]) -> Any:
        """Return the predictions with settings per class attached, by which their masks are cleaned."""

    def metric(self, wanted: Written) -> Metric:
        """Return a metric given as in the config."""


def components(
    task: Cleans,
    workers: int,
    smallest: Sizes = (0, 10, 30, 100),
    holes: Sizes = (0, 10, 30),
    largest: bool | Sequence[bool] = (False, True),
    metric: Written | None = None,
    per_class: bool = True,
) -> "Cleaning | FittedCleaning":
    """Connected components of masks: small ones removed, holes filled, only the largest kept; given, or fitted per class.

    Args:
        smallest: components of fewer pixels are removed; pixels are those of the image.
        holes: holes of at most so many pixels are filled.
        largest: whether only the largest component of a class in an image is kept.
        metric: metric that the settings are fitted for; default: that of the config.
        per_class: whether classes may have different settings.

    Raises:
        ConfigError: a value is out of range, or there are too many.
    """
    values = list(product(_sizes("smallest", smallest), _sizes("holes", holes), _switches(largest)))
    if len(values) > MOST_SETTINGS:
        raise ConfigError(
            f"ensemble: components: {len(values)} combinations of smallest, holes and largest: at most {MOST_SETTINGS} are "
            f"tried; give fewer values"
        )
    return FittedCleaning(task, values, metric, per_class) if len(values) > 1 else Cleaning(task, values[0])


def _sizes(name: str, given: Any) -> list[int]:
    """Values to try, each once.

    Raises:
        ConfigError: there are none, or one is no number of pixels.
    """
    values = list(given) if isinstance(given, list | tuple) else [given]
    are_whole = all(isinstance(one, int) and not isinstance(one, bool) for one in values)
    if not values or not are_whole or not all(0 <= one <= MOST_PIXELS for one in values):
        raise ConfigError(
            f"ensemble: components: {name} = {shown(given)}: must be a whole number of pixels from 0 to {MOST_PIXELS:,}, or a "
            f"list of such"
        )
    return [*dict.fromkeys(values)]


def _switches(given: Any) -> list[bool]:
    """Values of ``largest`` to try, each once.

    Raises:
        ConfigError: there are none, or one is neither true nor false.
    """
    values = list(given) if isinstance(given, list | tuple) else [given]
    if not values or not all(isinstance(one, bool) for one in values):
        raise ConfigError(f"ensemble: components: largest = {shown(given)}: must be true or false, or a list of both")
    return [*dict.fromkeys(values)]


class Cleaning:
    """Cleaning of all classes by the same, given settings."""

    def __init__(self, task: Cleans, values: Values) -> None:
        self.task, self.values = task, values

    def apply(self, members: Members, fitted: Any = None) -> Members:
        """Attach the settings to the predictions; probabilities stay the same."""
        settings = [self.values] * len(self.task.decided_classes())
        return {name: self.task.clean(predictions, settings) for name, predictions in members.items()}


class FittedCleaning:
    """Cleaning with the settings that score best out of fold.

    All settings are tried for all classes together, then for one class after the other. Of settings with the same score the
    first stays, so that a class is cleaned only where this pays.
    """

    is_by_image = True

    def __init__(self, task: Cleans, values: Sequence[Values], metric: Written | None, per_class: bool) -> None:
        """``values``: settings to try."""
        self.task, self.values, self.metric, self.per_class = task, values, metric, per_class

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return ``smallest``, ``holes`` and ``largest``, each by class."""
        chosen, classes = self.task.metric(self.metric) if self.metric else metric, self.task.decided_classes()
        evidence = self.task.cleanable(only(members), truth, self.values)

        def value(places: Sequence[int]) -> float:
            return signed(chosen.value(evidence.at(places), np.arange(len(evidence))), chosen)

        found = search(value, len(classes), len(self.values), self.per_class)
        return {
            name: {of: self.values[place][at] for of, place in zip(classes, found, strict=True)}
            for at, name in enumerate(NAMES)
        }

    def apply(self, members: Members, fitted: Any) -> Members:
        """Attach the settings to the predictions; probabilities stay the same."""
        settings = [(*(fitted[name][of] for name in NAMES),) for of in self.task.decided_classes()]
        return {name: self.task.clean(predictions, settings) for name, predictions in members.items()}


def search(value: Callable[[Sequence[int]], float], n_classes: int, n: int, per_class: bool) -> list[int]:
    """Return the place of the best setting of each class, of ``n`` settings."""
    best, reached = [0] * n_classes, value([0] * n_classes)
    for place in range(1, n):
        if (found := value([place] * n_classes)) > reached + LEAST_GAIN:
            best, reached = [place] * n_classes, found
    for _ in range(SWEEPS if per_class and n_classes > 1 else 0):
        before = best
        for at in range(n_classes):
            for place in range(n):
                tried = [*best[:at], place, *best[at + 1 :]]
                if (found := value(tried)) > reached + LEAST_GAIN:
                    best, reached = tried, found
        if best == before:
            break
    return best
