"""Metrics of several labels per image; each class is an independent yes or no."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.metrics import counts
from goldfold.metrics.metric import Metric, Rows
from goldfold.metrics.ranking import average_precision, roc_area
from goldfold.metrics.thresholds import between


@dataclass(frozen=True)
class MultiLabelled:
    """Probabilities (n, classes) and truth (n, classes), 0 or 1."""

    probabilities: NDArray[np.floating[Any]]
    truth: NDArray[np.uint8]
    threshold: float | NDArray[np.float64] = 0.5
    """A class is predicted at or above this probability: one value, per class (classes,), or per image and class
    (n, classes)."""

    def __len__(self) -> int:
        return len(self.truth)

    def of(self, rows: Rows) -> "MultiLabelled":
        """Return the evidence of some of the images."""
        threshold = self.threshold[rows] if np.ndim(self.threshold) == 2 else self.threshold  # type: ignore[index]
        return MultiLabelled(self.probabilities[rows], self.truth[rows], threshold)

    def arguments(self, rows: Rows) -> tuple["MultiLabelled"]:
        """Return the evidence of some of the images, as the only argument."""
        return (self.of(rows),)

    @property
    def predicted(self) -> NDArray[np.bool_]:
        """True for the predicted classes of each image (n, classes)."""
        return self.probabilities >= self.threshold

    def levels(self, columns: Sequence[int]) -> NDArray[np.float64]:
        """Return the candidate thresholds for some of the classes."""
        return between(self.probabilities[:, list(columns)].ravel())

    def outcomes(
        self, columns: Sequence[int], levels: NDArray[np.float64], thresholds: NDArray[np.float64]
    ) -> tuple[counts.Counts, counts.Counts]:
        """Return the counts of some classes (columns, levels) at each level, and of the others (classes,) at theirs."""
        others = [column for column in range(self.truth.shape[1]) if column not in columns]
        found = [self._above(column, levels) for column in columns]
        return counts.stacked(found), counts.stacked([self._above(one, thresholds[[one]]) for one in others])

    def _above(self, column: int, levels: NDArray[np.float64]) -> counts.Counts:
        return counts.above(self.probabilities[:, column], self.truth[:, column] == 1, levels, or_equal=True)

    def of_class(self, column: int) -> "MultiLabelled":
        """Return the evidence of one class."""
        return MultiLabelled(self.probabilities[:, [column]], self.truth[:, [column]])

    def at(self, thresholds: Sequence[float]) -> "MultiLabelled":
        """Return the evidence decided by one threshold per class."""
        return replace(self, threshold=np.asarray(thresholds))

    def counts(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return per class the numbers of true positives, predicted positives and positives."""
        predicted, true = self.predicted, self.truth == 1
        return (predicted & true).sum(axis=0), predicted.sum(axis=0), true.sum(axis=0)


def f1_macro(found: MultiLabelled) -> float:
    """F1 score per class, 0 if it is neither present nor predicted, averaged over all classes, as in scikit-learn."""
    hits, predicted, true = found.counts()
    return float((2 * hits / np.maximum(predicted + true, 1)).mean())


def f1_micro(found: MultiLabelled) -> float:
    """F1 score pooled over all pairs of image and class; 0 if no class is present or predicted, as in scikit-learn."""
    hits, predicted, true = (int(numbers.sum()) for numbers in found.counts())
    return 2 * hits / max(predicted + true, 1)


def roc_auc(found: MultiLabelled) -> float:
    """Area under the ROC curve, mean over the classes with positive and negative images."""
    return _mean_of_known(roc_area, found)


def mean_average_precision(found: MultiLabelled) -> float:
    """Average precision, mean over the classes with positive images."""
    return _mean_of_known(average_precision, found)


def log_loss(found: MultiLabelled) -> float:
    """Mean negative log-likelihood (binary cross-entropy) over all pairs of image and class."""
    p = np.where(found.truth == 1, found.probabilities, 1 - found.probabilities)
    return float(-np.log(np.clip(p, 1e-15, 1)).mean())


def _mean_of_known(value: Callable[[Any, Any], float], found: MultiLabelled) -> float:
    pairs = zip(found.probabilities.T, (found.truth == 1).T, strict=True)
    known = [of_class for p, true in pairs if np.isfinite(of_class := value(p, true))]
    return float(np.mean(known)) if known else float("nan")


F1_MACRO = Metric(f1_macro, of_labels=True, is_mean_over_classes=True, of_counts=counts.f1)
F1_MICRO = Metric(f1_micro, of_labels=True, of_counts=counts.f1)
ROC_AUC = Metric(roc_auc, compares_cases=True)
MAP = Metric(mean_average_precision, compares_cases=True)
LOG_LOSS = Metric(log_loss, greater_is_better=False)
