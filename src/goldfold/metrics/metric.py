"""What a metric is, and its score with an interval."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.metrics.bootstrap import Score, bootstrap

Rows = NDArray[np.integer[Any]]


class Evidence(Protocol):
    """Predictions beside the truth, image by image, reduced to what every metric of a task needs."""

    def __len__(self) -> int:
        """Number of images."""


@dataclass(frozen=True)
class Metric:
    """A metric: ``value(evidence of all images, rows)``.

    ``rows`` are indices of images, with repeats where it is a resample; NaN where they cannot be scored.
    """

    name: str
    value: Callable[[Any, Rows], float]
    greater_is_better: bool = True
    of_labels: bool = False
    """Whether it looks at the short form of a prediction only, so that a submission holds labels."""
    of_grades: bool = False
    """Whether it takes classes, or numbers, for grades in an order: of others it says nothing."""


def score(metric: Metric, evidence: Evidence, groups: Sequence[str] | None = None, n_resamples: int = 1000) -> Score:
    """Score over all images with its 95 % interval; whole groups are drawn where there are groups."""
    return bootstrap(lambda rows: metric.value(evidence, rows), len(evidence), groups, n_resamples)
