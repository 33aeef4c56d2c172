"""Decoded, resized images and masks in memory maps: decoded once, never in the training loop."""

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.cache.building import Contents, Frame, build_piece
from goldfold.cache.stores import open_rows
from goldfold.images import depth
from goldfold.images.cases import by_case
from goldfold.images.geometry import Roi, roi_of
from goldfold.images.limited import chosen, limited
from goldfold.tables import read_table


def shard_of(id: str, shards: int) -> int:
    """Shard of an image, by a stable hash of its id, so that a new image moves no other."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") % shards


def build(table: pd.DataFrame, folder: Path, size: tuple[int, int], channels: int, mode: str) -> None:
    """Write the cached images of the rows of ``table`` into ``folder``, as `goldfold.cache.building.build_piece` does.

    Args:
        table: columns id, path and sha256; mask and mask_depth if masks are trained on; roi if images are cropped.

    Raises:
        DataError: an image or a mask can no longer be read.
    """
    build_piece(Contents(table, channels), Frame(size, mode), folder, folder.parent / f".{folder.name}.work")


class CachedImages:
    """Images by id from the shards of one or more splits, and their masks if any.

    This is the only place where images of 16 bits are scaled to the 8 that networks and people see.
    """

    def __init__(
        self, folders: Sequence[str | Path], scale_16bit: depth.Rule = depth.DEFAULT, max_images: int | None = None
    ) -> None:
        """``max_images``: most images of a case, see `goldfold.images.limited.chosen`; None for all."""
        self.scale_16bit = scale_16bit
        self.arrays = [open_rows(Path(folder) / "images.npy") for folder in folders]
        self.masks = [open_rows(path) if (path := Path(folder) / "masks.npy").exists() else None for folder in folders]
        tables = [read_table(Path(folder) / "ids.csv") for folder in folders]
        self.place = {id: (shard, row) for shard, table in enumerate(tables) for row, id in enumerate(table["id"])}
        self.max_images, self._all = max_images, by_case(tables)
        self.cases = limited(self._all, max_images)
        self.rois = {
            id: text for table in tables if "roi" in table for id, text in zip(table["id"], table["roi"], strict=True)
        }

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of every image."""
        _, height, width, _ = self.arrays[0].shape
        return int(height), int(width)

    def __getitem__(self, id: str) -> NDArray[np.uint8]:
        """A copy of the image, (height, width, channels) uint8."""
        shard, row = self.place[id]
        return depth.to_8_bits(self.arrays[shard][row], self.scale_16bit)

    @property
    def n_views(self) -> int:
        """Images per case, missing ones included."""
        return len(next(iter(self.cases.values()), "1"))

    def views(self, id: str, draw: int | None = None) -> list[NDArray[np.uint8] | None]:
        """Copies of the images of a case, by view; None for a missing view.

        Args:
            draw: seed of a random choice of images, where their number is limited; None for evenly spaced ones.
        """
        own = self.cases.get(id, [id]) if draw is None else chosen(self._all.get(id, [id]), self.max_images, draw)
        return [None if one is None else self[one] for one in own]

    def lacking(self, ids: Iterable[str]) -> str | None:
        """First case that lacks an image for some view; None if there is none."""
        return next((id for id in ids if None in self.cases.get(id, [])), None)

    def case_batch(self, ids: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """See `batch_of_cases`."""
        return batch_of_cases(self.__getitem__, self.cases, ids)

    def roi(self, id: str) -> Roi | None:
        """Crop of the image; None for the whole image."""
        return roi_of(self.rois.get(id, ""))

    def mask(self, id: str) -> NDArray[Any]:
        """A copy of the image's mask, (height, width), values as stored."""
        shard, row = self.place[id]
        masks = self.masks[shard]
        if masks is None or not masks.shape[0]:
            raise KeyError(f"there is no mask of {id!r} in the cache")
        return masks[row]

    def batch(self, ids: Sequence[str]) -> NDArray[np.uint8]:
        """Images of ``ids``, (len(ids), height, width, channels) uint8."""
        return np.stack([self[id] for id in ids])


def batch_of_cases(
    read: Callable[[str], NDArray[np.uint8]], cases: Mapping[str, Sequence[str | None]], ids: Sequence[str]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Images of cases (len(ids), views, height, width, channels), and a mask of those that exist (len(ids), views).

    Args:
        read: id of an image -> its pixels, all of one shape.
        cases: ids of each case's images, None for a missing view; empty if each case is one image.
    """
    return stacked_views([[None if own is None else read(own) for own in cases.get(id, [id])] for id in ids])


def stacked_views(
    cases: Sequence[Sequence[NDArray[np.uint8] | None]],
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Stack images (cases, views, height, width, channels), 0 where missing, and the mask of those that exist."""
    present = np.array([[image is not None for image in views] for views in cases])
    images = [image for views in cases for image in views if image is not None]
    stacked = np.zeros((*present.shape, *images[0].shape), images[0].dtype)
    stacked[present] = images
    return stacked, present
