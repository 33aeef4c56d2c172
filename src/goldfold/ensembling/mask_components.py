"""Ensemble step that cleans the connected components of masks, with settings given or fitted per class."""

from collections.abc import Sequence
from itertools import product
from typing import Any, Protocol

from goldfold.base.errors import ConfigError, shown
from goldfold.components import Written
from goldfold.ensembling.mask_settings import MOST_PIXELS, Attached, Fitted, Given, Paired
from goldfold.ensembling.steps import Metric

Sizes = int | Sequence[int]
"""A number of pixels, or several to try."""
Values = tuple[int, int, bool]
"""``smallest``, ``holes``, ``largest``."""
NAMES = ("smallest", "holes", "largest")


class Cleans(Protocol):
    """Task facets whose masks can be cleaned."""

    def decided_classes(self) -> list[str]:
        """Return the names of the classes without the background."""

    def cleanable(self, predictions: Any, truth: Any, settings: Sequence[Values]) -> Paired:
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
) -> Given | Fitted:
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
    attached = Attached(
        "components",
        NAMES,
        lambda: task.decided_classes(),
        lambda predictions, settings: task.clean(predictions, settings),
        lambda predictions, truth, settings: task.cleanable(predictions, truth, settings),
    )
    return attached.step_of(values, lambda own: task.metric(metric) if metric else own, per_class)


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
