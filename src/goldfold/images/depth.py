"""From 16 bits to the 8 that networks are shown, by one stated rule."""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import unknown
from goldfold.images import headers, stacks
from goldfold.images.pixels import Image, Undecodable

Rule = str | Sequence[int]
"""``full_range``, ``min_max``, ``percentile``, or the values [black, white]."""
RULES = ("full_range", "min_max", "percentile")
DEFAULT = "percentile"
STEP = 257
"""65535 / 255: an image of 8 bits among those of 16 has multiples of it alone."""
TAIL = 0.001
"""Share of pixels that may be darker than black, and as many brighter than white, by ``percentile``."""


def widest(paths: Iterable[str]) -> "np.dtype[Any]":
    """uint16 where any of these images is decoded to 16 bits, else uint8; those that cannot be read do not count."""
    files = (file for path in paths for file in stacks.files_of(path))
    return np.dtype(np.uint16 if any(map(_is_deep, files)) else np.uint8)


def _is_deep(file: str) -> bool:
    with suppress(OSError, Undecodable):
        return headers.is_deep(file)
    return False


def as_type(image: Image, dtype: "np.dtype[Any]") -> Image:
    """The image with 16 bits where it is to have them: 255 becomes 65535; one that has them keeps them."""
    return image if image.dtype.itemsize >= dtype.itemsize else image.astype(np.uint16) * np.uint16(STEP)


def largest(image: Image) -> int:
    """Largest value of the channels that have more than 8 bits; 0 where none has."""
    if image.dtype == np.uint8:
        return 0
    planes = (image[..., channel] for channel in range(image.shape[2]))
    return max((int(plane.max(initial=0)) for plane in planes if (plane % np.uint16(STEP)).any()), default=0)


def to_8_bits(image: Image, rule: Rule = DEFAULT) -> NDArray[np.uint8]:
    """The image (height, width, channels) with 8 bits.

    One of 8 bits stays as it is, and so does one that `as_type` has given 16: what comes out never depends on the images
    it was kept with. Three channels are colours and are scaled alike; of any other number, each is scaled by itself.

    Args:
        rule: ``full_range``: 0 to 65535; ``min_max``: from the least to the largest value; ``percentile``: from the value
            that a thousandth of the pixels lie below to the one that a thousandth lie above (`min_max` where these are one);
            or [black, white], values that become 0 and 255, with what lies beyond cut off.
    """
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    if image.shape[2] in (1, 3):
        return _scaled(image, rule)
    return np.concatenate([_scaled(image[..., n : n + 1], rule) for n in range(image.shape[2])], axis=2)


def _scaled(values: NDArray[Any], rule: Rule) -> NDArray[np.uint8]:
    if not (values % np.uint16(STEP)).any():
        return (values // np.uint16(STEP)).astype(np.uint8)
    low, high = _range(values, rule)
    shares = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.round(shares).clip(0, 255).astype(np.uint8)


def _range(values: NDArray[Any], rule: Rule) -> tuple[int, int]:
    """Values of black and white."""
    if not isinstance(rule, str):
        return int(rule[0]), int(rule[1])
    if rule not in RULES:
        raise unknown("rule for 16 bits", rule, RULES)
    low, high = 0, 65535
    if rule == "percentile":
        last = values.size - 1
        ends = round(TAIL * last), round((1 - TAIL) * last)
        ordered = np.partition(values, ends, axis=None)
        low, high = int(ordered[ends[0]]), int(ordered[ends[1]])
    if rule == "min_max" or low == high:
        low, high = int(values.min()), int(values.max())
    return (low, high) if low < high else (0, 65535)
