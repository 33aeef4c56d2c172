"""Colours of masks as numbers: a grey is its level, any other colour 65536 + 0xRRGGBB, above all levels of 16 bits.

An image whose pixels are all grey therefore has the same numbers in one channel as in three. Does not import NumPy, since
the config uses this module too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FIRST = 1 << 16


def number_of(red: int, green: int, blue: int) -> int:
    """Number of a colour of levels from 0 to 255."""
    return red if red == green == blue else FIRST + (red << 16 | green << 8 | blue)


def written(number: int) -> str:
    """``#ff0080`` for a colour, the level for a grey."""
    return str(number) if number < FIRST else f"#{number - FIRST:06x}"


def all_written(numbers: Sequence[int]) -> list[str | int]:
    """Numbers as written in the config; if any is a colour, greys are written as colours too."""
    if not any(number >= FIRST for number in numbers):
        return list(numbers)
    return [as_colour(number) for number in numbers]


def as_colour(number: int) -> str:
    """``#rrggbb``, also for a grey of 8 bits."""
    return written(number) if number >= FIRST else f"#{number * 0x010101:06x}"


def numbers_of(pixels: NDArray[Any]) -> NDArray[np.uint32]:
    """Numbers (height, width) of pixels (height, width, 3)."""
    red, green, blue = (pixels[..., channel].astype("uint32") for channel in range(3))
    is_grey = (red == green) & (green == blue)
    numbers: NDArray[np.uint32] = FIRST + (red << 16 | green << 8 | blue)
    numbers[is_grey] = red[is_grey]
    return numbers


def pixels_of(numbers: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels (height, width, 3) of numbers (height, width), greys up to 255."""
    plain = numbers.astype("uint32")
    is_colour = plain >= FIRST
    plain[is_colour] -= FIRST
    plain[~is_colour] *= 0x010101
    pixels: NDArray[np.uint8] = (plain[..., None] >> plain.dtype.type([16, 8, 0])).astype("uint8")
    return pixels
