"""Predicted maps of probabilities: as entries of a file, and as masks.

Predictions hold ``sizes`` (n, 2), the images' own height and width, and ``maps/<row>``, one image's probabilities. A map is
uint8 (channels - 1, height, width), 255 for a probability of 1, at the network's resolution, of the whole image: its border
of padding is cut off. The first channel (the background) is what the others leave. Where images are cut, ``rois`` (n, 4),
x1, y1, x2, y2 in the images' pixels, says of which part a map is; around it is background.
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


def heads(
    classes: Sequence[str], ids: NDArray[np.str_], shapes: Mapping[str, NDArray[np.int32]]
) -> dict[str, NDArray[Any]]:
    """Entries besides the maps."""
    return {"ids": ids, "classes": np.array(classes), **shapes}


def shapes_of(parts: Sequence[Arrays]) -> dict[str, NDArray[np.int32]]:
    """Sizes and, where images are cut, parts of the images of ``parts``, laid end to end."""
    names = [name for name in ("sizes", "rois") if name in parts[0]]
    return {name: np.concatenate([part[name] for part in parts]) for name in names}


def cuts(predictions: Arrays) -> list[Placement]:
    """Where the part that each map is of lies in its image."""
    from goldfold.images.geometry import place

    sizes = [(int(height), int(width)) for height, width in predictions["sizes"]]
    rois = predictions["rois"].tolist() if "rois" in predictions else [None] * len(sizes)
    return [place(size, size, "squash", roi and tuple(roi)) for size, roi in zip(sizes, rois, strict=True)]


def masks(
    spec: Spec, predictions: Arrays, ids: Sequence[str], sizes: Sequence[tuple[int, int]] | None = None
) -> Iterator[NDArray[np.uint8]]:
    """Channel of every pixel, image by image, at the images' own size, or of the part that was cut out at ``sizes``."""
    from goldfold.predictions.arrays import rows_of
    from goldfold.predictions.maps import resized, whole

    placed = cuts(predictions)
    for place, row in enumerate(rows_of(predictions, ids)):
        values = resized(predictions[f"maps/{row}"], sizes[place] if sizes is not None else placed[row].part)
        if spec.n_channels == 2:
            channels = (values[0] >= _threshold(spec, predictions, int(row))).astype(np.uint8)
        else:
            channels = whole(values).argmax(axis=0).astype(np.uint8)
        yield channels if sizes is not None else placed[row].put_back(channels)


def _threshold(spec: Spec, predictions: Arrays, row: int) -> float:
    """The one that was fitted for an image, or that of the config."""
    return float(predictions["thresholds"][row, 0]) if "thresholds" in predictions else spec.threshold
