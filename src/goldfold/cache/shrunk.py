"""Read cached images at a smaller size than they are stored in."""

from collections.abc import Sequence
from typing import Any, TypeVar, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.images.geometry import Roi, parts_of, roi_of
from goldfold.images.refit import Refit

Images = TypeVar("Images")
SIZES = {"height", "width"}
"""Columns that decide the position of the image in its frame."""


def at_size(images: Images, size: Sequence[int], resize: str, *tables: pd.DataFrame) -> Images:
    """View of ``images`` at another size; ``images`` themselves if they have that size.

    Args:
        images: `goldfold.cache.images.CachedImages`, or `goldfold.cache.decoded.Framed`.
        size: height and width of the network's input.
        resize: resize mode of the stored images.
        tables: id of all images to be read; also width, height, and roi if images are cropped, if targets have positions
            in the images. Without them, the whole frame is resized: pixels are off by up to one pixel of the network.
    """
    kept: Any = images
    frame = int(size[0]), int(size[1])
    return images if frame == kept.frame else cast(Images, Shrunk(kept, frame, resize, tables))


class Shrunk:
    """Cached images at a smaller size, for validation and prediction."""

    def __init__(self, images: Any, frame: tuple[int, int], resize: str, tables: Sequence[pd.DataFrame]) -> None:
        self.images, self.frame, self.resize = images, frame, resize
        self.places: dict[str, tuple[int, int, str]] = {}
        for table in tables if all({*table.columns} >= SIZES for table in tables) else []:
            rois = table["roi"] if "roi" in table else [""] * len(table)
            sizes = (table["height"].astype(int), table["width"].astype(int))
            self.places |= dict(zip(table["id"], zip(*sizes, rois, strict=True), strict=True))

    def case_batch(self, ids: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """See `goldfold.cache.images.batch_of_cases`."""
        _, pixels, present = self.both(ids)
        return pixels, present

    def both(self, ids: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.bool_]]:
        """Images of cases as stored, at the smaller size, and which are present; see `goldfold.cache.images.batch_of_cases`."""
        pixels, present = self.images.case_batch(ids)
        shrunk = [[self._refit(id).image(image) for image in views] for id, views in zip(ids, pixels, strict=True)]
        return pixels, np.stack([np.stack(views) for views in shrunk]), present

    def views(self, id: str) -> list[NDArray[np.uint8] | None]:
        """Images of a case, by view; None for a missing view."""
        (pixels,), (present,) = self.case_batch([id])
        return [image if there else None for image, there in zip(pixels, present, strict=True)]

    def mask(self, id: str) -> NDArray[Any]:
        """The image's mask, (height, width), values as stored."""
        return self._refit(id).mask(self.images.mask(id))

    def roi(self, id: str) -> Roi | None:
        """Crop of the image; None for the whole image."""
        return roi_of(self.places[id][2])

    def _refit(self, id: str) -> Refit:
        if not self.places:
            way = f"squash-{parts_of(self.resize)[1]}"
            return Refit.of(self.images.frame, self.images.frame, self.frame, way, None)
        height, width, roi = self.places[id]
        return Refit.of((height, width), self.images.frame, self.frame, self.resize, roi_of(roi))
