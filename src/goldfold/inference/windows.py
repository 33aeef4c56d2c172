"""Predict images that are larger than a network's input window by window, and blend maps by Gaussian weights.

Boxes of windows are joined by `goldfold.inference.window_boxes`. The weights, with a standard deviation of an eighth of the
window, are those of nnU-Net (Isensee et al. 2021, Nature Methods 18, "inference").
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, product
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

SIGMA = 1 / 8
"""Standard deviation of the weights, as a part of the window's side."""
MOST_PIXELS = 2**21
"""Pixels of the windows that are predicted at a time: 8 of 512 x 512; so memory depends neither on the image nor on the batch
size of whole images."""
Size = tuple[int, int]
"""Height and width."""
Place = tuple[int, int]
"""First row and column of a window."""


class Parts(Protocol):
    """Images at their own size, read in parts, as `goldfold.cache.tiled.TiledImages`."""

    def size(self, id: str) -> Size:
        """Height and width of an image."""

    def part(self, id: str, box: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Part of an image (height, width, channels), black beyond it, by first row and column and those after the last."""

    @property
    def frame(self) -> Size:
        """Height and width of windows."""


@dataclass(frozen=True)
class Windows:
    """How images are predicted in windows."""

    overlap: float
    """Part of a window that the next one covers again, 0 to below 1."""


def starts(side: int, window: int, overlap: float) -> list[int]:
    """First pixels of the windows along one side of an image; the last window ends with the image.

    >>> starts(10, 4, 0.5), starts(9, 4, 0.25), starts(4, 4, 0.5)
    ([0, 2, 4, 6], [0, 3, 5], [0])
    >>> starts(2, 4, 0.5)  # a smaller image is in the middle of its window
    [-1]
    """
    if side <= window:
        return [-((window - side) // 2)]
    stride = max(1, round(window * (1 - overlap)))
    return [*range(0, side - window, stride), side - window]


@dataclass(frozen=True)
class Grid:
    """Windows of one image, row by row; their places are made on access."""

    size: Size
    """Height and width of the image."""
    window: Size
    tops: tuple[int, ...]
    lefts: tuple[int, ...]

    @classmethod
    def of(cls, size: Size, window: Size, overlap: float) -> Grid:
        """Lay out the windows of an image."""
        tops, lefts = (tuple(starts(a, b, overlap)) for a, b in zip(size, window, strict=True))
        return cls(size, window, tops, lefts)

    def __len__(self) -> int:
        return len(self.tops) * len(self.lefts)

    def __getitem__(self, number: int) -> Place:
        if not 0 <= number < len(self):
            raise IndexError(number)
        row, column = divmod(number, len(self.lefts))
        return self.tops[row], self.lefts[column]

    def __iter__(self) -> Iterator[Place]:
        return product(self.tops, self.lefts)

    def box(self, place: Place) -> tuple[int, int, int, int]:
        """First row and column of a window, and those after the last."""
        return *place, place[0] + self.window[0], place[1] + self.window[1]


class Joins(Protocol):
    """Optional member of the facet `goldfold.tasks.protocol.Infer`, needed for windows."""

    def joined(self, grid: Grid, parts: Iterator[dict[str, Any]]) -> dict[str, Any]:
        """Join what was predicted for each window, in the order of the grid, to the prediction of a batch of the one image."""


def weights(side: int) -> NDArray[np.float64]:
    """Gaussian weights along one side of a window, 1 in the middle."""
    middle = (side - 1) / 2
    found: NDArray[np.float64] = np.exp(-0.5 * ((np.arange(side) - middle) / (SIGMA * side)) ** 2)
    return found


def blended(grid: Grid, maps: Iterator[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Blend the maps of the windows of one image; in memory are only the result and, as float, one row of windows.

    Args:
        maps: the map (channels, height, width) of each window, in the order of the grid.

    Returns:
        (channels, height, width), the weighted mean over the windows that show a pixel.
    """
    size, window = grid.size, grid.window
    first = next(maps)
    found = chain([first], maps)
    y, x = -min(grid.tops[0], 0), -min(grid.lefts[0], 0)
    tops, lefts = [top + y for top in grid.tops], [left + x for left in grid.lefts]
    canvas = max(size[0], window[0]), max(size[1], window[1])
    rows, columns = _sums(tops, window[0], canvas[0]), _sums(lefts, window[1], canvas[1])
    ahead = np.outer(weights(window[0]), weights(window[1])).astype(np.float32)
    whole = np.empty((len(first), *canvas), np.uint8)
    strip = np.zeros((len(first), window[0], canvas[1]), np.float32)
    for top, following in zip(tops, [*tops[1:], canvas[0]], strict=True):
        for left in lefts:
            strip[:, :, left : left + window[1]] += next(found) * ahead
        done = following - top  # no later window shows these rows
        norm = np.outer(rows[top:following], columns).astype(np.float32)
        whole[:, top:following] = np.round(strip[:, :done] / norm)
        strip[:, : window[0] - done] = strip[:, done:]
        strip[:, window[0] - done :] = 0
    return whole[:, y : y + size[0], x : x + size[1]]


def _sums(starts: list[int], window: int, side: int) -> NDArray[np.float64]:
    """Sum of the weights of all windows along one side, by pixel."""
    found = np.zeros(side)
    for start in starts:
        found[start : start + window] += weights(window)
    return found


def batch_of(window: Size) -> int:
    """Number of windows that are predicted at a time."""
    return max(1, MOST_PIXELS // (window[0] * window[1]))
