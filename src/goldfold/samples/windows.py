"""Training windows of large images: which part of an image a sample shows, and how many samples an image has per epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from goldfold.cache.tiled import TiledImages, drawn_box
from goldfold.cache.tiles import Box
from goldfold.samples.samplers import Rows, Sampler, TrainingCases

MOST_AUTO = 256
"""Most windows of an image per epoch by ``auto``."""


@dataclass(frozen=True)
class One:
    """The image of one case, for `goldfold.samples.dataset.sample`."""

    image: NDArray[np.uint8]

    def views(self, id: str) -> list[NDArray[np.uint8]]:
        """Return the image."""
        return [self.image]


class Targets(Protocol):
    """Targets of images at their own size, in parts, as those of `goldfold.samples.window_targets`."""

    ids: Sequence[str]

    def part(self, row: int, box: Box) -> dict[str, Any]:
        """Return the fields of the target of a window."""

    def places(self, row: int) -> list[NDArray[np.int32]]:
        """Return places (n, 4) of each class that is in the image: first row and column, and those after the last."""


@dataclass(frozen=True)
class Crops:
    """Windows of training images with their targets, each a function of the row and a seed.

    With probability ``positive`` a window shows one of the places of a class: of the classes in the image one is drawn, then one
    of its places, which is anywhere in the window. Else it lies anywhere in the image; also where the image has no class.
    """

    images: TiledImages
    targets: Targets
    positive: float

    def __call__(self, row: int, seed: int) -> tuple[One, dict[str, Any]]:
        """Return the image of a window (height, width, channels) and the fields of its target."""
        box = self.box(row, seed)
        return One(self.images.part(self.targets.ids[row], box)), self.targets.part(row, box)

    def box(self, row: int, seed: int) -> Box:
        """Draw the place of a window, within the image or, where it is smaller, around it."""
        generator, window = np.random.default_rng(seed), self.images.frame
        size = self.images.size(self.targets.ids[row])
        if generator.random() < self.positive and (classes := self.targets.places(row)):
            places = classes[generator.integers(len(classes))]
            return _around(places[generator.integers(len(places))], size, window, generator)
        return drawn_box(size, window, generator)


def _around(
    place: NDArray[np.int32], size: tuple[int, int], window: tuple[int, int], generator: np.random.Generator
) -> Box:
    """Draw a window that shows a place wholly, or is filled by it, as far as the window stays within the image."""
    starts, (top, left, bottom, right) = [], place.tolist()
    for first, end, whole, side in zip((top, left), (bottom, right), size, window, strict=True):
        least, most = min(0, whole - side), max(0, whole - side)
        low, high = sorted((end - side, first))
        starts.append(int(generator.integers(min(max(least, low), most), max(min(most, high), least), endpoint=True)))
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
