"""Training windows of large images: which part of an image a sample shows, and how many samples an image has per epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from goldfold.base.counter import counter
from goldfold.cache.tiled import TiledImages, drawn_box
from goldfold.cache.tiles import SIDE_PX, Box
from goldfold.samples.dense import FramedMasks
from goldfold.samples.samplers import Rows, Sampler, TrainingCases
from goldfold.targets.mask_coding import IGNORE

MOST_AUTO = 256
"""Most windows of an image per epoch by ``auto``."""
CANDIDATES = 256
"""Pixels of a class of an image around which windows are placed; of more, this many are drawn once."""
STRIP_PX = 8 * SIDE_PX
"""Rows of a mask that are searched for classes at a time."""


@dataclass(frozen=True)
class One:
    """The image of one case, for `goldfold.samples.dataset.sample`."""

    image: NDArray[np.uint8]

    def views(self, id: str) -> list[NDArray[np.uint8]]:
        """Return the image."""
        return [self.image]


@dataclass(frozen=True)
class Crops:
    """Windows of training images with their masks, each a function of the row and a seed.

    With probability ``positive`` a window lies around a pixel of a class: of the classes in the image one is drawn, then one
    of its pixels, which is anywhere in the window. Else it lies anywhere in the image; also where the image has no class.
    """

    images: TiledImages
    masks: FramedMasks
    positive: float
    found: dict[int, list[NDArray[np.int32]]] = field(default_factory=dict)
    """Row -> pixels by class that is in the image, filled on access."""

    def __call__(self, row: int, seed: int) -> tuple[One, dict[str, Any]]:
        """Return the image of a window (height, width, channels) and the fields of its target."""
        box = self.box(row, seed)
        return One(self.images.part(self.masks.ids[row], box)), self.masks.fields(self.masks.part(row, box))

    def box(self, row: int, seed: int) -> Box:
        """Draw the place of a window, within the image or, where it is smaller, around it."""
        generator, window = np.random.default_rng(seed), self.images.frame
        size = self.images.size(self.masks.ids[row])
        if generator.random() < self.positive and (classes := self.pixels(row)):
            pixels = classes[generator.integers(len(classes))]
            return _around(pixels[generator.integers(len(pixels))], size, window, generator)
        return drawn_box(size, window, generator)

    def pixels(self, row: int) -> list[NDArray[np.int32]]:
        """Return pixels (n, 2), row and column, of each class that is in the image, at most `CANDIDATES`."""
        if row not in self.found:
            self.found[row] = self._search(row)
        return self.found[row]

    def _search(self, row: int) -> list[NDArray[np.int32]]:
        coding, (height, width) = self.masks.coding, self.images.size(self.masks.ids[row])
        boxes = [(top, 0, min(top + STRIP_PX, height), width) for top in range(0, height, STRIP_PX)]
        counts = np.array([[one.sum() for one in self._classes(row, box)] for box in boxes])
        generator = np.random.default_rng(counter(self.masks.ids[row], "candidates"))
        wanted = [_ranks(of_class, generator) for of_class in counts.T]
        found: list[list[NDArray[np.int32]]] = [[] for _ in coding.codes]
        for number, box in enumerate(boxes):
            if any(len(ranks[number]) for ranks in wanted):
                for place, own in enumerate(self._classes(row, box)):
                    flat = np.flatnonzero(own)[wanted[place][number]]
                    found[place].append(np.stack([box[0] + flat // width, flat % width], axis=1).astype(np.int32))
        return [pixels for parts in found if parts and len(pixels := np.concatenate(parts))]

    def _classes(self, row: int, box: Box) -> Iterator[NDArray[np.bool_]]:
        """Yield where each class is in a part of the mask of an image."""
        coding, strip = self.masks.coding, self.masks.part(row, box)
        if strip.ndim == 3:  # soft
            return (
                (strip[..., place] > IGNORE // 2) & (strip[..., place] != IGNORE) for place in range(strip.shape[2])
            )
        known = strip != coding.ignore
        return (coding.has(strip, code) & known for code in coding.codes)


def _ranks(counts: NDArray[np.int64], generator: np.random.Generator) -> list[NDArray[np.int64]]:
    """Draw some of the pixels of a class, by their number within each strip, where strips have ``counts`` of them."""
    total = int(counts.sum())
    drawn = np.sort(generator.choice(total, CANDIDATES, replace=False)) if total > CANDIDATES else np.arange(total)
    ends = np.cumsum(counts)
    return [drawn[(drawn >= end - n) & (drawn < end)] - (end - n) for n, end in zip(counts, ends, strict=True)]


def _around(
    pixel: NDArray[np.int32], size: tuple[int, int], window: tuple[int, int], generator: np.random.Generator
) -> Box:
    """Draw a window that shows a pixel, at any place of it, as far as the window stays within the image."""
    starts = []
    for at, whole, side in zip(pixel.tolist(), size, window, strict=True):
        low, high = min(0, whole - side), max(0, whole - side)
        starts.append(int(generator.integers(max(low, at - side + 1), min(high, at), endpoint=True)))
    return starts[0], starts[1], starts[0] + window[0], starts[1] + window[1]


def per_image(
    sizes: Sequence[tuple[int, int]], window: tuple[int, int], wanted: Literal["auto"] | int
) -> NDArray[np.int64]:
    """Return the number of windows of each image per epoch.

    >>> per_image([(6000, 6000), (1000, 500), (100, 100)], (512, 512), "auto").tolist()
    [138, 2, 1]
    """
    if wanted != "auto":
        return np.full(len(sizes), wanted)
    areas = np.array([height * width for height, width in sizes], float)
    return np.ceil(areas / (window[0] * window[1])).clip(1, MOST_AUTO).astype(np.int64)


@dataclass(frozen=True)
class Repeated:
    """Sampler of epochs in which each case of another sampler comes several times, in random order.

    Every epoch has the same length, although samplers may draw images of other sizes: ``n`` windows for each case on average.
    """

    sampler: Sampler
    counts: NDArray[np.int64]
    """Number of windows of each case."""

    def __call__(self, cases: TrainingCases, batch_size: int, generator: np.random.Generator) -> Rows:
        """Return the rows of an epoch."""
        order = np.asarray(self.sampler(cases, batch_size, generator))
        length = max(len(order), round(len(order) * float(self.counts.mean())))
        rows = np.repeat(order, self.counts[order])
        if len(rows) < length:
            rows = np.concatenate([rows, generator.choice(order, length - len(rows))])
        return generator.permutation(rows)[:length]
