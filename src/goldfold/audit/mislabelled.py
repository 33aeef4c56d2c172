"""Confident learning: which labels are probably wrong, and how many of each class (Northcutt, Jiang, Chuang 2021).

Written from the paper (Journal of Artificial Intelligence Research 70, sections 3 and 4). All functions take probabilities
of images by models that were not trained on them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Probabilities = NDArray[np.floating[Any]]
Labels = NDArray[np.integer[Any]]
DIGITS = 12
"""Decimals of margins in the order of candidates, so that rounding errors of a sum do not decide it."""
BLOCK = 2**24
"""Most probabilities that are compared at a time."""


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
    least = thresholds(probabilities, labels) - 10.0**-DIGITS
    found = np.empty(len(labels), dtype=np.int64)
    for of in _blocks(probabilities):
        found[of] = _confident(probabilities[of], labels[of], least)
    return found


def _confident(probabilities: Probabilities, labels: Labels, least: NDArray[np.float64]) -> NDArray[np.int64]:
    rows = np.arange(len(labels))
    own = probabilities[rows, labels][:, None]
    reaches = (probabilities >= least) & (probabilities >= own)
    best = np.where(reaches, probabilities, -1.0).argmax(axis=1)
    best = np.where(reaches[rows, labels] & (probabilities[rows, best] <= own[:, 0]), labels, best)
    return np.where(reaches.any(axis=1), best, -1)


def _blocks(probabilities: Probabilities) -> Iterator[slice]:
    """Slices of the images, whose rows are together at most `BLOCK` numbers, so that copies of all images are never made."""
    n, n_classes = probabilities.shape
    size = max(1, BLOCK // max(1, n_classes))
    return (slice(start, start + size) for start in range(0, n, size))


@dataclass(frozen=True)
class Joint:
    """Numbers of images by two classes, without pairs of classes that no image has: of thousands of classes most are empty."""

    given: NDArray[np.int64]
    """(pairs,) given class, ascending."""
    other: NDArray[np.int64]
    """(pairs,) confident or true class, ascending for the same given class."""
    n: NDArray[np.float64]
    """(pairs,) number of images."""


def confident_joint(probabilities: Probabilities, labels: Labels) -> Joint:
    """Number of images by given and confident class; images without a confident class do not count."""
    n, found = probabilities.shape[1], confident_classes(probabilities, labels)
    is_in = found >= 0
    cells, numbers = np.unique(labels[is_in] * n + found[is_in], return_counts=True)
    return Joint(cells // n, cells % n, numbers.astype(np.float64))


def joint(probabilities: Probabilities, labels: Labels) -> Joint:
    """Estimated number of images by given and true class.

    The confident joint, scaled so that the images of each given class sum to the number of images with that label. A class none
    of whose images has a confident class is taken to be right.
    """
    confident, given = confident_joint(probabilities, labels), np.bincount(labels, minlength=probabilities.shape[1])
    sums = np.bincount(confident.given, weights=confident.n, minlength=len(given))
    right = np.flatnonzero((sums == 0) & (given > 0))
    rows, columns = np.append(confident.given, right), np.append(confident.other, right)
    numbers = np.append(confident.n, np.ones(len(right))) / np.maximum(sums, 1)[rows] * given[rows]
    order = np.lexsort((columns, rows))
    return Joint(rows[order], columns[order], numbers[order])


def by_confident_joint(probabilities: Probabilities, labels: Labels) -> NDArray[np.int64]:
    """Suggested class of each image (n,), -1 for none: its confident class, where that is not the label."""
    found = confident_classes(probabilities, labels)
    return np.where(found == labels, -1, found)


def by_noise_rate(probabilities: Probabilities, labels: Labels) -> NDArray[np.int64]:
    """Suggested class of each image (n,), -1 for none.

    For each given class i and other class j, as many images as `joint` estimates to be of class j: those with the largest
    p_j - p_i, if it is above 0. An image chosen for several classes is suggested the one with the largest difference.
    """
    found = joint(probabilities, labels)
    suggested, largest = np.full(len(labels), -1), np.full(len(labels), -np.inf)
    for given, other, wanted in zip(found.given, found.other, np.rint(found.n).astype(np.int64), strict=True):
        if given == other or not wanted:
            continue
        rows = np.flatnonzero(labels == given)
        difference = (probabilities[rows, other] - probabilities[rows, given]).round(DIGITS)
        first = np.argsort(-difference, kind="stable")[:wanted]
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
    largest = np.empty(len(labels))
    for of in _blocks(probabilities):
        others = probabilities[of].astype(np.float64)
        others[np.arange(len(others)), labels[of]] = -np.inf
        largest[of] = others.max(axis=1)
    return np.asarray(probabilities[np.arange(len(labels)), labels] - largest)
