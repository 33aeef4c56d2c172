"""Metrics of class probabilities, by scikit-learn."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.metrics.metric import Metric, Rows
from goldfold.metrics.ranking import roc_area
from goldfold.metrics.thresholds import between

Probabilities = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Labelled:
    """Probabilities (n, classes) beside the true labels (n,)."""

    probabilities: Probabilities
    labels: Labels
    thresholds: Probabilities | None = None
    """Share of two classes' probability from which on an image is of the second (n,); None: the most probable class."""

    def __len__(self) -> int:
        return len(self.labels)

    def arguments(self, rows: Rows) -> tuple[Probabilities, Labels]:
        """Probabilities and labels of some of the images."""
        return self.probabilities[rows], self.labels[rows]

    def decided(self, rows: Rows) -> tuple[Probabilities, Labels]:
        """What metrics of decisions are called with: by thresholds, the class that an image is taken for has all."""
        if self.thresholds is None:
            return self.arguments(rows)
        certain = np.eye(self.probabilities.shape[1])
        return certain[chosen(self.probabilities[rows], self.thresholds[rows])], self.labels[rows]

    @property
    def chosen(self) -> Labels:
        """Class that each image is taken for (n,)."""
        return chosen(self.probabilities, self.thresholds)

    def levels(self, columns: Sequence[int]) -> Probabilities:
        """Thresholds worth trying."""
        return between(self.probabilities[:, 1] / self.probabilities.sum(axis=1))

    def at(self, thresholds: Sequence[float]) -> "Labelled":
        """The same, decided by one threshold."""
        return replace(self, thresholds=np.full(len(self), thresholds[0]))


def chosen(probabilities: Probabilities, thresholds: Probabilities | None) -> Labels:
    """Class that each image is taken for (n,): the most probable; of two, by the threshold of each image, where given.

    At 0.5 the two are the same to the last bit.
    """
    if thresholds is None:
        return probabilities.argmax(axis=1)
    return (probabilities[:, 1] * (1 - thresholds) > probabilities[:, 0] * thresholds).astype(np.int64)


def accuracy(probabilities: Probabilities, labels: Labels) -> float:
    """Share of images whose most probable class is theirs."""
    return float((probabilities.argmax(axis=1) == labels).mean())


def balanced_accuracy(probabilities: Probabilities, labels: Labels) -> float:
    """Mean over the classes present of the share of their images that are found."""
    hit = probabilities.argmax(axis=1) == labels
    return float(np.mean([hit[labels == label].mean() for label in np.unique(labels)]))


def f1_macro(probabilities: Probabilities, labels: Labels) -> float:
    """F1 score a class, averaged over the classes."""
    from sklearn.metrics import f1_score

    return float(f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0.0))


def log_loss(probabilities: Probabilities, labels: Labels) -> float:
    """Mean negative logarithm of the probability of the true class; rows are scaled to sum to one."""
    of_true = probabilities[np.arange(len(labels)), labels] / probabilities.sum(axis=1)
    return float(-np.log(np.clip(of_true, 1e-15, 1)).mean())


def quadratic_kappa(probabilities: Probabilities, labels: Labels) -> float:
    """Cohen's kappa with quadratic weights; classes are grades in their listed order."""
    from sklearn.metrics import cohen_kappa_score

    grades = np.arange(probabilities.shape[1])
    return float(cohen_kappa_score(labels, probabilities.argmax(axis=1), weights="quadratic", labels=grades))


def roc_auc(probabilities: Probabilities, labels: Labels) -> float:
    """Area under the ROC curve: of the second class where there are two, else one against the rest, macro average."""
    columns = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = [roc_area(probabilities[:, column], labels == column) for column in columns]
    known = [area for area in areas if np.isfinite(area)]
    return float(np.mean(known)) if known else float("nan")


ACCURACY = Metric(accuracy, of_labels=True)
BALANCED_ACCURACY = Metric(balanced_accuracy, of_labels=True)
F1_MACRO = Metric(f1_macro, of_labels=True)
LOG_LOSS = Metric(log_loss, greater_is_better=False)
QUADRATIC_KAPPA = Metric(quadratic_kappa, of_labels=True, of_grades=True)
