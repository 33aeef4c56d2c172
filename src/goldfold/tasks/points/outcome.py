"""Predicted points matched with the true ones per image, for the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics.matched_points import Evidence


@dataclass(frozen=True)
class Image:
    """One image with its true points, and the predicted ones that count, by descending score."""

    id: str
    path: str
    reach_px: float
    """Distance up to which a point is found."""
    true: NDArray[np.float64]
    classes: NDArray[np.int64]
    points: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]
    is_hit: NDArray[np.bool_]
    """(points,)."""
    is_missed: NDArray[np.bool_]
    """(true,)."""

    @property
    def n_errors(self) -> int:
        """Missed and false points."""
        return int(self.is_missed.sum() + (~self.is_hit).sum())


def images_of(evidence: Evidence, truth: pd.DataFrame) -> list[Image]:
    """Split the evidence into its images."""
    matches, reach, counts = evidence.matches(), evidence.reach(None), evidence.counts
    is_missed = np.ones(len(evidence.true.image), bool)
    is_missed[matches[counts & (matches >= 0)]] = False
    paths = list(truth["path"]) if "path" in truth else [""] * len(truth)
    found = []
    for number, (id, path) in enumerate(zip(truth["id"], paths, strict=True)):
        own, of_true = np.flatnonzero(counts & (evidence.found.image == number)), evidence.true.image == number
        found.append(
            Image(
                id, path, float(reach[number]), evidence.true.point[of_true], evidence.true.label[of_true],
                evidence.found.point[own], evidence.found.score[own], evidence.found.label[own], matches[own] >= 0,
                is_missed[of_true],
            )
        )  # fmt: skip
    return found
