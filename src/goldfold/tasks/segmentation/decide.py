"""Decision for one class per pixel by a threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.predictions.arrays import with_thresholds
from goldfold.tasks.segmentation.decided import decided
from goldfold.tasks.segmentation.maps import regions
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics.segmentation import Undecided
    from goldfold.predictions.arrays import Arrays


class Decide:
    """Decides for the class at or above the threshold."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def decided_classes(self) -> list[str]:
        """Return the only class."""
        return decided(self.spec)

    def decidable(self, predictions: Arrays, truth: pd.DataFrame) -> Undecided:
        """Count pixels by probability level, at the size of the masks on disk."""
        from goldfold.metrics.segmentation import LEVELS, Undecided, count_levels
        from goldfold.predictions.arrays import rows_of
        from goldfold.predictions.maps import resized
        from goldfold.targets.mask_coding import IGNORE

        placed, hits, misses, n_true = regions(predictions), list[Any](), list[Any](), list[int]()
        for row, path in zip(rows_of(predictions, list(truth["id"])), truth["mask"], strict=True):
            values = placed[row].put_back(resized(predictions[f"maps/{row}"], placed[row].part)[0])
            true = self.spec.true_mask(path)
            of_image = count_levels(values, true == 1, true != IGNORE)
            hits.append(of_image[0])
            misses.append(of_image[1])
            n_true.append(int((true == 1).sum()))
        counts = [np.reshape(part, (-1, len(LEVELS))).astype(np.int64) for part in (hits, misses)]
        return Undecided(counts[0], counts[1], np.array(n_true, dtype=np.int64))

    decide = staticmethod(with_thresholds)
