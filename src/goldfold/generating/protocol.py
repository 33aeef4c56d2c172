"""What a generator is given, and what it returns."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.status import Progress


@dataclass(frozen=True)
class Given:
    """Training images of a fold, and where and how to work."""

    images: NDArray[np.uint8]
    """(n, height, width, channels)"""
    classes: NDArray[np.int64] | None
    """Class of each image, (n,), numbered from 0; None for other targets."""
    per_image: int
    """Number of images to make per image given."""
    key: tuple[int | str, ...]
    """Key of all random draws, see `goldfold.base.counter.counter`."""
    device: str = "cpu"
    """Name of torch's device."""
    progress: Callable[[int, str], Any] = Progress
    """(total, unit) -> progress bar."""
    is_trial: bool = False
    """Whether one step of training is enough: a trial on made-up images before any job."""


@dataclass(frozen=True)
class Made:
    """Generated images."""

    images: NDArray[np.uint8]
    """(m, height, width, channels), of the size of the given ones."""
    rows: NDArray[np.int64]
    """Row of the given image whose target each one has, (m,)."""
    facts: dict[str, float]
    """Numbers for the record and the report, by name."""


Generator = Callable[[Given], Made]
"""Learns from images, and makes ``per_image`` others per image given, as the key determines."""


def problem(made: Made, given: Given) -> str:
    """What is wrong with the images of a user-defined generator; empty if nothing is."""
    if made.images.dtype != np.uint8 or made.images.shape[1:] != given.images.shape[1:]:
        wanted = " x ".join(map(str, given.images.shape[1:]))
        return f"it made {made.images.dtype} images {made.images.shape}, where uint8 images of {wanted} are needed"
    if len(made.rows) != len(made.images):
        return f"it made {len(made.images)} images, but rows for {len(made.rows)}"
    if len(made.rows) and not 0 <= made.rows.min() <= made.rows.max() < len(given.images):
        return f"its rows must be numbers of the given images, 0 to {len(given.images) - 1}"
    return "" if len(made.rows) else "it made no image"
