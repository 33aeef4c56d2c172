"""Scale images of 16 bits to the 8 that networks see, by a configured rule."""

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
"""65535 / 255: an 8-bit image stored with 16 bits has only multiples of it."""
TAIL = 0.001
"""Share of pixels clipped to black, and the same share to white, by ``percentile``."""


def widest(paths: Iterable[str]) -> "np.dtype[Any]":
    """uint16 if any of the images is decoded to 16 bits, else uint8; unreadable files do not count."""
    files = (file for path in paths for file in stacks.files_of(path))
    return np.dtype(np.uint16 if any(map(_is_deep, files)) else np.uint8)


def _is_deep(file: str) -> bool:
    with suppress(OSError, Undecodable):
        return headers.is_deep(file)
    return False


def as_type(image: Image, dtype: "np.dtype[Any]") -> Image:
    """Convert an 8-bit image to ``dtype``: 255 becomes 65535; a 16-bit image is unchanged."""
    return image if image.dtype.itemsize >= dtype.itemsize else image.astype(np.uint16) * np.uint16(STEP)


def largest(image: Image) -> int:
    """Largest value of the channels with more than 8 bits; 0 if there are none."""
    if image.dtype == np.uint8:
        return 0
    planes = (image[..., channel] for channel in range(image.shape[2]))
    return max((int(plane.max(initial=0)) for plane in planes if (plane % np.uint16(STEP)).any()), default=0)


def to_8_bits(image: Image, rule: Rule = DEFAULT) -> NDArray[np.uint8]:
    """Convert an image (height, width, channels) to 8 bits.

    An 8-bit image is unchanged, and one that `as_type` converted to 16 bits is restored: the result never depends on the
    images stored with it. Three channels are colours and are scaled together; otherwise each channel is scaled alone.

    Args:
        rule: ``full_range``: 0 to 65535; ``min_max``: smallest to largest value; ``percentile``: 0.1 to 99.9 % of the
            pixels' values (``min_max`` if these are equal); or [black, white], values that become 0 and 255, with
            clipping.
    """
    return with_levels(image, levels(image, rule))


Levels = list[tuple[int, int] | None]
"""Black and white by group of channels that are scaled together; None for a group that has 8 bits."""


def levels(image: Image, rule: Rule = DEFAULT) -> Levels:
    """Values that become 0 and 255, of a whole image, so that parts of it can be converted alike; see `to_8_bits`."""
    return [] if image.dtype == np.uint8 else [_levels(group, rule) for group in _groups(image)]


def with_levels(image: Image, found: Levels) -> NDArray[np.uint8]:
    """Convert an image, or a part of the image whose levels they are, to 8 bits."""
    if image.dtype == np.uint8:
        return image.astype(np.uint8, copy=False)
    parts = [_scaled(group, own) for group, own in zip(_groups(image), found, strict=True)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=2)


def _groups(image: Image) -> list[Image]:
    """Channels that are scaled together."""
    return [image] if image.shape[2] in (1, 3) else [image[..., n : n + 1] for n in range(image.shape[2])]


def _scaled(values: NDArray[Any], own: tuple[int, int] | None) -> NDArray[np.uint8]:
    if own is None:
        return (values // np.uint16(STEP)).astype(np.uint8)
    low, high = own
    shares = (values.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    return np.round(shares).clip(0, 255).astype(np.uint8)


def _levels(values: NDArray[Any], rule: Rule) -> tuple[int, int] | None:
    return _range(values, rule) if (values % np.uint16(STEP)).any() else None


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
