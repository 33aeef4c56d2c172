"""Conversion between a mask's pixel values and the channels of a network."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.targets import colours, rle, smears
from goldfold.targets.mask_values import Ignored, ignored, values_of

IGNORE = 255
"""Channel of ignored pixels."""


class Coding:
    """Channels: the background, unless the value 0 is a class, then the classes in order.

    Args:
        rule: values of the classes, see `goldfold.targets.mask_values.values_of`.
        ignore_value: one or several pixel values that are ignored.
        to_nearest: whether other values are replaced by the nearest of these, those of classes and 0; else ignored.
    """

    def __init__(
        self,
        classes: Sequence[str],
        rule: str | Mapping[str, int],
        ignore_value: Ignored,
        to_nearest: bool = False,
    ) -> None:
        self.classes, self.ignored, self.to_nearest = list(classes), ignored(ignore_value), to_nearest
        self.values, self.takes_any = values_of(classes, rule), rule == "nonzero"
        self.first = 0 if 0 in self.values else 1
        """Channel of the first class."""
        self.n_channels = self.first + len(self.classes)
        self.codes = list(range(self.first, self.n_channels))
        """Channel of each class."""
        self.of_value = {0: 0} | {value: self.first + index for index, value in enumerate(self.values)}
        self.of_value |= dict.fromkeys(self.ignored, IGNORE)
        self.has_colours = max(self.of_value) >= colours.FIRST

    ignore = IGNORE
    overlaps = False

    def has(self, channels: NDArray[np.uint8], code: int) -> NDArray[np.bool_]:
        """Return where the class of a channel is."""
        return channels == code

    def channels(self, mask: NDArray[Any]) -> NDArray[np.uint8]:
        """Channels of the pixels of a stored mask."""
        if self.takes_any:
            return np.where(np.isin(mask, self.ignored), IGNORE, mask != 0).astype(np.uint8)
        if self.to_nearest:
            return self._nearest(mask)
        if self.has_colours:
            values = np.array(sorted(self.of_value))
            places = np.searchsorted(values, mask).clip(max=len(values) - 1)
            of_place = np.array([self.of_value[value] for value in values.tolist()], dtype=np.uint8)
            return np.where(values[places] == mask, of_place[places], IGNORE).astype(np.uint8)
        table = np.full(max(np.iinfo(mask.dtype).max, *self.of_value) + 1, IGNORE, np.uint8)
        table[list(self.of_value)] = list(self.of_value.values())
        return table[mask]

    def _nearest(self, mask: NDArray[Any]) -> NDArray[np.uint8]:
        """Channels after replacing each value by the nearest known one."""
        values, places = np.unique(mask, return_inverse=True)
        of_place = np.array(list(self.of_value.values()), dtype=np.uint8)
        return of_place[smears.nearest(values, list(self.of_value))][places.reshape(mask.shape)]

    def written(self, channels: NDArray[np.uint8]) -> NDArray[Any]:
        """A mask as it is stored, (height, width) or colours (height, width, 3)."""
        values = np.array([0] * self.first + self.values)[channels]
        return colours.pixels_of(values) if self.has_colours else values

    def pixels(self, contents: Sequence[Mapping[int, int]]) -> list[list[int]]:
        """Number of pixels of each class in each mask, from the number of each value."""
        if self.takes_any:
            nothing = {0, *self.ignored}
            return [[sum(number for value, number in content.items() if value not in nothing)] for content in contents]
        if self.to_nearest:
            contents = [self._of_nearest(content) for content in contents]
        return [[content.get(value, 0) for value in self.values] for content in contents]

    def _of_nearest(self, content: Mapping[int, int]) -> dict[int, int]:
        """Numbers of pixels by value, after replacing each value by the nearest known one."""
        own, summed = list(self.of_value), dict.fromkeys(self.of_value, 0)
        if content:
            places = smears.nearest(np.array(list(content), dtype=np.uint32), own).tolist()
            for place, number in zip(places, content.values(), strict=True):
                summed[own[place]] += number
        return summed

    def to_text(self, channels: NDArray[np.uint8]) -> str:
        """JSON of class -> run lengths, ``""`` for ignored pixels; the background is left out."""
        parts = {"": rle.encode(channels == IGNORE)}
        parts |= {name: rle.encode(channels == self.first + index) for index, name in enumerate(self.classes)}
        return json.dumps({name: runs for name, runs in parts.items() if runs})

    def from_text(self, text: str, height: int, width: int) -> NDArray[np.uint8]:
        """Channels from a text written by `to_text`."""
        mask = np.zeros((height, width), dtype=np.uint8)
        for name, runs in json.loads(text).items():
            mask[rle.decode(runs, height, width)] = self.first + self.classes.index(name) if name else IGNORE
        return mask
