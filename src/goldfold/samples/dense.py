"""Masks in a network's frame, made on access."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.cache.tiles import Box, padded
from goldfold.images.geometry import Placement, place
from goldfold.targets.mask_coding import IGNORE, Coding
from goldfold.targets.masks import resize_mask


class FramedMasks(Sequence[dict[str, Any]]):
    """``{"mask": (height, width)}`` per row of a table; pixels of the frame outside the image are IGNORE.

    Args:
        table: id, width and height; a column ``rle`` holds masks that are not in the cache.
        images: cached images and masks; a `goldfold.cache.tiled.TiledImages` for parts of masks.
        coding: maps pixel values to channels.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        images: Any,
        resize: str,
        coding: Coding,
    ) -> None:
        self.images, self.resize, self.coding = images, resize, coding
        self.ids = list(table["id"])
        self.sizes = list(zip(table["height"].astype(int), table["width"].astype(int), strict=True))
        self.texts = list(table["rle"]) if "rle" in table else [""] * len(table)
        self._packed: dict[int, Packed] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: Any) -> Any:
        return {"mask": self.placement(row).into_frame(self.inner(row), IGNORE)}

    def part(self, row: int, box: Box) -> NDArray[np.uint8]:
        """Return a part of the mask of an image at its own size, see `goldfold.cache.tiled`; pixels beyond it are IGNORE."""
        size: tuple[int, int] = self.images.size(self.ids[row])
        return padded(lambda inner: self._inside(row, inner), size, box, IGNORE)

    def _inside(self, row: int, box: Box) -> NDArray[np.uint8]:
        if self.texts[row]:
            if row not in self._packed:
                self._packed[row] = Packed(self.inner(row))
            return self._packed[row].part(box)
        return self.coding.channels(self.images.mask_part(self.ids[row], box))

    def placement(self, row: int) -> Placement:
        """Return the place of the image, or of its cropped part, in the frame."""
        return place(self.sizes[row], self.images.frame, self.resize, self.images.roi(self.ids[row]))

    def inner(self, row: int) -> NDArray[np.uint8]:
        """Return the mask of the image (or its cropped part) at the network's resolution; pixels outside the frame are IGNORE."""
        placement = self.placement(row)
        if text := self.texts[row]:
            whole = self.coding.from_text(text, *self.sizes[row])
            framed = resize_mask(whole, self.images.frame, self.resize, roi=placement.roi)
        else:
            framed = self.coding.channels(self.images.mask(self.ids[row]))
        return placement.out_of_frame(framed, IGNORE)


class Packed:
    """A mask (height, width) as compressed strips of rows, of which windows read some: it is decoded from its text once."""

    STRIP_PX = 128

    def __init__(self, mask: NDArray[np.uint8]) -> None:
        self.width = mask.shape[1]
        tops = range(0, len(mask), self.STRIP_PX)
        self.strips = [zlib.compress(mask[top : top + self.STRIP_PX].tobytes(), 1) for top in tops]

    def part(self, box: Box) -> NDArray[np.uint8]:
        """Return a part of the mask, within it."""
        top, left, bottom, right = box
        first, last = top // self.STRIP_PX, -(-bottom // self.STRIP_PX)
        pixels = b"".join(zlib.decompress(strip) for strip in self.strips[first:last])
        rows = np.frombuffer(pixels, np.uint8).reshape(-1, self.width)
        return rows[top - first * self.STRIP_PX : bottom - first * self.STRIP_PX, left:right]
