"""Predicted probability maps: as entries of a file, and as masks.

Predictions have ``sizes`` (n, 2), the original height and width of the images, and ``maps/<row>``, the probabilities of one
image: uint8 (channels - 1, height, width), 255 for probability 1, at the network's resolution, without the padding. The
first channel (the background) is 1 minus the others. If images are cropped, ``rois`` (n, 4), x1, y1, x2, y2 in pixels of
the image, is the region of each map; pixels around it are background.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    from goldfold.images.geometry import Placement
    from goldfold.predictions.arrays import Arrays


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
) -> Iterator[NDArray[np.uint8]]:
    """Yield the channel of every pixel per image, at the original size; with ``sizes``, of the cropped region at these."""
    from goldfold.predictions.arrays import rows_of
    from goldfold.predictions.maps import resized, with_first_channel

    placed = regions(predictions)
    for place, row in enumerate(rows_of(predictions, ids)):
        values = resized(predictions[f"maps/{row}"], sizes[place] if sizes is not None else placed[row].part)
        if spec.n_channels == 2:
            channels = (values[0] >= _threshold(spec, predictions, int(row))).astype(np.uint8)
        else:
            channels = with_first_channel(values).argmax(axis=0).astype(np.uint8)
        yield channels if sizes is not None else placed[row].put_back(channels)


def _threshold(spec: Spec, predictions: Arrays, row: int) -> float:
    """Return the threshold fitted for an image, or that of the config."""
    return float(predictions["thresholds"][row, 0]) if "thresholds" in predictions else spec.threshold
