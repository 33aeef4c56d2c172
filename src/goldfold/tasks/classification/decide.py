"""Decision between two classes by a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.predictions.arrays import with_thresholds
from goldfold.tasks.classification.decided import decided
from goldfold.tasks.classification.score import Score
from goldfold.tasks.classification.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics.classification import Labelled
    from goldfold.predictions.arrays import Arrays


class Decide:
    """Decides for the second class above its threshold."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def decided_classes(self) -> list[str]:
        """Return the second of two classes."""
        return decided(self.spec)

    def decidable(self, predictions: Arrays, truth: pd.DataFrame) -> Labelled:
        """Return the evidence, which can be decided by any threshold."""
        return Score(self.spec).evidence(predictions, truth)

    decide = staticmethod(with_thresholds)
