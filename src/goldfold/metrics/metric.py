"""Metrics with their properties."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold import components
from goldfold.base.bound import parts_of
from goldfold.metrics.counts import Array, Counts

Rows = NDArray[np.integer[Any]]


class Evidence(Protocol):
    """Predictions paired with the truth per image, reduced to what the metrics of a task need."""

    def __len__(self) -> int:
        """Number of images."""

    def arguments(self, rows: Rows) -> tuple[Any, ...]:
        """Return the arguments of the task's metrics for some of the images, with repeats in a resample."""


@dataclass(frozen=True)
class Metric:
    """A metric and its properties, such as ``LOG_LOSS = Metric(log_loss, greater_is_better=False)``."""

    function: Callable[..., float]
    """Called with the evidence's arguments and its own parameters by name; returns NaN if images cannot be scored."""
    greater_is_better: bool = True
    of_labels: bool = False
    """True if the metric uses decisions (labels) only: submissions then hold labels, and thresholds matter."""
    of_grades: bool = False
    """True if classes or numbers are treated as ordinal grades; the metric is meaningless for others."""
    is_mean_over_classes: bool = False
    """True if the metric is a mean of per-class scores, so that thresholds can be fitted per class, which is faster."""
    compares_cases: bool = False
    """True if predictions of different images are compared, as in rankings and correlations: over several folds, it then depends
    on their networks having one scale, and the report shows the mean within folds too."""
    of_counts: Callable[[Counts], Array] | None = None
    """For decisions between yes and no: the metric by its four counts, so that all thresholds are tried at once. For several
    labels, of each label if ``is_mean_over_classes``, otherwise of the sums over all labels."""
    of_confusion: Callable[[Any], Any] | None = None
    """For decisions between classes: the metric by confusion matrices, so that all thresholds of ordered classes are tried at
    once."""
    name: str = ""
    """Name as in the config, set by `build`."""

    def value(self, evidence: Evidence, rows: Rows) -> float:
        """Return the value for the images ``rows``, from decisions if ``of_labels`` and the evidence has them.

        A function of the user gets copies of arrays that are the evidence's own, since it may write into its arguments.
        """
        decided = getattr(evidence, "decided", None) if self.of_labels else None
        arguments = (decided or evidence.arguments)(rows)
        if not self._is_own:
            own = {id(part) for part in (evidence, *_parts(evidence))}
            arguments = tuple(deepcopy(part) if id(part) in own else part for part in arguments)
        return float(self.function(*arguments))

    @property
    def _is_own(self) -> bool:
        return str(getattr(parts_of(self.function)[0], "__module__", "")).startswith("goldfold.")


def _parts(evidence: Evidence) -> list[Any]:
    """Values of the attributes of an evidence, also of one with slots."""
    slots = [name for kind in type(evidence).__mro__ for name in getattr(kind, "__slots__", ())]
    return [*getattr(evidence, "__dict__", {}).values(), *(getattr(evidence, name, None) for name in slots)]


def build(written: components.Written, entries: Mapping[str, str]) -> Metric:
    """Build a metric from the config; for a plain function, greater is better.

    Raises:
        ConfigError: unknown name; the message lists the available ones.
    """
    name, params = components.parse(written)
    found = components.load(name, entries, "metric")
    metric = found if isinstance(found, Metric) else Metric(found)
    function = partial(metric.function, **params) if params else metric.function
    return replace(metric, function=function, name=components.label(written))
