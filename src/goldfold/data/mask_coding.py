"""From a mask's pixel values to the channels of a network, and back."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.data import rle
from goldfold.data.mask_values import values_of

IGNORE = 255
"""Channel of pixels that count for nothing."""


class Coding:
    """Channels: the background, unless the value 0 is a class, then the classes in their order.

    Args:
        rule: which value means which class, see `goldfold.data.mask_values.values_of`.
        ignore_value: pixel value that counts for nothing.
    """

    def __init__(self, classes: Sequence[str], rule: str | Mapping[str, int], ignore_value: int | None) -> None:
        self.classes, self.ignore_value = list(classes), ignore_value
        self.values, self.takes_any = values_of(classes, rule), rule == "nonzero"
        self.first = 0 if 0 in self.values else 1
        """Channel of the first class."""
        self.n_channels = self.first + len(self.classes)

    def channels(self, mask: NDArray[Any]) -> NDArray[np.uint8]:
        """Channels of the pixels of a mask as it is on disk."""
        if self.takes_any:
            return np.where(mask == self.ignore_value, IGNORE, mask != 0).astype(np.uint8)
        table = np.full(int(max(np.iinfo(mask.dtype).max, *self.values, self.ignore_value or 0)) + 1, IGNORE, np.uint8)
        table[0] = 0
        for index, value in enumerate(self.values):
            table[value] = self.first + index
        if self.ignore_value is not None:
            table[self.ignore_value] = IGNORE
        return table[mask]

    def written(self, channels: NDArray[np.uint8]) -> NDArray[Any]:
        """A mask as it would be on disk."""
        return np.array([0] * self.first + self.values)[channels]

    def pixels(self, contents: Sequence[Mapping[int, int]]) -> list[list[int]]:
        """Number of pixels of each class, from the number of each value, mask by mask."""
        if self.takes_any:
            nothing = (0, self.ignore_value)
            return [[sum(number for value, number in content.items() if value not in nothing)] for content in contents]
        return [[content.get(value, 0) for value in self.values] for content in contents]

    def to_text(self, channels: NDArray[np.uint8]) -> str:
        """JSON of class -> run lengths, ``""`` for what counts for nothing; the background is left out."""
        parts = {"": rle.encode(channels == IGNORE)}
        parts |= {name: rle.encode(channels == self.first + index) for index, name in enumerate(self.classes)}
        return json.dumps({name: runs for name, runs in parts.items() if runs})

    def from_text(self, text: str, height: int, width: int) -> NDArray[np.uint8]:
        """Channels that `to_text` wrote."""
        mask = np.zeros((height, width), dtype=np.uint8)
        for name, runs in json.loads(text).items():
            mask[rle.decode(runs, height, width)] = self.first + self.classes.index(name) if name else IGNORE
        return mask
