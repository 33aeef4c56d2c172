"""Specification of a regression task."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spec:
    """Specification with bins of the target as ``classes``, such as ``1.5 to 2``.

    Folds are balanced and scores are reported by bin, and the network's output is scaled by the edges of the bins.
    """

    classes: list[str]

    @property
    def scale(self) -> tuple[float, float]:
        """Median and spread of the training targets: half of their 10 % to 90 % range, about a standard deviation."""
        from goldfold.targets.bins import edges_of

        edges = edges_of(self.classes)
        low, middle, high = (float(np.quantile(edges, level)) for level in (0.1, 0.5, 0.9))
        return middle, (high - low) / 2 or 1.0
