"""What a metric is, and its score with an interval."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold import components
from goldfold.metrics.bootstrap import Score, bootstrap

Rows = NDArray[np.integer[Any]]


class Evidence(Protocol):
    """Predictions beside the truth, image by image, reduced to what every metric of a task needs."""

    def __len__(self) -> int:
        """Number of images."""

    def arguments(self, rows: Rows) -> tuple[Any, ...]:
        """What the metrics of the task are called with, for some of the images, with repeats where it is a resample."""


@dataclass(frozen=True)
class Metric:
    """A metric, and what is to be known of it: ``LOG_LOSS = Metric(log_loss, greater_is_better=False)``."""

    function: Callable[..., float]
    """Called with the evidence's arguments and its own parameters by name; NaN where images cannot be scored."""
    greater_is_better: bool = True
    of_labels: bool = False
    """Whether it looks at the short form of a prediction only, so that a submission holds labels, and that thresholds
    matter to it."""
    of_grades: bool = False
    """Whether it takes classes, or numbers, for grades in an order: of others it says nothing."""
    is_mean_over_classes: bool = False
    """Whether each class is scored for itself, so that what suits it best is found without the others, which is faster."""
    name: str = ""
    """As a config writes it, filled in by `build`."""

    def value(self, evidence: Evidence, rows: Rows) -> float:
        """Value for the images ``rows``; of decisions, where the metric looks at nothing else and the evidence has them."""
        decided = getattr(evidence, "decided", None) if self.of_labels else None
        return float(self.function(*(decided or evidence.arguments)(rows)))


def build(written: components.Written, entries: Mapping[str, str]) -> Metric:
    """Metric as a config writes it; a plain function is one of which more is better.

    Raises:
        ConfigError: there is none of this name; the text names those there are.
    """
    name, params = components.parse(written)
    found = components.load(name, entries, "metric")
    metric = found if isinstance(found, Metric) else Metric(found)
    function = partial(metric.function, **params) if params else metric.function
    return replace(metric, function=function, name=components.label(written))


def score(metric: Metric, evidence: Evidence, groups: Sequence[str] | None = None, n_resamples: int = 1000) -> Score:
    """Score over all images with its 95 % interval; whole groups are drawn where there are groups."""
    return bootstrap(lambda rows: metric.value(evidence, rows), len(evidence), groups, n_resamples)
