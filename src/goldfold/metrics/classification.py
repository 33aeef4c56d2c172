"""Metrics of class probabilities; F1 and kappa are those of scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.many import are_many
from goldfold.metrics import confusion, counts
from goldfold.metrics.areas import class_areas
from goldfold.metrics.metric import Metric, Rows
from goldfold.metrics.ranking import roc_area
from goldfold.metrics.thresholds import between

Probabilities = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Labelled:
    """Probabilities (n, classes) and true labels (n,)."""

    probabilities: Probabilities
    labels: Labels
    thresholds: Probabilities | None = None
    """For two classes (n,): the second is predicted above this probability; for ordered classes (n, classes - 1), see `chosen`;
    None: the most probable class."""

    def __len__(self) -> int:
        return len(self.labels)

    def arguments(self, rows: Rows) -> tuple[Probabilities, Labels]:
        """Return the probabilities and labels of some of the images; of all in order, without copying them."""
        if len(rows) == len(self) and np.array_equal(rows, np.arange(len(self))):
            return self.probabilities, self.labels
        return self.probabilities[rows], self.labels[rows]

    def decided(self, rows: Rows) -> tuple[Probabilities, Labels]:
        """Return the arguments of metrics of decisions: with thresholds, the predicted class has probability 1."""
        if self.thresholds is None:
            return self.arguments(rows)
        certain = np.eye(self.probabilities.shape[1])
        return certain[chosen(self.probabilities[rows], self.thresholds[rows])], self.labels[rows]

    @property
    def chosen(self) -> Labels:
        """Predicted class of each image (n,)."""
        return chosen(self.probabilities, self.thresholds)

    def levels(self, columns: Sequence[int]) -> Probabilities:
        """Return the candidate thresholds."""
        return between(self._second)

    def outcomes(
        self, columns: Sequence[int], levels: NDArray[np.float64], thresholds: NDArray[np.float64]
    ) -> tuple[counts.Counts, counts.Counts]:
        """Return the counts of the second class (1, levels) at each level, and those of no other class."""
        found = counts.above(self._second, self.labels == 1, levels, or_equal=False)
        return counts.stacked([found]), counts.stacked([])

    @property
    def _second(self) -> Probabilities:
        return np.asarray(self.probabilities[:, 1] / self.probabilities.sum(axis=1))

    def at(self, thresholds: Sequence[float]) -> "Labelled":
        """Return the evidence decided by one threshold."""
        return replace(self, thresholds=np.full(len(self), thresholds[0]))


def chosen(probabilities: Probabilities, thresholds: Probabilities | None) -> Labels:
    """Predict the class of each image (n,): the most probable; for two classes, by the threshold of each image if given.

    A threshold of 0.5 gives exactly the most probable class. Ordered classes have a threshold (n, classes - 1) for each but the
    first, on the probability of this class and all above it: as many as are exceeded, so many steps above the first is the
    predicted class. Thresholds of 0.5 give the median.
    """
    if thresholds is None:
        return probabilities.argmax(axis=1)
    if thresholds.ndim == 2:
        above = probabilities[:, ::-1].cumsum(axis=1)[:, ::-1]
        return (above[:, 1:] * (1 - thresholds) > (above[:, :1] - above[:, 1:]) * thresholds).sum(axis=1)
    return (probabilities[:, 1] * (1 - thresholds) > probabilities[:, 0] * thresholds).astype(np.int64)


def accuracy(probabilities: Probabilities, labels: Labels) -> float:
    """Fraction of images whose most probable class is the true one."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def balanced_accuracy(probabilities: Probabilities, labels: Labels) -> float:
    """Mean recall over the classes present in the truth."""
    hit = probabilities.argmax(axis=1) == labels
    return float(np.mean([hit[labels == label].mean() for label in np.unique(labels)]))


def f1_macro(probabilities: Probabilities, labels: Labels) -> float:
    """F1 score per class, averaged over the classes."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0.0))


def log_loss(probabilities: Probabilities, labels: Labels) -> float:
    """Mean negative log-probability of the true class; rows are normalised to sum to one."""
    of_true = probabilities[np.arange(len(labels)), labels] / probabilities.sum(axis=1)
    return float(-np.log(np.clip(of_true, 1e-15, 1)).mean())


def quadratic_kappa(probabilities: Probabilities, labels: Labels) -> float:
    """Cohen's kappa with quadratic weights; the classes are ordinal, in their listed order.

    Of `goldfold.base.many` classes without a matrix of classes x classes: from the mean squared distance of the true and the
    predicted class, and that of all pairs of a true and a predicted class.
    """
    from sklearn.metrics import cohen_kappa_score

    if are_many(probabilities.shape[1]):
        true, predicted = labels.astype(np.float64), probabilities.argmax(axis=1).astype(np.float64)
        of_pairs = true.var() + predicted.var() + (true.mean() - predicted.mean()) ** 2
        return float(1 - ((true - predicted) ** 2).mean() / of_pairs) if of_pairs else float("nan")
    grades = np.arange(probabilities.shape[1])
    return float(cohen_kappa_score(labels, probabilities.argmax(axis=1), weights="quadratic", labels=grades))


def roc_auc(probabilities: Probabilities, labels: Labels) -> float:
    """Area under the ROC curve: of the second of two classes; for more classes one against the rest, macro average."""
    if probabilities.shape[1] == 2:
        return roc_area(probabilities[:, 1], labels == 1)
    areas = class_areas(probabilities, labels)
    known = areas[np.isfinite(areas)]
    return float(np.mean(known)) if len(known) else float("nan")


ACCURACY = Metric(accuracy, of_labels=True, of_counts=counts.accuracy, of_confusion=confusion.accuracy)
BALANCED_ACCURACY = Metric(
    balanced_accuracy, of_labels=True, of_counts=counts.balanced_accuracy, of_confusion=confusion.balanced_accuracy
)
F1_MACRO = Metric(f1_macro, of_labels=True, of_counts=counts.f1_macro)
ROC_AUC = Metric(roc_auc, compares_cases=True)
LOG_LOSS = Metric(log_loss, greater_is_better=False)
QUADRATIC_KAPPA = Metric(
    quadratic_kappa, of_labels=True, of_grades=True, of_counts=counts.kappa, of_confusion=confusion.quadratic_kappa
)
