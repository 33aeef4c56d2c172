"""Fusing the probability maps of one image, pixel by pixel."""

from collections.abc import Sequence

import numpy as np

from goldfold.ensembling import average
from goldfold.ensembling.average import Array


def fused(maps: Sequence[Array], weights: Sequence[float], method: str) -> Array:
    """One map (channels, height, width) of several members' of the same shape.

    Args:
        method: one of `goldfold.ensembling.average.PIXELWISE`.
    """
    stack = np.stack([part.reshape(len(part), -1).T for part in maps])
    return average.build(method)(stack, weights).T.reshape(maps[0].shape)
