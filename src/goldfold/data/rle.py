"""Masks as run lengths, as Kaggle writes them."""

import re

import numpy as np
from numpy.typing import NDArray

from goldfold.runtime.errors import DataError

WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
"""A whole number that fits 64 bits."""


def encode(mask: NDArray[np.bool_]) -> str:
    """Run lengths ``start length start length ...`` of a mask (height, width); an empty mask gives an empty text.

    Pixels are counted down the columns, from 1: the pixel below the first is 2.
    """
    flat = np.asarray(mask, dtype=bool).ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False, append=False))
    edges[1::2] -= edges[::2]
    edges[::2] += 1
    return " ".join(map(str, edges.tolist()))


def decode(text: str, height: int, width: int) -> NDArray[np.bool_]:
    """Mask (height, width) of run lengths as `encode` writes them.

    Raises:
        DataError: the text is no list of runs that lie in the image, one after the other.
    """
    starts, lengths = _numbers(text)
    _refuse(starts < 1, starts, lengths, "starts before 1, the first pixel")
    _refuse(lengths < 1, starts, lengths, "has no length")
    ends = starts + lengths
    _refuse(ends > height * width + 1, starts, lengths, f"reaches beyond the {height} x {width} pixels of the image")
    early = np.zeros(len(starts), dtype=bool)
    early[1:] = starts[1:] < ends[:-1]
    _refuse(early, starts, lengths, "starts before the end of the run before it")
    steps = np.zeros(height * width + 1, dtype=np.int8)
    steps[starts - 1] += 1
    steps[ends - 1] -= 1
    return np.cumsum(steps[:-1], dtype=np.int8).astype(bool).reshape((height, width), order="F")


def _numbers(text: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Starts and lengths."""
    words = text.split()
    for word in words:
        if not WHOLE.fullmatch(word):
            raise DataError(f"run lengths: {word!r} is not a whole number. Write 'start length start length ...'.")
    if len(words) % 2:
        raise DataError(
            f"run lengths: {len(words)} numbers, and each start needs a length. Write 'start length start length ...'."
        )
    numbers = np.array([int(word) for word in words], dtype=np.int64).reshape(-1, 2)
    return numbers[:, 0], numbers[:, 1]


def _refuse(wrong: NDArray[np.bool_], starts: NDArray[np.int64], lengths: NDArray[np.int64], reason: str) -> None:
    if wrong.any():
        run = int(np.argmax(wrong))
        raise DataError(
            f"run lengths: run {run + 1} of {len(starts)}, '{starts[run]} {lengths[run]}', {reason}. Runs count down the "
            f"columns from 1, in order; correct the text."
        )
