"""Thresholds worth trying."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEUTRAL = 0.5
"""Threshold that changes no decision; always among those that are tried."""
MOST = 200


def between(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Values that part the scores, at most `MOST` and `NEUTRAL`: halfway between two that follow each other.

    >>> between(np.array([0.2, 0.2, 0.4, 0.9])).tolist()
    [0.3, 0.5, 0.65]
    """
    values = np.unique(scores[np.isfinite(scores)])
    if len(values) > MOST + 1:
        values = np.unique(np.quantile(scores[np.isfinite(scores)], np.linspace(0, 1, MOST + 1)))
    return np.union1d((values[1:] + values[:-1]) / 2, [NEUTRAL])
