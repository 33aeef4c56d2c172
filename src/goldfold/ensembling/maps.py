"""Pixelwise fusion of probability maps."""

from collections.abc import Callable, Sequence

import numpy as np

from goldfold.ensembling.average import Array


def fused(maps: Sequence[Array], weights: Sequence[float], average: Callable[[Array, Sequence[float]], Array]) -> Array:
    """Fuse the members' maps (channels, height, width), all of the same shape, into one.

    Args:
        average: takes a stack (members, pixels, channels) and averages each pixel independently.
    """
    stack = np.stack([part.reshape(len(part), -1).T for part in maps])
    return average(stack, weights).T.reshape(maps[0].shape)
