"""Steps that attach settings per class to masks, which are given or fitted; `components` and `instances` are such steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError
from goldfold.ensembling.steps import Members, Metric, only, signed

if TYPE_CHECKING:
    import pandas as pd

MOST_SETTINGS = 200
"""Most combinations that are tried; their counts are in memory, 8 bytes per image, class and combination."""
MOST_PIXELS = 10**9
SWEEPS = 2
"""Most passes over the classes: for means over all classes, the best setting of one depends on the others."""
LEAST_GAIN = 1e-9


class Paired(Protocol):
    """Predicted masks paired with the truth, for any settings."""

    def __len__(self) -> int:
        """Number of images."""

    def at(self, places: Sequence[int]) -> Any:
        """Return the evidence of masks with one setting per class, given by its place among the settings."""


@dataclass(frozen=True)
class Attached:
    """Settings that a task attaches to the predictions of its masks.

    Its functions are called when a step is fitted or applied: a config is checked without a task.
    """

    step: str
    names: tuple[str, str, str]
    """Names of the three numbers of a setting."""
    classes: Callable[[], list[str]]
    """Returns the names of the classes without the background."""
    attach: Callable[[Any, Sequence[Any]], Any]
    """Predictions, settings per class -> predictions with these."""
    pair: Callable[[Any, Any, Sequence[Any]], Paired]
    """Predictions, truth, settings to try -> both, paired."""

    def step_of(self, values: Sequence[Any], metric: Callable[[Metric], Metric], per_class: bool) -> "Given | Fitted":
        """Return the step of one setting, or one that chooses among several.

        Args:
            metric: metric of the config -> metric that settings are fitted for.

        Raises:
            ConfigError: there are too many.
        """
        if len(values) > MOST_SETTINGS:
            listed = f"{', '.join(self.names[:-1])} and {self.names[-1]}"
            raise ConfigError(
                f"ensemble: {self.step}: {len(values)} combinations of {listed}: at most {MOST_SETTINGS} are "
                f"tried; give fewer values"
            )
        return Fitted(self, values, metric, per_class) if len(values) > 1 else Given(self, values[0])


class Given:
    """The same, given settings for all classes."""

    def __init__(self, of: Attached, values: Any) -> None:
        self.of, self.values = of, values

    def apply(self, members: Members, fitted: Any = None) -> Members:
        """Attach the settings to the predictions; probabilities stay the same."""
        settings = [self.values] * len(self.of.classes())
        return {name: self.of.attach(predictions, settings) for name, predictions in members.items()}


class Fitted:
    """The settings that score best out of fold.

    All settings are tried for all classes together, then for one class after the other. Of settings with the same score the
    first stays, so that a mask is changed only where this pays.
    """

    is_by_image = True

    def __init__(
        self, of: Attached, values: Sequence[Any], metric: Callable[[Metric], Metric], per_class: bool
    ) -> None:
        """``values``: settings to try."""
        self.of, self.values, self.metric, self.per_class = of, values, metric, per_class

    def fit(self, members: Members, truth: "pd.DataFrame", folds: NDArray[np.int64], metric: Metric) -> Any:
        """Return each of the names of a setting, by class."""
        chosen, classes = self.metric(metric), self.of.classes()
        evidence = self.of.pair(only(members), truth, self.values)

        def value(places: Sequence[int]) -> float:
            return signed(chosen.value(evidence.at(places), np.arange(len(evidence))), chosen)

        found = search(value, len(classes), len(self.values), self.per_class)
        return {
            name: {of: self.values[place][at] for of, place in zip(classes, found, strict=True)}
            for at, name in enumerate(self.of.names)
        }

    def apply(self, members: Members, fitted: Any) -> Members:
        """Attach the settings to the predictions; probabilities stay the same."""
        settings = [(*(fitted[name][of] for name in self.of.names),) for of in self.of.classes()]
        return {name: self.of.attach(predictions, settings) for name, predictions in members.items()}


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
