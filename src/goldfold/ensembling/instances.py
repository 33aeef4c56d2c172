"""Instances in masks: connected regions of a class, cut where they are narrow.

The distance of a pixel is that to the nearest pixel outside its class. Each maximum of the distance is the centre of a basin,
which watershed extends to the whole region (`skimage.segmentation.watershed`). The pass between two basins is the largest
distance on the line between them: half of the width of the neck that joins them. Basins are merged, widest neck first, if

- the pass is wider than `Setting.neck` times the distance at the lower of both centres, the dynamics of a maximum (Grimaud
  1992) as a ratio, so that it depends on no size, or
- the centres are nearer to each other than `Setting.distance`.

What is left are the instances. One watershed serves all settings. The border of the image is no outside: an object that it cuts
is as wide there as it goes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.targets.objects import Objects, joined

Mask = NDArray[np.bool_]
Distances = NDArray[np.float32]


@dataclass(frozen=True)
class Setting:
    """Settings of one class; by default, instances are the connected regions."""

    distance: float = 0.0
    """Centres nearer than so many pixels are of one instance."""
    neck: float = 0.0
    """Instances are cut where the neck is at most this share of the smaller one's width, 0..1."""
    smallest: int = 0
    """Instances of fewer pixels are left out."""


@dataclass(frozen=True)
class Basins:
    """Basins of one class in the part of the mask that holds the class, numbered from 1."""

    window: tuple[slice, slice]
    labels: NDArray[np.int32]
    """(height, width) of the window: number of the basin of each pixel, 0 outside the class."""
    distances: Distances
    """(height, width) of the window."""

    @cached_property
    def areas(self) -> NDArray[np.int64]:
        """Pixels of each basin (n,)."""
        return np.bincount(self.labels.ravel())[1:]

    @cached_property
    def centres(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Largest distance in each basin (n,), and its place (n, 2), the first of several."""
        places = np.flatnonzero(self.labels)
        labels, distances = self.labels.ravel()[places], self.distances.ravel()[places]
        order = np.lexsort((places, -distances, labels))
        first = order[np.flatnonzero(np.diff(labels[order], prepend=0))]
        return distances[first].astype(np.float64), np.stack(divmod(places[first], self.labels.shape[1]), axis=1)

    @cached_property
    def passes(self) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Pairs (m, 2) of basins that touch, counted from 0, and the pass between them (m,), the largest first."""
        found = [np.zeros((0, 3))]
        for own, beside in _neighbours():
            a, b = self.labels[own], self.labels[beside]
            is_pass = (a != b) & (a > 0) & (b > 0)
            heights = np.minimum(self.distances[own][is_pass], self.distances[beside][is_pass])
            ends = np.sort(np.stack([a[is_pass], b[is_pass]], axis=1), axis=1)
            found.append(np.column_stack([ends, heights]))
        every = np.concatenate(found)
        every = every[np.lexsort((-every[:, 2], every[:, 1], every[:, 0]))]
        is_first = np.ones(len(every), np.bool_)
        is_first[1:] = (every[1:, :2] != every[:-1, :2]).any(axis=1)
        every = every[is_first]
        every = every[np.argsort(-every[:, 2], kind="stable")]
        return every[:, :2].astype(np.int64) - 1, every[:, 2]

    def groups(self, setting: Setting) -> NDArray[np.int64]:
        """Return the number of the instance of each basin (n,), from 0 in the order of their first basins; -1 if too small."""
        heights, places = (one.tolist() for one in self.centres)
        parents = list(range(len(heights)))

        def top(one: int) -> int:
            while parents[one] != one:
                parents[one] = parents[parents[one]]
                one = parents[one]
            return one

        for (a, b), height in zip(*(part.tolist() for part in self.passes), strict=True):
            first, second = sorted((top(a), top(b)), key=lambda one: (-heights[one], one))
            if first == second:
                continue
            (y, x), (other_y, other_x) = places[first], places[second]
            is_near = np.hypot(y - other_y, x - other_x) < setting.distance
            if is_near or height > setting.neck * heights[second]:
                parents[second] = first
        tops = np.array([top(one) for one in range(len(parents))], np.int64)
        sizes = np.bincount(tops, self.areas, len(tops))
        is_kept = sizes[tops] >= setting.smallest
        _, first_of, numbers = np.unique(tops[is_kept], return_index=True, return_inverse=True)
        made = np.full(len(tops), -1, np.int64)
        made[is_kept] = np.argsort(np.argsort(first_of))[numbers]
        return made


def _neighbours() -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Yield slices of pixels and of their neighbours to the right, below and in both diagonals below."""
    every, first, last = slice(None), slice(None, -1), slice(1, None)
    yield (every, first), (every, last)
    yield (first, every), (last, every)
    yield (first, first), (last, last)
    yield (first, last), (last, first)


def basins(mask: Mask) -> Basins | None:
    """Return the basins of a class (height, width); None without a pixel."""
    left, top, width, height = cv2.boundingRect(mask.astype(np.uint8))
    if not width:
        return None
    window = slice(max(top - 1, 0), top + height + 1), slice(max(left - 1, 0), left + width + 1)
    inside = mask[window].astype(np.uint8)
    if inside.all():  # all of the image: nothing is outside
        return Basins(window, inside.astype(np.int32), inside.astype(np.float32))
    distances: Distances = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return Basins(window, _flooded(inside, distances), distances)


def _flooded(inside: NDArray[np.uint8], distances: Distances) -> NDArray[np.int32]:
    """Number the basins; only regions with several maxima need watershed, each in its own box."""
    from skimage.morphology import local_maxima
    from skimage.segmentation import watershed

    n, labels, stats, _ = cv2.connectedComponentsWithStats(inside, connectivity=8)
    is_top = local_maxima(distances, connectivity=2, allow_borders=True) & (inside > 0)
    n_tops, tops = cv2.connectedComponents(is_top.astype(np.uint8), connectivity=8)
    owners = np.zeros(n_tops, np.int64)
    owners[tops[is_top]] = labels[is_top]
    made, n_made = labels.astype(np.int32), n - 1
    for number in np.flatnonzero(np.bincount(owners[1:], minlength=n) > 1).tolist():
        left, top, width, height = stats[number, :4].tolist()
        box = slice(top, top + height), slice(left, left + width)
        own = labels[box] == number
        found = watershed(-distances[box], np.where(own, tops[box], 0), np.ones((3, 3)), mask=own)
        numbers, places = np.unique(found[own], return_inverse=True)
        made[box][own] = np.array([number, *range(n_made + 1, n_made + len(numbers))])[places]
        n_made += len(numbers) - 1
    return made


def instances(channels: NDArray[np.uint8], settings: Sequence[Setting], first: int = 1) -> Objects:
    """Return the instances of a mask.

    Args:
        channels: (height, width) channel of every pixel.
        settings: of the channels ``first``, ``first + 1``, ...
    """

    def of_class(channel: int, setting: Setting) -> NDArray[np.int64]:
        labels = np.zeros(channels.shape, np.int64)
        if (found := basins(channels == channel)) is not None:
            labels[found.window] = np.concatenate([[0], found.groups(setting) + 1])[found.labels]
        return labels

    return joined(channels.shape, ((at, of_class(at, setting)) for at, setting in enumerate(settings, start=first)))
