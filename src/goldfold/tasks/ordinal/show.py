"""Report sections for one ordered label per image."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.drawing.blocks import Cell, Section, Table
from goldfold.drawing.words import percent
from goldfold.predictions.arrays import Arrays
from goldfold.tasks.classification.show import Show as Labels
from goldfold.tasks.ordinal.score import Score
from goldfold.tasks.ordinal.spec import Spec


class Show:
    """Report sections: confusion, distances of errors, scores by class, calibration, errors in pictures."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.labels = spec, Labels(spec.labels)

    def pages(self, predictions: Arrays, truth: pd.DataFrame, gallery: int) -> list[Section]:
        """Return the sections of classification, and that on distances after the first."""
        first, *others = self.labels.pages(predictions, truth, gallery)
        evidence = Score(self.spec).evidence(predictions, truth)
        return [first, _distances(evidence.chosen - evidence.labels, len(self.spec.classes)), *others]


def _distances(steps: NDArray[np.int64], n_classes: int) -> Section:
    """Section on how many classes predictions are above or below the truth.

    Args:
        steps: index of the predicted minus that of the true class, per image.
    """
    n, away = len(steps), np.abs(steps)
    rows: list[list[str | Cell]] = [
        [
            str(distance),
            Cell(percent(float((away == distance).mean()), 2), float((away == distance).mean())),
            f"{int((steps == -distance).sum()):,}" if distance else "–",
            f"{int((steps == distance).sum()):,}" if distance else "–",
        ]
        for distance in range(n_classes)
        if (away == distance).any()
    ]
    intro = (
        f"Predictions are {away.mean():.3f} classes from the truth on average, and {percent(float((away <= 1).mean()))} of "
        f"{n:,} are at most one class away. Too low and too high should balance; if they do not, fit thresholds "
        f"(ensemble: [average, thresholds])."
    )
    return Section(
        "distances", "Distance of errors", intro, [Table(["classes away", "images", "too low", "too high"], rows)]
    )
