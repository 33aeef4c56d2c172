"""Windows of large images in a training: its samples, and the windows of its validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.inference.windows import Grid, Windows
from goldfold.samples.windows import Crops, One, Repeated, per_image
from goldfold.tasks.optional import in_windows

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from goldfold.cache.tiled import TiledImages
    from goldfold.samples.samplers import Sampler
    from goldfold.samples.windows import Targets
    from goldfold.tasks.protocol import Target
    from goldfold.training.spec import Spec

VALIDATION_OVERLAP = 0.25
"""Overlap of windows in the validation of a training, whatever that of predictions: changing this one retrains nothing."""


def crops_of(spec: Spec, target: Target, ids: Sequence[str], images: Any, targets: Any) -> Crops | None:
    """Return what draws the windows of training samples; None if the network takes whole images.

    Args:
        target: facet that made the ``targets`` of the training rows, whose ids are ``ids``.
        images: a `goldfold.cache.tiled.TiledImages`, if it takes windows.
    """
    how = spec.model.get("windows")
    if how is None:
        return None
    return Crops(images, in_windows(target, ids, targets, images, spec.train.min_visible), how["positive_crop"])


def repeated(spec: Spec, sampler: Sampler, images: TiledImages, ids: Iterable[str]) -> Sampler:
    """Return a sampler that has the windows of each case that ``sampler`` draws; ``sampler`` itself without windows.

    Images that are smaller than the window are reported.
    """
    how = spec.model.get("windows")
    if how is None:
        return sampler
    sizes, (height, width) = [images.size(id) for id in ids], images.frame
    if small := sum(high < height or wide < width for high, wide in sizes):
        print(
            f"windows: {small} of {len(sizes)} training images are smaller than the window, {height}x{width}, and are padded. "
            f"Set a smaller image_size_px if these are most of them.",
            flush=True,
        )
    return Repeated(sampler, per_image(sizes, images.frame, how["per_image"]))


def samples_of(spec: Spec, images: Any, ids: Sequence[str]) -> tuple[int, str]:
    """Return the number of training samples per epoch, if each case counts as often as any, and the noun for them."""
    how = spec.model.get("windows")
    if how is None:
        return len(ids), "training images"
    counts = per_image([images.size(id) for id in ids], images.frame, how["per_image"])
    return int(counts.sum()), "windows of training images"


def of_validation(spec: Spec) -> Windows | None:
    """Return the windows that validation images are predicted in; None if the network takes whole images."""
    return Windows(VALIDATION_OVERLAP) if spec.model.get("windows") else None


def of_validation_images(
    spec: Spec, target: Target, ids: Sequence[str], images: Any, targets: Any
) -> ValidationWindows | None:
    """Return the windows of the validation images, see `crops_of`."""
    if not spec.model.get("windows"):
        return None
    return ValidationWindows(images, in_windows(target, ids, targets, images, spec.train.min_visible))


class ValidationWindows:
    """Windows of all validation images, in the order in which they are predicted, with their targets."""

    def __init__(self, images: TiledImages, targets: Targets) -> None:
        self.images, self.targets = images, targets
        self.grids = [Grid.of(images.size(id), images.frame, VALIDATION_OVERLAP) for id in targets.ids]
        self.ends = np.cumsum([len(grid) for grid in self.grids])

    def at(self, number: int) -> tuple[str, One, dict[str, Any]]:
        """Return the id, the image and the target fields of a window."""
        row = int(np.searchsorted(self.ends, number, side="right"))
        grid = self.grids[row]
        box = grid.box(grid[number - int(self.ends[row]) + len(grid)])
        id = self.targets.ids[row]
        return id, One(self.images.part(id, box)), self.targets.part(row, box)
