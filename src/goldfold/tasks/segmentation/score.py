"""Scores of predicted masks against true ones."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.segmentation.instances import found, of_pairs
from goldfold.tasks.segmentation.maps import INSTANCES, masks
from goldfold.tasks.segmentation.spec import Mask, Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics import Metric
    from goldfold.metrics.segmentation import Counts, Overlap
    from goldfold.predictions.arrays import Arrays
    from goldfold.samples.dense import FramedMasks


def kept(masks: Iterable[Mask]) -> Callable[[], Iterator[Mask]]:
    """Read masks once and keep them compressed; return how to read them again."""
    parts = [(mask.shape, mask.dtype, zlib.compress(mask.tobytes(), 1)) for mask in masks]
    return lambda: (np.frombuffer(zlib.decompress(data), dtype).reshape(shape) for shape, dtype, data in parts)


def pairs_of(masks: Callable[[], Iterable[Mask]], true: Sequence[Callable[[], Mask]]) -> Iterator[tuple[Mask, Mask]]:
    """Read pairs of predicted and true masks."""
    return ((mask, of()) for mask, of in zip(masks(), true, strict=True))


class Score:
    """Scores of masks."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes, self.keeps_masks = spec, spec.classes, False

    def evidence(self, predictions: Arrays, truth: pd.DataFrame, targets: FramedMasks | None = None) -> Overlap:
        """Count the overlap at the size of the masks on disk; with ``targets``, at the network's resolution.

        Predictions are read again only by metrics of `catalog.OF_MASKS`. With ``targets`` they can be read only once: masks are
        then kept, compressed, if such a metric was built. Instances at the network's resolution are connected components.
        """
        from goldfold.metrics.instances import Counted
        from goldfold.metrics.segmentation import Overlap
        from goldfold.metrics.surfaces import Pairs

        ids, sizes = list(truth["id"]), None
        if targets is None:
            true = [partial(self.spec.true_mask, path) for path in truth["mask"]]
        else:
            true = [partial(targets.inner, row) for row in range(len(ids))]
            sizes = [targets.placement(row).inner for row in range(len(ids))]
        read: Callable[[], Iterator[Mask]] = partial(masks, self.spec, predictions, ids, sizes)
        if targets is not None and self.keeps_masks:
            read = kept(read())
        counts = [self._count(*pair) for pair in pairs_of(read, true)]
        both, predicted, alone = (
            np.array([image[part] for image in counts]).reshape(-1, len(self.classes)) for part in range(3)
        )
        again = partial(pairs_of, read, true)
        if targets is not None and not self.keeps_masks:
            return Overlap(both, predicted, alone)
        count_instances = (
            partial(found, self.spec, predictions, truth) if targets is None else partial(of_pairs, self.spec, again)
        )
        coding = self.spec.coding
        pairs = Pairs(again, coding.codes, coding.ignore, coding.has)
        return Overlap(both, predicted, alone, pairs, None, Counted(count_instances, INSTANCES in predictions))

    def _count(self, prediction: Mask, truth: Mask) -> tuple[Counts, Counts, Counts]:
        from goldfold.metrics.segmentation import count, count_sets

        coding = self.spec.coding
        if self.spec.overlaps:
            return count_sets(prediction, truth, coding.codes, coding.ignore)
        return count(prediction, truth, self.spec.first, self.spec.n_channels - 1, coding.ignore)

    def metric(self, wanted: components.Written) -> Metric:
        """Build a metric of the config."""
        from goldfold import metrics

        self.keeps_masks |= components.name_of(wanted) in catalog.OF_MASKS
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
