"""Metrics of ordered classes, and their decisions by thresholds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from goldfold.metrics import confusion
from goldfold.metrics.classification import Labelled, Labels, Probabilities, chosen
from goldfold.metrics.metric import Metric
from goldfold.metrics.thresholds import NEVER, between


@dataclass(frozen=True)
class Graded:
    """Probabilities and labels of ordered classes, before any decision, see `goldfold.metrics.classification.chosen`."""

    given: Labelled

    def __len__(self) -> int:
        return len(self.given)

    def levels(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Return the candidate thresholds: between the probabilities of the class after each column and all above."""
        return between(np.concatenate([self._above(column) for column in columns]))

    def at(self, thresholds: Sequence[float]) -> Labelled:
        """Return the evidence decided by one threshold for each class but the first."""
        return replace(self.given, thresholds=np.tile(np.asarray(thresholds, dtype=np.float64), (len(self), 1)))

    def confusions(
        self, column: int, levels: NDArray[np.float64], thresholds: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the confusion matrices (levels, classes, classes) at all levels of one threshold, the others given."""
        never = np.where(np.arange(len(thresholds)) == column, NEVER, thresholds)
        n, labels = self.given.probabilities.shape[1], self.given.labels
        low = chosen(self.given.probabilities, np.tile(never, (len(self), 1)))  # without the step of this threshold
        n_below = np.searchsorted(levels, self._above(column), side="left")  # levels that the probability exceeds
        moved = np.zeros((len(levels) + 1, n, n))
        np.add.at(moved, (n_below, labels, low), 1.0)
        exceeding = moved[::-1].cumsum(axis=0)[::-1][1:]
        shifted = np.zeros_like(exceeding)
        shifted[:, :, 1:] = exceeding[:, :, :-1]
        return np.asarray(moved.sum(axis=0) - exceeding + shifted)

    def _above(self, column: int) -> NDArray[np.float64]:
        """Probability of the class after a column, and all above it (n,)."""
        given = self.given.probabilities
        return np.asarray(given[:, column + 1 :].sum(axis=1) / given.sum(axis=1))


def mae(probabilities: Probabilities, labels: Labels) -> float:
    """Mean distance of the predicted from the true class, in classes."""
    return float(np.abs(probabilities.argmax(axis=1) - labels).mean())


MAE = Metric(mae, greater_is_better=False, of_labels=True, of_grades=True, of_confusion=confusion.mae)
