"""Masks as run lengths in Kaggle's format."""

import re

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError

WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
"""A whole number that fits into 64 bits."""


def encode(mask: NDArray[np.bool_]) -> str:
    """Run lengths ``start length start length ...`` of a mask (height, width); an empty text for an empty mask.

    Pixels are counted column by column from 1: the pixel below the first is 2.
    """
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False, append=False))
    edges[1::2] -= edges[::2]
    edges[::2] += 1
    return " ".join(map(str, edges.tolist()))


def decode(text: str, height: int, width: int, row_major: bool = False, first_pixel: int = 1) -> NDArray[np.bool_]:
    """Mask (height, width) of run lengths in the format of `encode`.

    Args:
        row_major: whether pixels are counted row by row.
        first_pixel: number of the first pixel.

    Raises:
        DataError: the text is not a list of consecutive runs inside the image.
    """
    starts, lengths = _numbers(text)
    ends = starts + lengths
    early = np.zeros(len(starts), dtype=bool)
    early[1:] = starts[1:] < ends[:-1]
    for wrong, reason in (
        (starts < first_pixel, f"starts before {first_pixel}, the first pixel"),
        (lengths < 1, "has no length"),
        (ends > height * width + first_pixel, f"reaches beyond the {height} x {width} pixels of the image"),
        (early, "starts before the end of the run before it"),
    ):
        if wrong.any():
            run = int(np.argmax(wrong))
            raise DataError(
                f"run lengths: run {run + 1} of {len(starts)}, '{starts[run]} {lengths[run]}', {reason}. Runs count "
                f"{'row by row' if row_major else 'column by column'} from {first_pixel}, in order; correct the text."
            )
    steps = np.zeros(height * width + 1, dtype=np.int8)
    steps[starts - first_pixel] += 1
    steps[ends - first_pixel] -= 1
    flat = np.cumsum(steps[:-1], dtype=np.int8).astype(bool)
    return flat.reshape((height, width), order="C" if row_major else "F")


def _numbers(text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths."""
    words = text.split()
    for word in words:
        if not WHOLE.fullmatch(word):
            raise DataError(f"run lengths: {word!r} is not a whole number. Write 'start length start length ...'.")
    if len(words) % 2:
        raise DataError(
            f"run lengths: {len(words)} numbers, but each start needs a length. Write 'start length start length ...'."
        )
    numbers = np.array([int(word) for word in words], dtype=np.int64).reshape(-1, 2)
    return numbers[:, 0], numbers[:, 1]
