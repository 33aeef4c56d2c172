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


def to_text(runs: str, height: int, width: int) -> str:
    """Text of a mask, from the text of `runs_of` and the size in pixels."""
    return f"{PREFIX}{height} {width} {runs}"


def runs_of(by_value: Mapping[int, Sequence[str]], row_major: bool, first_pixel: int) -> str:
    """Text of run lengths by pixel value, with one or more per value."""
    runs = {str(value): list(texts) for value, texts in sorted(by_value.items())}
    return json.dumps({"row_major": row_major, "first_pixel": first_pixel, "runs": runs}, separators=(",", ":"))


def decode(text: str) -> NDArray[np.uint8]:
    """Decode a mask (height, width); runs of the same value may overlap, runs of different values may not.

    Raises:
        DataError: the runs do not fit the image, or two values claim a pixel.
    """
    size, known = _parsed(text)
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
