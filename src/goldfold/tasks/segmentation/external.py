"""Masks predicted by other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.tasks import given
from goldfold.tasks.segmentation.maps import header_entries
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

FULL = 255
"""Probability 1 in a map."""


class External:
    """Reads maps of probabilities, see `goldfold.tasks.segmentation.maps`."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def from_table(self, table: pd.DataFrame, images: pd.DataFrame, where: str) -> Arrays:
        """Refuse a table.

        Raises:
            DataError: always.
        """
        raise DataError(f"{where}: this task has no table of predictions; write an .npz, see docs/external.md.")

    def from_arrays(self, arrays: Arrays, images: pd.DataFrame, where: str) -> Arrays:
        """Return the maps of all images of a file; each is checked when it is read.

        Raises:
            DataError: sizes or regions are not those of the images, or a map has another type or shape, or the classes of a
                pixel sum to more than 1.
        """
        from goldfold.predictions.arrays import OneByOne

        ids = arrays["ids"]
        if not any(key.startswith("maps/") for key in arrays):
            raise DataError(
                f"{where}: has no arrays 'maps/<row>', {self._wanted()}. It has: {', '.join(list(arrays)[:20])}."
            )
        shapes = {"sizes": given.image_sizes(arrays, images, where)}
        shapes |= _regions(arrays, shapes["sizes"], images, where)

        def make(row: int) -> NDArray[Any]:
            return self._checked(arrays, row, where)

        return OneByOne(header_entries(self.classes, ids, shapes), "maps", len(ids), make)

    def _checked(self, arrays: Arrays, row: int, where: str) -> NDArray[Any]:
        """Return the map of an image."""
        try:
            found = arrays[f"maps/{row}"]
        except KeyError:
            raise DataError(f"{where}: has no array 'maps/{row}', that of id {str(arrays['ids'][row])!r}.") from None
        n, named = self.spec.n_maps, f"{where}: 'maps/{row}' of id {str(arrays['ids'][row])!r}"
        if found.ndim != 3 or found.shape[0] != n or 0 in found.shape or found.dtype != np.uint8:
            raise DataError(
                f"{named} has the shape {found.shape} and the type {found.dtype}; needed is {self._wanted()}."
            )
        if (
            not self.spec.overlaps and (most := int(found.sum(axis=0, dtype=int).max())) > FULL + n
        ):  # each may be rounded up
            raise DataError(
                f"{named} has a pixel whose classes sum to {most}, more than {FULL}, "
                f"which is probability 1. Write probabilities after softmax, times {FULL}."
            )
        return found

    def _wanted(self) -> str:
        n = self.spec.n_maps
        named = ", ".join(self.classes[-n:][:5])
        return f"uint8 ({n}, height, width), the probability of {named} at each pixel, times {FULL}"


def _regions(arrays: Arrays, sizes: NDArray[Any], images: pd.DataFrame, where: str) -> dict[str, NDArray[np.int32]]:
    """Return the region of each map as ``rois`` (n, 4), nothing if the run does not crop.

    Maps of all members are fused pixel by pixel, so that their regions must be those of the run.
    """
    from goldfold.images.geometry import roi_of

    is_cropped = "roi" in images
    whole = [[0, 0, int(width), int(height)] for height, width in sizes.tolist()]
    of_run = {id: roi_of(text) for id, text in zip(images["id"], images["roi"], strict=True)} if is_cropped else {}
    rois = np.array(whole).reshape(-1, 4)
    if "rois" in arrays:
        rois = given.numeric(arrays, "rois", rois.shape, where, "x1, y1, x2, y2 of the region of each map in pixels")
    true = [of_run.get(str(id)) or own for id, own in zip(arrays["ids"], whole, strict=True)]
    known = np.isin(arrays["ids"], images["id"].to_numpy(str))
    odd = known & (rois != np.reshape(true, rois.shape)).any(axis=1)
    what = "not the region of its map ('rois'): " + (
        "the images of this run are cropped, and folds/train.csv and folds/test.csv list the region of each as roi"
        if is_cropped
        else "the images of this run are not cropped"
    )
    given.refuse_rows(odd, rois, arrays, where, what)
    return {"rois": rois.astype(np.int32)} if is_cropped else {}
