"""Candidate thresholds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEUTRAL = 0.5
"""Default threshold, which changes no decision; always a candidate."""
MOST = 200


def between(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return midpoints between consecutive distinct scores, at most `MOST` of them, and `NEUTRAL`.

    >>> between(np.array([0.2, 0.2, 0.4, 0.9])).tolist()
    [0.3, 0.5, 0.65]
    """
    values = np.unique(scores[np.isfinite(scores)])
    if len(values) > MOST + 1:
        values = np.unique(np.quantile(scores[np.isfinite(scores)], np.linspace(0, 1, MOST + 1)))
    return np.union1d((values[1:] + values[:-1]) / 2, [NEUTRAL])
