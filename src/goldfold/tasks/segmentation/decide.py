"""Decisions by fitted thresholds, and fitted cleaning of the components of masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.predictions.arrays import with_same, with_thresholds
from goldfold.tasks.segmentation.decided import decided
from goldfold.tasks.segmentation.kept import Kept, key
from goldfold.tasks.segmentation.maps import COMPONENTS, INSTANCES, layers_of, mask, regions
from goldfold.tasks.segmentation.spec import Mask, Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.images.geometry import Placement
    from goldfold.metrics.segmentation import Overlap, Undecided
    from goldfold.predictions.arrays import Arrays
    from goldfold.tasks.segmentation.instances import Instances


@dataclass(frozen=True)
class Uncleaned:
    """Numbers of pixels (n, classes, settings) of masks cleaned by each setting."""

    both: NDArray[np.int32]
    predicted: NDArray[np.int32]
    """All pixels of the class with known truth."""
    true: NDArray[np.int32]
    """True pixels (n, classes)."""

    def __len__(self) -> int:
        return len(self.true)

    def at(self, places: Sequence[int]) -> Overlap:
        """Return the overlap of masks cleaned by one setting per class, given by its place."""
        from goldfold.metrics.segmentation import Overlap

        classes = range(len(places))
        both, predicted = self.both[:, classes, places], self.predicted[:, classes, places]
        return Overlap(both, predicted - both, self.true - both)


class Decide:
    """Decides for the most probable class where it reaches its threshold, else for the background; cleans components."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.kept = spec, Kept()

    def decided_classes(self) -> list[str]:
        """Return the classes without the background."""
        return decided(self.spec)

    decide = staticmethod(with_thresholds)

    def decidable(self, predictions: Arrays, truth: pd.DataFrame) -> Undecided:
        """Count pixels by probability level, at the size of the masks on disk."""
        from goldfold.metrics.segmentation import LEVELS, Undecided

        shape = len(self.spec.classes), len(LEVELS) * 2 + 1
        found = self._counted("levels", predictions, truth, shape, self._by_level)
        return Undecided(found[..., 1 : len(LEVELS) + 1], found[..., len(LEVELS) + 1 :], found[..., 0])

    def _by_level(self, predictions: Arrays, row: int, placed: Placement, true: Mask) -> NDArray[np.int64]:
        """Count the true pixels of each class, and those predicted at each level in and outside it (classes, 1 + 2 levels)."""
        from goldfold.ensembling.maps import against_background
        from goldfold.metrics.segmentation import count_levels
        from goldfold.predictions.maps import resized, with_first_channel
        from goldfold.targets.mask_coding import IGNORE

        if self.spec.overlaps:
            return self._of_layers(predictions, row, placed, true)
        values, classes = resized(predictions[f"maps/{row}"], placed.part), range(1, len(self.spec.classes) + 1)
        is_one = self.spec.n_channels == 2
        best, shares = (
            (np.zeros(placed.part, np.uint8), values[0]) if is_one else against_background(with_first_channel(values))
        )
        best, shares = placed.put_back(best + 1), placed.put_back(shares)
        known = true != IGNORE
        by_class = [count_levels(shares, true == one, known & (best == one), includes=is_one) for one in classes]
        return np.array(
            [[(true == one).sum(), *hits, *misses] for one, (hits, misses) in zip(classes, by_class, strict=True)]
        )

    def _of_layers(self, predictions: Arrays, row: int, placed: Placement, true: Mask) -> NDArray[np.int64]:
        """Count as `_by_level` does, each class by itself."""
        from goldfold.metrics.segmentation import count_levels
        from goldfold.predictions.maps import resized
        from goldfold.targets.mask_coding import IGNORE

        counted = []
        for stored, of in zip(predictions[f"maps/{row}"], layers_of(self.spec, true), strict=True):
            values = placed.put_back(resized(stored[None], placed.part)[0])
            hits, misses = count_levels(values, of == 1, of != IGNORE)
            counted.append([(of == 1).sum(), *hits, *misses])
        return np.array(counted)

    def cleanable(
        self, predictions: Arrays, truth: pd.DataFrame, settings: Sequence[tuple[int, int, bool]]
    ) -> Uncleaned:
        """Count the pixels of masks cleaned by each of ``settings``, see `goldfold.ensembling.regions.Setting`."""
        from goldfold.ensembling.regions import Setting, counts

        def of_masks(own: NDArray[np.uint8], true: NDArray[np.uint8], n: int) -> NDArray[np.int32]:
            of_true = [(true == one).sum() for one in range(1, n + 1)]
            return np.concatenate([np.array(of_true, np.int32)[:, None], *counts(own, true, n, tried)], axis=1)

        def make(predictions: Arrays, row: int, placed: Placement, true: Mask) -> NDArray[np.int32]:
            own = mask(self.spec, predictions, row, placed)
            if not self.spec.overlaps:
                return of_masks(own, true, n)
            pairs = zip(layers_of(self.spec, own), layers_of(self.spec, true), strict=True)
            return np.concatenate([of_masks(*pair, 1) for pair in pairs])

        n, wide, tried = len(self.spec.classes), len(settings), [Setting(*one) for one in settings]
        found = self._counted(tuple(settings), predictions, truth, (n, 1 + 2 * wide), make)
        return Uncleaned(found[..., 1 : wide + 1], found[..., wide + 1 :], found[..., 0])

    def clean(self, predictions: Arrays, settings: Sequence[tuple[int, int, bool]]) -> Arrays:
        """Return the predictions with the settings of the classes attached."""
        return with_same(predictions, COMPONENTS, np.array(settings, dtype=np.int32))

    def separable(
        self, predictions: Arrays, truth: pd.DataFrame, settings: Sequence[tuple[float, float, int]]
    ) -> Instances:
        """Match the instances by each of ``settings``, see `goldfold.ensembling.instances.Setting`, with the true ones."""
        from goldfold.tasks.segmentation.instances import separable

        return separable(self.spec, self.kept, predictions, truth, settings)

    def separate(self, predictions: Arrays, settings: Sequence[tuple[float, float, int]]) -> Arrays:
        """Return the predictions with the settings of the classes attached."""
        return with_same(predictions, INSTANCES, np.array(settings, dtype=np.float64))

    def _counted(
        self,
        what: Any,
        predictions: Arrays,
        truth: pd.DataFrame,
        shape: tuple[int, ...],
        make: Callable[[Arrays, int, Placement, Mask], NDArray[Any]],
    ) -> NDArray[np.int32]:
        """Count the pixels of each image (n, *shape), one image at a time; those that an earlier fit has counted are kept."""
        from goldfold.predictions.arrays import rows_of

        placed, made = regions(predictions), np.zeros((len(truth), *shape), np.int32)
        rows = rows_of(predictions, list(truth["id"])).tolist()
        for place, (row, path) in enumerate(zip(rows, truth["mask"], strict=True)):

            def count(row: int = row, path: str = path) -> NDArray[np.int32]:
                return make(predictions, row, placed[row], self.spec.true_mask(path)).astype(np.int32)

            made[place] = self.kept.of(key(predictions, row, what, path), count)
        return made
