"""Decisions by fitted thresholds, and points that keep a distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.predictions.arrays import with_thresholds
from goldfold.tasks.points.arrays import arrays, by_image
from goldfold.tasks.points.decided import decided
from goldfold.tasks.points.score import paired
from goldfold.tasks.points.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics.matched_points import Evidence
    from goldfold.predictions.arrays import Arrays


class Decide:
    """Decides which points count: those that reach the threshold of their class."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def decided_classes(self) -> list[str]:
        """Return all classes."""
        return decided(self.spec)

    decide = staticmethod(with_thresholds)

    def decidable(self, predictions: Arrays, truth: pd.DataFrame) -> Evidence:
        """Match the points, whatever their scores."""
        return paired(self.spec, predictions, truth)

    def space(self, predictions: Arrays, least_px: float) -> Arrays:
        """Return the predictions without points that are nearer than ``least_px`` to a better one of their class."""
        from goldfold.ensembling.points import apart

        found = []
        for points, scores, labels in by_image(predictions):
            kept = apart(points, scores, labels, least_px)
            found.append((points[kept], scores[kept], labels[kept]))
        made = arrays(self.spec.classes, predictions["ids"], predictions["sizes"], found)
        return {**predictions, **made}
