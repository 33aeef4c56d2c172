"""The range of a regression's targets."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spec:
    """``classes`` are bins of the target, such as ``1.5 to 2``.

    Folds are balanced by them, scores are reported by them, and the network's output is scaled by their edges.
    """

    classes: list[str]

    @property
    def scale(self) -> tuple[float, float]:
        """Middle and spread of the training targets: half of what four fifths of them span, about a standard deviation."""
        from goldfold.targets.bins import edges_of

        edges = edges_of(self.classes)
        low, middle, high = (float(np.quantile(edges, level)) for level in (0.1, 0.5, 0.9))
        return middle, (high - low) / 2 or 1.0
