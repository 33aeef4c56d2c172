"""Predicted objects of images, any number per image: as arrays of a file, and by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from goldfold.predictions.arrays import Arrays

Found = tuple[Any, Any, Any]
"""Places (n, numbers), scores (n,) and labels (n,) of one image."""


def arrays(
    name: str, width: int, classes: Sequence[str], ids: NDArray[np.str_], sizes: NDArray[Any], found: Sequence[Found]
) -> Arrays:
    """Return the arrays of a prediction file.

    ``sizes`` (n, 2) are the original height and width of the images, ``counts`` (n,) the numbers of objects. Concatenated
    over the images, ``scores`` float32 (sum,), ``labels`` int32 (sum,) and, under ``name``, places float32 (sum, ``width``).
    """
    places, scores, labels = (
        np.concatenate([np.asarray(image[part], dtype=float).reshape(-1, wide) for image in found] or [np.empty((0, wide))])
        for part, wide in ((0, width), (1, 1), (2, 1))
    )  # fmt: skip
    return {
        "ids": ids,
        "classes": np.array(classes),
        "sizes": np.asarray(sizes, dtype=np.int32).reshape(-1, 2),
        "counts": np.array([len(image[1]) for image in found], dtype=np.int32),
        name: places.astype(np.float32),
        "scores": scores[:, 0].astype(np.float32),
        "labels": labels[:, 0].astype(np.int32),
    }


def by_image(name: str, predictions: Arrays, ids: Sequence[str] | None = None) -> list[Found]:
    """Return places, scores (n,) and labels (n,) of each image, in the order of ``ids`` if given."""
    from goldfold.predictions.arrays import rows_of

    ends = np.cumsum(predictions["counts"])
    rows = np.arange(len(ends)) if ids is None else rows_of(predictions, ids)
    spans = [slice(int(ends[row] - predictions["counts"][row]), int(ends[row])) for row in rows]
    return [(predictions[name][s], predictions["scores"][s], predictions["labels"][s]) for s in spans]
