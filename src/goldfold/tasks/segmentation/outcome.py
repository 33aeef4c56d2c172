"""Predicted masks compared with the true ones, for the report."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goldfold.drawing import mask_colours, overlays
from goldfold.metrics.segmentation import Overlap, by_image, dice
from goldfold.targets.mask_coding import IGNORE
from goldfold.tasks.segmentation.maps import masks
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays


@dataclass(frozen=True)
class Outcome:
    """Pixel counts of predictions against the truth."""

    spec: Spec
    predictions: Arrays
    truth: pd.DataFrame
    overlap: Overlap
    pixels: NDArray[np.int64]
    """Pixels of all images (channels, channels): rows are true channels, columns predicted channels. Of classes that may overlap,
    (2, classes, classes): pixels of both classes, true ones and predicted ones."""
    counted: NDArray[np.int64]
    """Number of pixels with known truth per image (n,)."""

    @property
    def names(self) -> list[str]:
        """Names of the channels."""
        return ["(background)"] * self.spec.first + self.spec.classes

    @cached_property
    def colours(self) -> list[overlays.Colour]:
        """One colour per class."""
        return mask_colours.of_classes(self.spec.coding, self.truth["mask"].iloc[0] if len(self.truth) else "")

    @cached_property
    def dice(self) -> NDArray[np.float64]:
        """Dice per image (n,), the mean over the classes true or predicted in it."""
        return by_image(self.overlap, dice)

    @cached_property
    def n_true(self) -> NDArray[np.int64]:
        """Number of pixels of any class per image (n,)."""
        found: NDArray[np.int64] = (self.overlap.both + self.overlap.true).sum(axis=1)
        return np.minimum(found, self.counted)  # classes may overlap


def compared(spec: Spec, predictions: Arrays, truth: pd.DataFrame) -> Outcome:
    """Count in one pass over all masks: overlap per image and class, and all pixels by true and predicted channel."""
    if spec.overlaps:
        return _of_sets(spec, predictions, truth)
    n, rows, counted = spec.n_channels, [], []
    pixels = np.zeros((n, n), dtype=np.int64)
    for mask, path in zip(masks(spec, predictions, list(truth["id"])), truth["mask"], strict=True):
        true = spec.true_mask(path)
        seen = true != IGNORE
        own = np.bincount(true[seen].astype(np.int64) * n + mask[seen], minlength=n * n).reshape(n, n)
        pixels += own
        counted.append(own.sum())
        rows.append(np.stack([np.diag(own), own.sum(axis=0), own.sum(axis=1)])[:, spec.first :])
    both, predicted, of_truth = np.stack(rows, axis=1)
    overlap = Overlap(both, predicted - both, of_truth - both)
    return Outcome(spec, predictions, truth, overlap, pixels, np.array(counted))


def _of_sets(spec: Spec, predictions: Arrays, truth: pd.DataFrame) -> Outcome:
    """Count as `compared` does, each class by itself, and the pixels that two classes share."""
    coding, rows, counted = spec.coding, [], []
    shared = np.zeros((2, len(spec.classes), len(spec.classes)), np.int64)
    for mask, path in zip(masks(spec, predictions, list(truth["id"])), truth["mask"], strict=True):
        true = spec.true_mask(path)
        known = true != coding.ignore
        layers = [np.stack([coding.has(part, code)[known] for code in coding.codes]) for part in (true, mask)]
        both, n_true, n_found = ((one.sum(axis=1)) for one in (layers[0] & layers[1], *layers))
        rows.append(np.stack([both, n_found - both, n_true - both]))
        shared += [[(layer & other).sum(axis=1) for other in layer] for layer in layers]
        counted.append(int(known.sum()))
    overlap = Overlap(*np.stack(rows, axis=1))
    return Outcome(spec, predictions, truth, overlap, shared, np.array(counted))
