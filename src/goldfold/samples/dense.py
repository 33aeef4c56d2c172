"""Masks in a network's frame, made on access."""

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.cache.tiles import Box, padded
from goldfold.images.geometry import Placement, place
from goldfold.targets.mask_bits import Bits, planes
from goldfold.targets.mask_coding import Coding
from goldfold.targets.masks import resize_mask
from goldfold.targets.soft_masks import from_text, of_hard, resized

Channels = NDArray[np.unsignedinteger[Any]]
"""(height, width) channel of every pixel, or set of classes."""


class FramedMasks(Sequence[dict[str, Any]]):
    """``{"mask": (height, width)}`` per row of a table; pixels of the frame outside the image are IGNORE.

    Of classes that may overlap, masks are sets of classes, in samples as bytes, see `goldfold.targets.mask_bits.planes`. If some
    masks are soft, all are (height, width, classes), see `goldfold.targets.soft_masks`.

    Args:
        table: id, width and height; columns ``rle`` and ``soft`` hold masks that are not in the cache.
        images: cached images and masks; a `goldfold.cache.tiled.TiledImages` for parts of masks.
        coding: maps pixel values to channels.
    """

    def __init__(
        self,
        table: pd.DataFrame,
        images: Any,
        resize: str,
        coding: Coding | Bits,
    ) -> None:
        self.images, self.resize, self.coding = images, resize, coding
        self.ids = list(table["id"])
        self.sizes = list(zip(table["height"].astype(int), table["width"].astype(int), strict=True))
        self.texts = list(table["rle"]) if "rle" in table else [""] * len(table)
        self.soft = list(table["soft"]) if "soft" in table else [""] * len(table)
        self.is_soft = any(self.soft)
        self._packed: dict[int, Packed] = {}

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, row: Any) -> Any:
        placement = self.placement(row)
        return self.fields(placement.into_frame(self.inner(row), 255 if self.soft[row] else self.coding.ignore))

    def fields(self, mask: Channels) -> dict[str, Any]:
        """Return the field of a sample with this mask, a soft one (height, width, classes) or a hard one."""
        if self.is_soft and mask.ndim == 2:
            mask = of_hard(self.coding, mask).transpose(1, 2, 0)
        if self.is_soft:
            return {"mask": np.ascontiguousarray(mask)}
        return {"mask": planes(mask) if self.coding.overlaps else mask}

    def part(self, row: int, box: Box) -> Channels:
        """Return a part of the mask of an image at its own size, see `goldfold.cache.tiled`; pixels beyond it are ignored."""
        size: tuple[int, int] = self.images.size(self.ids[row])
        return padded(lambda inner: self._inside(row, inner), size, box, 255 if self.soft[row] else self.coding.ignore)

    def _inside(self, row: int, box: Box) -> Channels:
        if self.texts[row] or self.soft[row]:
            if row not in self._packed:
                self._packed[row] = Packed(self.inner(row))
            return self._packed[row].part(box)
        return self.coding.channels(self.images.mask_part(self.ids[row], box))

    def placement(self, row: int) -> Placement:
        """Return the place of the image, or of its cropped part, in the frame."""
        return place(self.sizes[row], self.images.frame, self.resize, self.images.roi(self.ids[row]))

    def inner(self, row: int) -> Channels:
        """Return the mask of the image (or its cropped part) at the network's resolution; pixels beyond the frame are ignored."""
        placement = self.placement(row)
        if text := self.soft[row]:
            return resized(from_text(text), placement.inner).transpose(1, 2, 0)
        if text := self.texts[row]:
            whole = self.coding.from_text(text, *self.sizes[row])
            framed = resize_mask(whole, self.images.frame, self.resize, roi=placement.roi)
        else:
            framed = self.coding.channels(self.images.mask(self.ids[row]))
        return placement.out_of_frame(framed, self.coding.ignore)


class Packed:
    """A mask (height, width, ...) as compressed strips of rows, of which windows read some: it is decoded from its text once."""

    STRIP_PX = 128

    def __init__(self, mask: Channels) -> None:
        self.shape, self.dtype = mask.shape[1:], mask.dtype
        tops = range(0, len(mask), self.STRIP_PX)
        self.strips = [zlib.compress(mask[top : top + self.STRIP_PX].tobytes(), 1) for top in tops]

    def part(self, box: Box) -> Channels:
        """Return a part of the mask, within it."""
        top, left, bottom, right = box
        first, last = top // self.STRIP_PX, -(-bottom // self.STRIP_PX)
        pixels = b"".join(zlib.decompress(strip) for strip in self.strips[first:last])
        rows = np.frombuffer(pixels, self.dtype).reshape(-1, *self.shape)
        return rows[top - first * self.STRIP_PX : bottom - first * self.STRIP_PX, left:right]
