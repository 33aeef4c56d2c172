"""Probability maps, stored as uint8 with 255 for 1; the first channel is not stored, as it is 1 minus the others."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FULL = 255
"""Stored value of probability 1."""
STRIP_PIXELS = 2**20
"""Pixels that are computed at a time, as float."""
Map = NDArray[np.floating[Any]]
"""(channels, height, width) probabilities."""


def strips(size: tuple[int, int]) -> list[slice]:
    """Rows of an image by which its pixels are computed, so that memory does not grow with the image; one for small images.

    >>> strips((1024, 1024)), strips((3, 2**19))
    ([slice(0, 1024, None)], [slice(0, 2, None), slice(2, 3, None)])
    """
    step = max(1, STRIP_PIXELS // size[1])
    return [slice(start, min(start + step, size[0])) for start in range(0, size[0], step)]


def resized(stored: NDArray[np.uint8], size: tuple[int, int]) -> Map:
    """Resize a stored map to ``size`` (height, width), bilinearly; return probabilities without the first channel."""
    if stored.shape[1:] == tuple(size):
        return stored.astype(np.float32) / FULL
    height, width = size
    return np.stack([cv2.resize(part, (width, height)) for part in stored.astype(np.float32) / FULL])


def with_first_channel(values: Map) -> Map:
    """Prepend the first channel, which is 1 minus the sum of the others."""
    rest = (1 - values.sum(axis=0, keepdims=True)).clip(0, 1)
    return np.concatenate([rest, values])


def to_common_size(maps: Sequence[NDArray[np.uint8]]) -> list[Map]:
    """Resize several stored maps of one image to their largest height and width; return all channels."""
    size = max(part.shape[1] for part in maps), max(part.shape[2] for part in maps)
    return [with_first_channel(resized(part, size)) for part in maps]


def to_stored(values: Map) -> NDArray[np.uint8]:
    """Convert a map of all channels to its stored form."""
    return np.round(values[1:] * FULL).clip(0, FULL).astype(np.uint8)
