"""Predicted probability maps: as entries of a file, and as masks.

Predictions have ``sizes`` (n, 2), the original height and width of the images, and ``maps/<row>``, the probabilities of one
image: uint8 (channels - 1, height, width), 255 for probability 1, at the network's resolution, without the padding. The
first channel (the background) is 1 minus the others. Classes that may overlap have one map each, (classes, height, width), and
masks are sets of classes, see `goldfold.targets.mask_bits`. If images are cropped, ``rois`` (n, 4), x1, y1, x2, y2 in pixels of
the image, is the region of each map; pixels around it are background. Steps of the ensemble add ``thresholds`` (n, classes)
and `COMPONENTS`, by which `masks` decides and cleans, and `INSTANCES`, by which
`goldfold.tasks.segmentation.instances` separates the objects of a mask.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.tasks.segmentation.spec import Mask, Spec

if TYPE_CHECKING:
    from goldfold.images.geometry import Placement
    from goldfold.predictions.arrays import Arrays

COMPONENTS = "components"
"""Entry (n, classes, 3) with the settings of `goldfold.ensembling.regions`: smallest, holes, largest."""
INSTANCES = "instances"
"""Entry (n, classes, 3) with the settings of `goldfold.ensembling.instances`: distance, neck, smallest."""


def header_entries(
    classes: Sequence[str], ids: NDArray[np.str_], shapes: Mapping[str, NDArray[np.int32]]
) -> dict[str, NDArray[Any]]:
    """Return the entries other than the maps."""
    return {"ids": ids, "classes": np.array(classes), **shapes}


def shapes_of(parts: Sequence[Arrays]) -> dict[str, NDArray[np.int32]]:
    """Concatenate the sizes and, if images are cropped, the regions of ``parts``."""
    names = [name for name in ("sizes", "rois") if name in parts[0]]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def regions(predictions: Arrays) -> list[Placement]:
    """Return the placement of each map's region in its image."""
    from goldfold.images.geometry import place

    sizes = [(int(height), int(width)) for height, width in predictions["sizes"]]
    rois = predictions["rois"].tolist() if "rois" in predictions else [None] * len(sizes)
    return [place(size, size, "squash", roi and tuple(roi)) for size, roi in zip(sizes, rois, strict=True)]


def masks(
    spec: Spec, predictions: Arrays, ids: Sequence[str], sizes: Sequence[tuple[int, int]] | None = None
) -> Iterator[Mask]:
    """Yield the channel of every pixel per image, at the original size; with ``sizes``, of the cropped region at these."""
    from goldfold.predictions.arrays import rows_of

    placed = regions(predictions)
    for place, row in enumerate(rows_of(predictions, ids).tolist()):
        if sizes is not None:
            yield _decided(spec, predictions, row, sizes[place])
        else:
            yield mask(spec, predictions, row, placed[row])


def mask(spec: Spec, predictions: Arrays, row: int, placed: Placement) -> Mask:
    """Return the channel of every pixel of one image, at the original size."""
    channels: Mask = placed.put_back(_decided(spec, predictions, row, placed.part))
    if COMPONENTS not in predictions:
        return channels
    from goldfold.ensembling.regions import Setting, cleaned

    settings = [Setting(a, b, bool(c)) for a, b, c in predictions[COMPONENTS][row].tolist()]
    if not spec.overlaps:
        return cleaned(channels, settings)
    layers = (cleaned(layer, [own]) for layer, own in zip(layers_of(spec, channels), settings, strict=True))
    return spec.coding.of(np.stack([layer.view(np.bool_) for layer in layers]))  # type: ignore[union-attr]


def layers_of(spec: Spec, channels: Mask) -> Iterator[NDArray[np.uint8]]:
    """Yield a mask of each class that may overlap others: 1 in the class, 0 elsewhere, IGNORE where its pixels are ignored."""
    from goldfold.targets.mask_coding import IGNORE

    unknown = channels == spec.coding.ignore
    for code in spec.coding.codes:
        yield np.where(unknown, np.uint8(IGNORE), spec.coding.has(channels, code).view(np.uint8))


def _decided(spec: Spec, predictions: Arrays, row: int, size: tuple[int, int]) -> Mask:
    """Return the channel of every pixel of a map, at ``size`` (height, width)."""
    from goldfold.predictions.maps import resized, strips

    stored = predictions[f"maps/{row}"]
    if stored.shape[1:] != tuple(size):
        return _of_values(spec, predictions, row, resized(stored, size))
    parts = (stored[:, rows] for rows in strips(size))
    each = [_of_values(spec, predictions, row, resized(part, part.shape[1:])) for part in parts]
    return each[0] if len(each) == 1 else np.concatenate(each)


def _of_values(spec: Spec, predictions: Arrays, row: int, values: NDArray[np.floating[Any]]) -> Mask:
    """Return the channel of every pixel by the probabilities of all channels but the first."""
    from goldfold.predictions.maps import with_first_channel

    if spec.overlaps:
        own = predictions["thresholds"][row] if "thresholds" in predictions else np.full(len(values), spec.threshold)
        reached = np.stack([value >= float(one) for value, one in zip(values, own, strict=True)])
        return spec.coding.of(reached)  # type: ignore[union-attr]
    if spec.n_channels == 2:
        return (values[0] >= _threshold(spec, predictions, row)).astype(np.uint8)
    if "thresholds" in predictions:
        from goldfold.ensembling.maps import against_background

        best, shares = against_background(with_first_channel(values))
        return np.where(shares > predictions["thresholds"][row][best], best + 1, 0).astype(np.uint8)
    return with_first_channel(values).argmax(axis=0).astype(np.uint8)


def _threshold(spec: Spec, predictions: Arrays, row: int) -> float:
    """Return the threshold fitted for an image, or that of the config."""
    return float(predictions["thresholds"][row, 0]) if "thresholds" in predictions else spec.threshold
