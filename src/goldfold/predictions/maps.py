"""The probability map of an image, kept as uint8 with 255 for 1, all channels but the first, which is what they leave."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

FULL = 255
"""A probability of 1 as it is kept."""
Map = NDArray[np.floating[Any]]
"""(channels, height, width) probabilities."""


def resized(kept: NDArray[np.uint8], size: tuple[int, int]) -> Map:
    """Probabilities of all channels but the first at ``size`` (height, width), bilinear."""
    if kept.shape[1:] == tuple(size):
        return kept.astype(np.float32) / FULL
    height, width = size
    return np.stack([cv2.resize(part, (width, height)) for part in kept.astype(np.float32) / FULL])


def whole(values: Map) -> Map:
    """All channels: the first is what the others leave."""
    rest = (1 - values.sum(axis=0, keepdims=True)).clip(0, 1)
    return np.concatenate([rest, values])


def alike(maps: Sequence[NDArray[np.uint8]]) -> list[Map]:
    """All channels of several maps of one image, at the largest height and width among them."""
    size = max(part.shape[1] for part in maps), max(part.shape[2] for part in maps)
    return [whole(resized(part, size)) for part in maps]


def kept(values: Map) -> NDArray[np.uint8]:
    """All channels as they are kept."""
    return np.round(values[1:] * FULL).clip(0, FULL).astype(np.uint8)
