"""Decisions between ordered classes by thresholds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.predictions.arrays import with_thresholds
from goldfold.tasks.ordinal.decided import decided
from goldfold.tasks.ordinal.score import Score
from goldfold.tasks.ordinal.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics.ordinal import Graded
    from goldfold.predictions.arrays import Arrays


class Decide:
    """Decides for as many steps above the first class as there are thresholds that the probability above them exceeds."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def decided_classes(self) -> list[str]:
        """Return all classes but the first."""
        return decided(self.spec)

    def decidable(self, predictions: Arrays, truth: pd.DataFrame) -> Graded:
        """Return the evidence, which can be decided by any thresholds."""
        from goldfold.metrics.ordinal import Graded

        return Graded(Score(self.spec).evidence(predictions, truth))

    decide = staticmethod(with_thresholds)
