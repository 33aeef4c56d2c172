"""Predictions of other tools for one ordered label per image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from goldfold.tasks.classification.external import External as Labels
from goldfold.tasks.ordinal.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays


class External:
    """Reads probabilities of classes, as for classes without an order."""

    def __init__(self, spec: Spec) -> None:
        self.labels = Labels(spec.labels)

    def from_table(self, table: pd.DataFrame, images: pd.DataFrame, where: str) -> Arrays:
        """Return the predictions of a table, in its order."""
        return self.labels.from_table(table, images, where)

    def from_arrays(self, arrays: Arrays, images: pd.DataFrame, where: str) -> Arrays:
        """Return the arrays of a member."""
        return self.labels.from_arrays(arrays, images, where)

    def completed(self, partial: Arrays, others: Sequence[Arrays]) -> Arrays:
        """Fill in the classes that a member does not know."""
        return self.labels.completed(partial, others)
