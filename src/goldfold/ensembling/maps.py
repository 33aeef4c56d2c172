"""Pixelwise fusion of probability maps."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.ensembling import average
from goldfold.ensembling.average import Array

FULL = 255
"""Stored value of probability 1."""


def fused(maps: Sequence[Array], weights: Sequence[float], method: Callable[[Array, Sequence[float]], Array]) -> Array:
    """Fuse the members' maps (channels, height, width), all of the same shape, into one.

    Args:
        method: takes a stack (members, pixels, channels) and averages each pixel independently.
    """
    stack = np.stack([part.reshape(len(part), -1).T for part in maps])
    return method(stack, weights).T.reshape(maps[0].shape)


def vote(stack: Array, weights: Sequence[float]) -> Array:
    """Weighted share of the members whose most probable class it is; ties are decided by the mean probability.

    Maps are stored in steps of 1 / `FULL` without the first channel, see `goldfold.predictions.maps`. Shares are rounded to such
    steps here, so that the class with the most votes also has the largest stored share.

    Args:
        stack: (members, pixels, channels) probabilities.
    """
    votes = average.vote(stack, weights)
    rows, winner = np.arange(len(votes)), votes.argmax(axis=1)
    steps = np.round(votes * FULL).astype(np.int64)
    steps[:, 0] = FULL - steps[:, 1:].sum(axis=1)
    while True:
        others = steps.copy()
        others[rows, winner] = -FULL
        rival = others.argmax(axis=1)
        level = steps[rows, winner] <= steps[rows, rival]
        if not level.any():
            return steps.clip(min=0) / FULL
        steps[level, rival[level]] -= 1
        steps[level, winner[level]] += 1


def against_background(channels: Array) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Return the most probable class of each pixel, and its share p / (p + p of the background).

    Args:
        channels: (channels, height, width) probabilities, the background first, at most 255.
    """
    best, most = channels[1:].argmax(axis=0).astype(np.uint8), channels[1:].max(axis=0).astype(np.float64)
    shares = most + channels[0]
    np.divide(most, shares, out=shares, where=most > 0)  # in place: images may have many megapixels
    shares[most == 0] = 0
    return best, shares
