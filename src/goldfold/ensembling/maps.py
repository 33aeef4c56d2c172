"""Fusing the probability maps of one image, pixel by pixel."""

from collections.abc import Callable, Sequence

import numpy as np

from goldfold.ensembling.average import Array


def fused(maps: Sequence[Array], weights: Sequence[float], average: Callable[[Array, Sequence[float]], Array]) -> Array:
    """One map (channels, height, width) of several members' of the same shape.

    Args:
        average: of a stack (members, pixels, channels), which looks at one pixel alone.
    """
    stack = np.stack([part.reshape(len(part), -1).T for part in maps])
    return average(stack, weights).T.reshape(maps[0].shape)
