"""Whether numbers differ, when their deviation is known."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

ROUNDING = 1e-12
"""Deviation of equal numbers by rounding is less than this share of their size."""


def differs(deviation: ArrayLike, mean: ArrayLike) -> NDArray[Any]:
    """Return whether numbers of this deviation and mean differ by more than rounding.

    The standard deviation that numpy computes for equal numbers is rarely 0: for thirty times 0.1 it is 2.8e-17.

    >>> import numpy as np
    >>> equal, close = np.full(30, 0.1), np.array([1.7e9, 1.7e9 + 1])
    >>> bool(equal.std() > 0), bool(differs(equal.std(), equal.mean())), bool(differs(close.std(), close.mean()))
    (True, False, True)
    """
    return np.asarray(np.asarray(deviation) > ROUNDING * np.abs(mean))
