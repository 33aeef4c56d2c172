"""Ensemble step that separates the objects of a mask, with settings given or fitted per class."""

from collections.abc import Sequence
from itertools import product
from typing import Any, Protocol

from goldfold.base.errors import ConfigError, shown
from goldfold.components import Written, name_of
from goldfold.ensembling.mask_settings import MOST_PIXELS, Attached, Fitted, Given, Paired
from goldfold.ensembling.steps import Metric

Values = tuple[float, float, int]
"""``distance``, ``neck``, ``smallest``."""
NAMES = ("distance", "neck", "smallest")
METRIC = "instance_ap"
"""Metric that settings are fitted for, with or without its parameter."""


class Separates(Protocol):
    """Task facets whose masks hold instances."""

    def decided_classes(self) -> list[str]:
        """Return the names of the classes without the background."""

    def separable(self, predictions: Any, truth: Any, settings: Sequence[Values]) -> Paired:
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
) -> Given | Fitted:
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
    attached = Attached(
        "instances",
        NAMES,
        lambda: task.decided_classes(),
        lambda predictions, settings: task.separate(predictions, settings),
        lambda predictions, truth, settings: task.separable(predictions, truth, settings),
    )
    step = attached.step_of(values, lambda own: task.metric(metric), per_class)
    if name_of(metric) != METRIC:
        raise ConfigError(
            f"ensemble: instances: metric = {shown(metric)}: must be {METRIC}, or {{{METRIC}: {{iou: 0.5}}}}"
        )
    return step


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
