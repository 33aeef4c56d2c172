"""Masks as text, used instead of a path: run lengths by pixel value, and the size of the image."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.targets import rle

PREFIX = "rle:"


def is_text(mask: str) -> bool:
    """Return whether a mask is such a text rather than a path."""
    return mask.startswith(PREFIX)


def may_overlap(text: str) -> bool:
    """Return whether the values of a text may share pixels, see `runs_of`."""
    return bool(_parsed(text)[1].get("overlap"))


def to_text(runs: str, height: int, width: int) -> str:
    """Text of a mask, from the text of `runs_of` and the size in pixels."""
    return f"{PREFIX}{height} {width} {runs}"


def runs_of(by_value: Mapping[int, Sequence[str]], row_major: bool, first_pixel: int, overlap: bool = False) -> str:
    """Text of run lengths by pixel value, with one or more per value.

    Args:
        overlap: whether a pixel may have several values; a mask then has one bit per value, 1, 2, 4, ...
    """
    runs = {str(value): list(texts) for value, texts in sorted(by_value.items())}
    known = {"row_major": row_major, "first_pixel": first_pixel, "runs": runs} | ({"overlap": True} if overlap else {})
    return json.dumps(known, separators=(",", ":"))


def decode(text: str) -> NDArray[np.unsignedinteger[Any]]:
    """Decode a mask (height, width); runs of different values may overlap only if the text says so.

    Raises:
        DataError: the runs do not fit the image, or two values claim a pixel.
    """
    size, known = _parsed(text)
    if known.get("overlap"):
        return smallest(_sets(size, known))
    mask = np.zeros(size, dtype=np.uint8)
    for value, texts in known["runs"].items():
        covered = np.zeros(size, dtype=bool)
        for one in texts:
            covered |= rle.decode(one, *size, known["row_major"], known["first_pixel"])
        both = covered & (mask > 0)
        if both.any():
            raise DataError(
                f"{int(both.sum())} pixels are of two classes, number {int(mask[both][0])} and {value} of data.classes"
            )
        mask[covered] = int(value)
    return mask


def _sets(size: tuple[int, int], known: Mapping[str, Any]) -> NDArray[np.uint32]:
    """Decode a mask with one bit per value."""
    sets = np.zeros(size, np.uint32)
    for value, texts in known["runs"].items():
        for one in texts:
            sets[rle.decode(one, *size, known["row_major"], known["first_pixel"])] |= np.uint32(1 << (int(value) - 1))
    return sets


def smallest(sets: NDArray[np.uint32]) -> NDArray[np.unsignedinteger[Any]]:
    """Return a mask in the smallest type that fits its values."""
    return sets.astype(np.min_scalar_type(int(sets.max(initial=0))))


def rows(text: str) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Yield the value and the pixels (height, width) of each run length by itself."""
    size, known = _parsed(text)
    for value, texts in known["runs"].items():
        for one in texts:
            yield int(value), rle.decode(one, *size, known["row_major"], known["first_pixel"])


def _parsed(text: str) -> tuple[tuple[int, int], dict[str, Any]]:
    """Size in pixels, and the JSON of `runs_of`."""
    height, width, runs = text.removeprefix(PREFIX).split(" ", 2)
    return (int(height), int(width)), json.loads(runs)
