"""Candidate thresholds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEUTRAL = 0.5
"""Default threshold, which changes no decision; always a candidate."""


def between(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the midpoints between all consecutive distinct scores, and `NEUTRAL`.

    >>> between(np.array([0.2, 0.2, 0.4, 0.9])).round(2).tolist()
    [0.3, 0.5, 0.65]
    """
    values = np.unique(scores[np.isfinite(scores)])
    return np.union1d((values[1:] + values[:-1]) / 2, [NEUTRAL])
