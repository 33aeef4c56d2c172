"""Candidate thresholds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

NEUTRAL = 0.5
"""Default threshold, which changes no decision; always a candidate."""

NEVER = 1.01
"""Threshold that no probability reaches, also in half precision."""

MOST = 100_000
"""Above so many candidates, `ENDS` at either end and evenly spaced ones of the others are kept."""
ENDS = 10_000


def between(scores: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return the midpoints between 0, all distinct scores in order, and 1, and `NEUTRAL`.

    The largest candidate is above all scores: nothing is predicted. The smallest one predicts all images, but those of score 0.

    >>> between(np.array([0.2, 0.2, 0.4, 0.9])).round(2).tolist()
    [0.1, 0.3, 0.5, 0.65, 0.95]
    """
    values = np.unique(scores[np.isfinite(scores)])
    ends = np.concatenate([[0.0], values, [1.0]])
    middle = (ends[1:] + ends[:-1]) / 2
    more = [NEUTRAL] if not len(values) or middle[-1] > values[-1] else [NEUTRAL, NEVER]
    return np.union1d(_thinned(middle), more)


def _thinned(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keep at most about `MOST` of sorted levels; at the ends, where thresholds of rare classes are, all."""
    step = -(-len(levels) // MOST)
    if step <= 1:
        return levels
    return np.concatenate([levels[:ENDS], levels[ENDS:-ENDS:step], levels[-ENDS:]])
