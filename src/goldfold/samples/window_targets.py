"""What windows of large images show of masks and boxes, and where training windows are placed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.counter import counter
from goldfold.cache.tiles import SIDE_PX, Box
from goldfold.samples.mixing.boxes import boxes_of, labels_of, shown
from goldfold.samples.mixing.regions import Rectangle
from goldfold.targets.soft_masks import decided

if TYPE_CHECKING:
    from goldfold.cache.tiled import TiledImages
    from goldfold.samples.dense import FramedMasks

Places = list[NDArray[np.int32]]
"""Places (n, 4) by class: first row and column, and those after the last."""
CANDIDATES = 256
"""Pixels of a class of an image around which windows are placed; of more, this many are drawn once."""
STRIP_PX = 8 * SIDE_PX
"""Rows of a mask that are searched for classes at a time."""


class WindowMasks:
    """Parts of masks; the places of a class are pixels, of which at most `CANDIDATES` per image are kept."""

    def __init__(self, masks: FramedMasks, images: TiledImages) -> None:
        self.masks, self.images, self.ids = masks, images, masks.ids
        self._found: dict[int, Places] = {}

    def part(self, row: int, box: Box) -> dict[str, Any]:
        """Return ``mask`` of a window, ignored beyond the image."""
        return self.masks.fields(self.masks.part(row, box))

    def places(self, row: int) -> Places:
        """Return single pixels of each class that is in the image."""
        if row not in self._found:
            self._found[row] = self._search(row)
        return self._found[row]

    def _search(self, row: int) -> Places:
        coding, (height, width) = self.masks.coding, self.images.size(self.ids[row])
        boxes = [(top, 0, min(top + STRIP_PX, height), width) for top in range(0, height, STRIP_PX)]
        counts = np.array([[one.sum() for one in self._classes(row, box)] for box in boxes])
        generator = np.random.default_rng(counter(self.ids[row], "candidates"))
        wanted = [_ranks(of_class, generator) for of_class in counts.T]
        found: list[list[NDArray[np.int32]]] = [[] for _ in coding.codes]
        for number, box in enumerate(boxes):
            if any(len(ranks[number]) for ranks in wanted):
                for place, own in enumerate(self._classes(row, box)):
                    flat = np.flatnonzero(own)[wanted[place][number]]
                    pixels = np.stack([box[0] + flat // width, flat % width], axis=1)
                    found[place].append(np.hstack([pixels, pixels + 1]).astype(np.int32))
        return [places for parts in found if parts and len(places := np.concatenate(parts))]

    def _classes(self, row: int, box: Box) -> Iterator[NDArray[np.bool_]]:
        """Yield where each class is in a part of the mask of an image."""
        coding, part = self.masks.coding, self.masks.part(row, box)
        if part.ndim == 3:
            return iter(decided(part.transpose(2, 0, 1), coding))
        known = part != coding.ignore
        return (coding.has(part, code) & known for code in coding.codes)


def _ranks(counts: NDArray[np.int64], generator: np.random.Generator) -> list[NDArray[np.int64]]:
    """Draw some of the pixels of a class, by their number within each strip, where strips have ``counts`` of them."""
    total = int(counts.sum())
    drawn = np.sort(generator.choice(total, CANDIDATES, replace=False)) if total > CANDIDATES else np.arange(total)
    ends = np.cumsum(counts)
    return [drawn[(drawn >= end - n) & (drawn < end)] - (end - n) for n, end in zip(counts, ends, strict=True)]


class WindowBoxes:
    """Boxes in parts of images; the places of a class are its boxes."""

    def __init__(self, ids: Sequence[str], targets: Sequence[dict[str, Any]], min_visible: float) -> None:
        """``targets``: ``bboxes`` (n, 4) and ``labels`` (n,) per image, in pixels of the image at its own size; boxes of which a
        window shows a smaller share than ``min_visible`` are no objects in it."""
        self.ids, self.targets, self.min_visible = list(ids), targets, min_visible

    def part(self, row: int, box: Box) -> dict[str, Any]:
        """Return ``bboxes`` (n, 4), clipped, and ``labels`` (n,) of a window, in its pixels."""
        fields = self.targets[row]
        seen, place = Rectangle(*box), Rectangle(0, 0, box[2] - box[0], box[3] - box[1])
        boxes, labels = shown(boxes_of(fields), labels_of(fields), seen, place, self.min_visible)
        return {"bboxes": boxes, "labels": labels}

    def places(self, row: int) -> Places:
        """Return the pixels that each box touches, for each class that is in the image."""
        boxes, labels = boxes_of(self.targets[row]), labels_of(self.targets[row])
        touched = [[math.floor(y1), math.floor(x1), math.ceil(y2), math.ceil(x2)] for x1, y1, x2, y2 in boxes.tolist()]
        pixels = np.array(touched, np.int32).reshape(-1, 4)
        return [pixels[labels == label] for label in np.unique(labels)]
