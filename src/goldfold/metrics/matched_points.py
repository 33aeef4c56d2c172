"""Predicted points paired with true ones.

A predicted point finds a true one of its class in its image if it is within ``distance_px``. Matching is one to one and greedy:
predictions by descending score, each with the nearest true point that is still free. What a point finds therefore does not
depend on points of lower score, so that one matching serves all thresholds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.metrics.metric import Rows
from goldfold.targets.nearness import default_distance

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Places:
    """Points of all images in flat arrays."""

    image: Ints
    label: Ints
    point: Floats
    """(n, 2) x, y in pixels."""
    score: Floats

    @classmethod
    def of(cls, images: Sequence[tuple[Any, Any, Any]]) -> "Places":
        """Flatten points (n, 2), scores (n,) and labels (n,) of each image."""
        lengths = [len(scores) for _, scores, _ in images]
        points, scores, labels = (
            np.concatenate([np.asarray(image[part], float).reshape(shape) for image in images] or [np.empty(empty)])
            for part, shape, empty in ((0, (-1, 2), (0, 2)), (1, -1, 0), (2, -1, 0))
        )
        return cls(np.repeat(np.arange(len(images)), lengths), labels.astype(np.int64), points, scores)


@dataclass(frozen=True)
class Evidence:
    """Predicted points with the true ones."""

    true: Places
    found: Places
    """By descending score."""
    sizes: Ints
    """(n, 2) height and width of each image in pixels."""
    n_classes: int
    thresholds: Floats
    """(n, classes) score from which a point counts."""
    distance_px: float | None = None
    """Distance of the task; None: 3 % of each image's longer side."""
    matched: dict[Any, Ints] = field(default_factory=dict, repr=False)
    """By distance: the row of the true point that each prediction finds, -1 for none; filled on access."""
    partners: dict[str, Floats] = field(default_factory=dict, repr=False)
    """Distance from each true point to its partner as a keypoint, see `goldfold.metrics.points`; filled on access."""

    def __len__(self) -> int:
        return len(self.sizes)

    def arguments(self, rows: Rows) -> tuple["Evidence", Rows]:
        """See `goldfold.metrics.metric.Evidence`."""
        return self, rows

    def at(self, thresholds: Sequence[float]) -> "Evidence":
        """Return the same points decided by one threshold per class."""
        return replace(self, thresholds=np.tile(np.asarray(thresholds, float), (len(self), 1)))

    def levels(self, columns: Sequence[int]) -> Floats:
        """Return candidate thresholds for some of the classes: scores of their points, with 0.5."""
        scores = self.found.score[np.isin(self.found.label, columns)]
        return np.unique(np.append(scores, 0.5))

    def of_class(self, column: int) -> "Evidence":
        """Return the evidence of one class."""
        parts = []
        for places in (self.true, self.found):
            own = places.label == column
            parts.append(Places(places.image[own], np.zeros(own.sum(), np.int64), places.point[own], places.score[own]))
        return Evidence(parts[0], parts[1], self.sizes, 1, self.thresholds[:, [column]], self.distance_px)

    def reach(self, distance_px: float | None, factor: float = 1.0) -> Floats:
        """Return the distance up to which a point is at its place, of each image (n,)."""
        given = self.distance_px if distance_px is None else distance_px
        own = [default_distance((int(height), int(width))) for height, width in self.sizes]
        return np.asarray(own if given is None else np.full(len(self), float(given))) * factor

    def matches(self, distance_px: float | None = None, factor: float = 1.0) -> Ints:
        """Return the row of the true point that each prediction finds, -1 for none."""
        key = (self.distance_px if distance_px is None else distance_px, factor)
        if key not in self.matched:
            self.matched[key] = _matched(self.true, self.found, self.reach(distance_px, factor), self.n_classes)
        return self.matched[key]

    @property
    def counts(self) -> NDArray[np.bool_]:
        """Return which predictions reach the threshold of their class."""
        return self.found.score >= self.thresholds[self.found.image, self.found.label]

    def cells(self, rows: Ints, labels: Ints, weights: Any = None) -> Floats:
        """Count by image and class, (n, classes)."""
        places = rows * self.n_classes + labels
        return np.bincount(places, weights, len(self) * self.n_classes).reshape(len(self), self.n_classes).astype(float)


def compare(
    truth: Sequence[tuple[Any, Any]],
    predictions: Sequence[tuple[Any, Any, Any]],
    sizes: Any,
    n_classes: int,
    thresholds: Floats,
    distance_px: float | None = None,
) -> Evidence:
    """Pair predicted points with true ones.

    Args:
        truth: per image, points in pixels and labels.
        predictions: per image in the same order, points in pixels, scores and labels.
        sizes: (n, 2) height and width of each image.
        thresholds: (n, classes) score from which a point counts.

    Raises:
        DataError: there are no images, or lengths differ.
    """
    if not len(truth) or len(truth) != len(predictions):
        raise DataError(
            f"{len(truth)} images of truth and {len(predictions)} of predictions. Give one entry per image."
        )
    true = Places.of([(points, np.ones(len(np.asarray(labels))), labels) for points, labels in truth])
    every = Places.of(predictions)
    order = np.lexsort((every.point[:, 1], every.point[:, 0], every.label, every.image, -every.score))
    found = Places(every.image[order], every.label[order], every.point[order], every.score[order])
    return Evidence(true, found, np.asarray(sizes, np.int64).reshape(-1, 2), n_classes, thresholds, distance_px)


def _matched(true: Places, found: Places, reach: Floats, n_classes: int) -> Ints:
    """Match greedily within each image and class, see the module."""
    matches = np.full(len(found.score), -1, np.int64)
    of_true, of_found = (by_cell(places, n_classes) for places in (true, found))
    for cell, rows in of_found.items():
        if cell not in of_true:
            continue
        targets = of_true[cell]
        away = np.linalg.norm(found.point[rows][:, None] - true.point[targets][None], axis=2)
        away[away > reach[cell // n_classes]] = np.inf
        for place in np.flatnonzero(np.isfinite(away).any(axis=1)).tolist():
            nearest = int(away[place].argmin())
            if np.isfinite(away[place, nearest]):
                matches[rows[place]] = targets[nearest]
                away[:, nearest] = np.inf
    return matches


def by_cell(places: Places, n_classes: int) -> dict[int, Ints]:
    """Rows by image and class; predictions stay in the order of their scores."""
    keys = places.image * n_classes + places.label
    order = np.argsort(keys, kind="stable")
    cells, starts = np.unique(keys[order], return_index=True)
    return dict(zip(cells.tolist(), np.split(order, starts[1:]), strict=True)) if len(cells) else {}
