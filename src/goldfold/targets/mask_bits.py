"""Masks of classes that may overlap: the value of a pixel has one bit per class, 1 for the first, 2 for the second, 4, ..."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.targets import rle
from goldfold.targets.mask_values import Ignored, ignored

Sets = NDArray[np.unsignedinteger[Any]]
"""(height, width) set of classes of each pixel, one bit per class; all bits if the pixel is ignored."""


class Bits:
    """Conversion between stored values and sets of classes, in the smallest type with a further bit for ignored pixels.

    Args:
        ignore_value: one or several stored values that are ignored for all classes.
    """

    first, takes_any, has_colours, overlaps = 0, False, False, True

    def __init__(self, classes: Sequence[str], ignore_value: Ignored) -> None:
        self.classes, self.ignored = list(classes), ignored(ignore_value)
        self.n_channels = len(self.classes)
        """Number of maps of a network, one per class."""
        self.codes = self.values = [1 << place for place in range(self.n_channels)]
        """Bit of each class, on disk and in sets."""
        self.dtype = np.dtype(f"u{n_bytes(self.n_channels)}")
        self.ignore = int(np.iinfo(self.dtype).max)
        """Set of ignored pixels."""
        self.of_value = {value: value for value in self.values}

    def channels(self, mask: NDArray[Any]) -> Sets:
        """Sets of the pixels of a stored mask; values that are no set of classes are ignored."""
        is_odd = mask >= 1 << self.n_channels
        for value in self.ignored:
            is_odd = is_odd | (mask == value)
        return np.where(is_odd, self.dtype.type(self.ignore), mask.astype(self.dtype))

    def has(self, sets: Sets, code: int) -> NDArray[np.bool_]:
        """Return where a class is; ignored pixels have every class."""
        return (sets & self.dtype.type(code)) != 0

    def of(self, layers: NDArray[np.bool_]) -> Sets:
        """Return the sets of layers (classes, height, width)."""
        sets = np.zeros(layers.shape[1:], self.dtype)
        for code, layer in zip(self.codes, layers, strict=True):
            sets |= layer * self.dtype.type(code)
        return sets

    def written(self, sets: Sets) -> NDArray[Any]:
        """Return a mask as it is stored."""
        return sets

    def pixels(self, contents: Sequence[Mapping[int, int]]) -> list[list[int]]:
        """Number of pixels of each class in each mask, from the number of each value."""
        plain = [
            {value: n for value, n in content.items() if value < 1 << self.n_channels and value not in self.ignored}
            for content in contents
        ]
        return [[sum(n for value, n in one.items() if value & code) for code in self.codes] for one in plain]

    def to_text(self, sets: Sets) -> str:
        """JSON of class -> run lengths, ``""`` for ignored pixels."""
        is_known = sets != self.ignore
        parts = {"": rle.encode(~is_known)}
        parts |= {
            name: rle.encode(self.has(sets, code) & is_known)
            for name, code in zip(self.classes, self.codes, strict=True)
        }
        return json.dumps({name: runs for name, runs in parts.items() if runs})

    def from_text(self, text: str, height: int, width: int) -> Sets:
        """Sets from a text written by `to_text`."""
        runs, sets = json.loads(text), np.zeros((height, width), self.dtype)
        for name, code in zip(self.classes, self.codes, strict=True):
            if name in runs:
                sets[rle.decode(runs[name], height, width)] |= self.dtype.type(code)
        if "" in runs:
            sets[rle.decode(runs[""], height, width)] = self.ignore
        return sets


def n_bytes(n_classes: int) -> int:
    """Bytes of a set, with a bit for ignored pixels besides those of the classes: 1 or 4, as OpenCV moves pixels of two bytes
    by other roundings."""
    return 1 if n_classes < 8 else 4


def planes(sets: Sets) -> NDArray[np.uint8]:
    """Sets as bytes (height, width, bytes per set), which every transform of images can move; ignored pixels are 255."""
    return np.ascontiguousarray(sets).view(np.uint8).reshape(*sets.shape, -1)


def layers(packed: NDArray[np.uint8], n_classes: int) -> NDArray[np.uint8]:
    """Layers (classes, height, width) of the bytes of sets: 1 in the class, 0 outside it, 255 where ignored."""
    is_unknown = (packed == 255).all(axis=-1)
    bits = [(packed[..., place // 8] >> (place % 8)) & 1 for place in range(n_classes)]
    return np.where(is_unknown, np.uint8(255), np.stack(bits))
