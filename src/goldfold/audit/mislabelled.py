"""Confident learning: which labels are probably wrong, and how many of each class (Northcutt, Jiang, Chuang 2021).

Written from the paper (Journal of Artificial Intelligence Research 70, sections 3 and 4). All functions take probabilities
of images by models that were not trained on them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
DIGITS = 12
"""Decimals of margins in the order of candidates, so that rounding errors of a sum do not decide it."""


@dataclass(frozen=True)
class Candidates:
    """Images whose label may be wrong, the most suspicious first."""

    rows: NDArray[np.int64]
    """(n,) rows of the probabilities."""
    suggested: NDArray[np.int64]
    """(n,) class that the label is probably mistaken for."""
    confidence: NDArray[np.float64]
    """(n,) probability of the suggested class."""
    margin: NDArray[np.float64]
    """(n,) probability of the given class minus the largest of the others, -1..1; the order is by it, smallest first."""

    def __len__(self) -> int:
        return len(self.rows)


def thresholds(probabilities: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Mean probability of each class over the images that have its label (classes,); infinite for a class without images.

    >>> thresholds(np.array([[0.9, 0.1], [0.7, 0.3], [0.4, 0.6]]), np.array([0, 0, 1]))
    array([0.8, 0.6])
    """
    n_classes = probabilities.shape[1]
    own = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    counts = np.bincount(labels, minlength=n_classes)
    sums = np.bincount(labels, weights=own, minlength=n_classes)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.inf)


def confident_classes(probabilities: Probabilities, labels: Labels) -> NDArray[np.int64]:
    """Most probable class of each image among those whose probability reaches the class's threshold (n,); -1 for none.

    Unlike in the paper, a class that is less probable than the given one is none: otherwise a class that the models hardly
    ever predict, whose threshold is near 0, would claim every image that is not quite certain. With equal probabilities the
    given class is the confident one.
    """
    own = probabilities[np.arange(len(labels)), labels][:, None]
    reaches = (probabilities >= thresholds(probabilities, labels) - 10.0**-DIGITS) & (probabilities >= own)
    best = np.where(reaches, probabilities, -1.0).argmax(axis=1)
    rows = np.arange(len(labels))
    best = np.where(reaches[rows, labels] & (probabilities[rows, best] <= own[:, 0]), labels, best)
    return np.where(reaches.any(axis=1), best, -1)


def confident_joint(probabilities: Probabilities, labels: Labels) -> NDArray[np.int64]:
    """Number of images by given class (rows) and confident class (columns); images without a confident class do not count."""
    n, found = probabilities.shape[1], confident_classes(probabilities, labels)
    is_in = found >= 0
    return np.bincount(labels[is_in] * n + found[is_in], minlength=n * n).reshape(n, n)


def joint(probabilities: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Estimated number of images by given class (rows) and true class (columns).

    The confident joint, scaled so that each row sums to the number of images with that label. A class none of whose images
    has a confident class is taken to be right.
    """
    counts = confident_joint(probabilities, labels).astype(np.float64)
    sums = counts.sum(axis=1)
    counts += np.diag((sums == 0).astype(np.float64))
    given = np.bincount(labels, minlength=len(counts))
    return counts / np.maximum(sums, 1)[:, None] * given[:, None]


def by_confident_joint(probabilities: Probabilities, labels: Labels) -> NDArray[np.int64]:
    """Suggested class of each image (n,), -1 for none: its confident class, where that is not the label."""
    found = confident_classes(probabilities, labels)
    return np.where(found == labels, -1, found)


def by_noise_rate(probabilities: Probabilities, labels: Labels) -> NDArray[np.int64]:
    """Suggested class of each image (n,), -1 for none.

    For each given class i and other class j, as many images as `joint` estimates to be of class j: those with the largest
    p_j - p_i, if it is above 0. An image chosen for several classes is suggested the one with the largest difference.
    """
    wanted = np.rint(joint(probabilities, labels)).astype(np.int64)
    suggested, largest = np.full(len(labels), -1), np.full(len(labels), -np.inf)
    for given, other in zip(*np.nonzero(wanted), strict=True):
        if given == other:
            continue
        rows = np.flatnonzero(labels == given)
        difference = (probabilities[rows, other] - probabilities[rows, given]).round(DIGITS)
        first = np.argsort(-difference, kind="stable")[: wanted[given, other]]
        first = first[difference[first] > 0]
        better = first[difference[first] > largest[rows[first]]]
        suggested[rows[better]], largest[rows[better]] = other, difference[better]
    return suggested


RULES: Mapping[str, Callable[[Probabilities, Labels], NDArray[np.int64]]] = {
    "confident_joint": by_confident_joint,
    "noise_rate": by_noise_rate,
}
"""Rules of `find` by name."""


def find(probabilities: Probabilities, labels: Labels, rule: str = "confident_joint") -> Candidates:
    """Images whose label may be wrong.

    Args:
        probabilities: (n, classes), rows summing to one, each by models that were not trained on the image.
        labels: (n,) index of the given class.
        rule: ``confident_joint`` or ``noise_rate``, see `by_confident_joint` and `by_noise_rate`.
    """
    suggested = RULES[rule](probabilities, labels)
    rows = np.flatnonzero(suggested >= 0)
    margin = margins(probabilities, labels)[rows]
    order = np.argsort(margin.round(DIGITS), kind="stable")
    rows = rows[order]
    confidence = probabilities[rows, suggested[rows]].astype(np.float64)
    return Candidates(rows, suggested[rows], confidence, margin[order])


def margins(probabilities: Probabilities, labels: Labels) -> NDArray[np.float64]:
    """Probability of the given class minus the largest of the others (n,), -1..1."""
    rows = np.arange(len(labels))
    others = probabilities.astype(np.float64).copy()
    others[rows, labels] = -np.inf
    return probabilities[rows, labels] - others.max(axis=1)
