"""Windows of large images in a training: its samples, and the windows of its validation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from goldfold.inference.windows import Windows, places
from goldfold.samples.windows import Crops, One, Repeated, per_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from goldfold.cache.tiled import TiledImages
    from goldfold.samples.dense import FramedMasks
    from goldfold.samples.samplers import Sampler
    from goldfold.training.spec import Spec

VALIDATION_OVERLAP = 0.25
"""Overlap of windows in the validation of a training, whatever that of predictions: changing this one retrains nothing."""


def crops_of(spec: Spec, images: Any, targets: Any) -> Crops | None:
    """Return what draws the windows of training samples; None if the network takes whole images.

    Args:
        images: a `goldfold.cache.tiled.TiledImages`, if it takes windows.
        targets: `goldfold.samples.dense.FramedMasks` of the training rows.
    """
    how = spec.model.get("windows")
    return None if how is None else Crops(images, targets, how["positive_crop"])


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


def of_validation(spec: Spec) -> Windows | None:
    """Return the windows that validation images are predicted in; None if the network takes whole images."""
    return Windows(VALIDATION_OVERLAP) if spec.model.get("windows") else None


def of_validation_images(spec: Spec, images: Any, targets: Any) -> ValidationWindows | None:
    """Return the windows of the validation images, see `crops_of`."""
    return ValidationWindows(images, targets) if spec.model.get("windows") else None


class ValidationWindows:
    """Windows of all validation images, in the order in which they are predicted, with their masks."""

    def __init__(self, images: TiledImages, masks: FramedMasks) -> None:
        self.images, self.masks = images, masks
        self.places = [
            (row, place)
            for row, id in enumerate(masks.ids)
            for place in places(images.size(id), images.frame, VALIDATION_OVERLAP)
        ]

    def at(self, number: int) -> tuple[str, One, dict[str, Any]]:
        """Return the id, the image and the target fields of a window."""
        row, (top, left) = self.places[number]
        id, (height, width) = self.masks.ids[row], self.images.frame
        box = (top, left, top + height, left + width)
        return id, One(self.images.part(id, box)), self.masks.fields(self.masks.part(row, box))
