"""Predictions for one ordered label per image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from goldfold import components
from goldfold.tasks.classification import output as of_labels
from goldfold.tasks.ordinal.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays


class Output:
    """Predictions of a member have ``logits`` float32 (n, classes), those of an ensemble ``probabilities`` (n, classes)."""

    def __init__(self, spec: Spec) -> None:
        self.labels = of_labels.Output(spec.labels)

    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Concatenate the parts, ordered by id."""
        return self.labels.join(parts)

    def fuse(
        self,
        members: Sequence[Arrays],
        weights: Sequence[float],
        workers: int = 1,
        method: components.Written = "probability",
    ) -> Arrays:
        """Align members on id and fuse their probabilities by ``method``, giving ``probabilities`` (n, classes)."""
        return self.labels.fuse(members, weights, workers, method)

    def pseudo_labels(
        self, predictions: Arrays, threshold: float, soft: Mapping[str, float] | None = None
    ) -> pd.DataFrame:
        """Return the most probable class of each image with a probability of at least ``threshold``."""
        return self.labels.pseudo_labels(predictions, threshold, soft)


class Tables:
    """Predictions as a table."""

    def __init__(self, spec: Spec) -> None:
        self.labels = of_labels.Tables(spec.labels)

    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Return id, predicted class, its probability, the set of classes if there are sets, and each class's probability."""
        return self.labels.table(predictions)
