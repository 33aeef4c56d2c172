"""Decisions for each class by thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.predictions.arrays import with_thresholds
from goldfold.tasks.multilabel.decided import decided
from goldfold.tasks.multilabel.score import Score
from goldfold.tasks.multilabel.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics.multilabel import MultiLabelled
    from goldfold.predictions.arrays import Arrays


class Decide:
    """Decides for a class at or above its threshold."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def decided_classes(self) -> list[str]:
        """Return all classes."""
        return decided(self.spec)

    def decidable(self, predictions: Arrays, truth: pd.DataFrame) -> MultiLabelled:
        """Return the evidence, which can be decided by any thresholds."""
        return Score(self.spec).evidence(predictions, truth)

    decide = staticmethod(with_thresholds)
