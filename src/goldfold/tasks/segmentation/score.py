"""Scores of predicted masks against true ones."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.segmentation.maps import masks
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics import Metric
    from goldfold.metrics.segmentation import Overlap
    from goldfold.predictions.arrays import Arrays
    from goldfold.samples.dense import FramedMasks


class Score:
    """Scores of masks."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: FramedMasks | None = None) -> Overlap:
        """Count the overlap at the size of the masks on disk; with ``targets``, at the network's resolution."""
        from goldfold.metrics.segmentation import Overlap, count
        from goldfold.targets.mask_coding import IGNORE

        ids, sizes = list(truth["id"]), None
        if targets is None:
            true = [partial(self.spec.true_mask, path) for path in truth["mask"]]
        else:
            true = [partial(targets.inner, row) for row in range(len(ids))]
            sizes = [targets.placement(row).inner for row in range(len(ids))]
        pairs = zip(masks(self.spec, predictions, ids, sizes), true, strict=True)
        last = self.spec.n_channels - 1
        counts = [count(mask, of(), self.spec.first, last, IGNORE) for mask, of in pairs]
        both, predicted, alone = (
            np.array([image[part] for image in counts]).reshape(-1, len(self.classes)) for part in range(3)
        )
        return Overlap(both, predicted, alone)

    def metric(self, wanted: components.Written) -> Metric:
        """Build a metric of the config."""
        from goldfold import metrics

        return metrics.build(wanted, catalog.METRICS["mask"])

    def by_class(self, evidence: Overlap) -> pd.DataFrame:
        """Return per class: images with the class, pixels, and Dice and IoU over the set."""
        import pandas as pd

        from goldfold.metrics.segmentation import by_class, dice, iou

        true = evidence.both + evidence.true
        return pd.DataFrame(
            {
                "images": (true > 0).sum(axis=0),
                "pixels": true.sum(axis=0),
                "dice": by_class(evidence, dice),
                "iou": by_class(evidence, iou),
            },
            index=self.classes,
        )
