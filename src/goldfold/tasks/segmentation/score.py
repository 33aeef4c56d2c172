"""Scores of predicted masks against true ones."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.tasks.segmentation.instances import found, of_pairs
from goldfold.tasks.segmentation.maps import INSTANCES, masks
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics import Metric
    from goldfold.metrics.segmentation import Overlap
    from goldfold.predictions.arrays import Arrays
    from goldfold.samples.dense import FramedMasks


def kept(masks: Iterable[NDArray[np.uint8]]) -> Callable[[], Iterator[NDArray[np.uint8]]]:
    """Read masks once and keep them compressed; return how to read them again."""
    parts = [(mask.shape, zlib.compress(mask.tobytes(), 1)) for mask in masks]
    return lambda: (np.frombuffer(zlib.decompress(data), np.uint8).reshape(shape) for shape, data in parts)


def pairs_of(
    masks: Callable[[], Iterable[NDArray[np.uint8]]], true: Sequence[Callable[[], NDArray[np.uint8]]]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
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
        from goldfold.metrics.segmentation import Overlap, count
        from goldfold.metrics.surfaces import Pairs
        from goldfold.targets.mask_coding import IGNORE

        ids, sizes = list(truth["id"]), None
        if targets is None:
            true = [partial(self.spec.true_mask, path) for path in truth["mask"]]
        else:
            true = [partial(targets.inner, row) for row in range(len(ids))]
            sizes = [targets.placement(row).inner for row in range(len(ids))]
        read: Callable[[], Iterator[NDArray[np.uint8]]] = partial(masks, self.spec, predictions, ids, sizes)
        if targets is not None and self.keeps_masks:
            read = kept(read())
        first, last = self.spec.first, self.spec.n_channels - 1
        counts = [count(*pair, first, last, IGNORE) for pair in pairs_of(read, true)]
        both, predicted, alone = (
            np.array([image[part] for image in counts]).reshape(-1, len(self.classes)) for part in range(3)
        )
        again = partial(pairs_of, read, true)
        if targets is not None and not self.keeps_masks:
            return Overlap(both, predicted, alone)
        count_instances = (
            partial(found, self.spec, predictions, truth) if targets is None else partial(of_pairs, self.spec, again)
        )
        pairs = Pairs(again, range(first, last + 1), IGNORE)
        return Overlap(both, predicted, alone, pairs, None, Counted(count_instances, INSTANCES in predictions))

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
