"""Decoded, resized images (and masks) as memory-mapped arrays: decode once, never in the training loop."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.data.decode import Image, Undecodable, decode, resize
from goldfold.data.geometry import Roi, roi_of
from goldfold.data.masks import decode_mask, resize_mask
from goldfold.runtime.errors import DataError
from goldfold.runtime.files import atomic, write_text

KEPT = ("id", "sha256", "roi")
"""Columns that say, beside the pixels, what they were made of."""


def shard_of(id: str, shards: int) -> int:
    """Piece of the cache that an image belongs to: a stable hash of its id, so that a new image moves no other."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") % shards


def build(table: pd.DataFrame, folder: Path, size: tuple[int, int], channels: int, mode: str) -> None:
    """Write the cached images of the rows of ``table`` into ``folder``.

    - ``images.npy``: (n, height, width, channels) uint8
    - ``masks.npy``, where there is a column ``mask``: (n, height, width) pixel values as they are on disk, 0 beyond;
      empty where the images have no masks
    - ``ids.csv``: id, sha256, and roi where images are cut

    Args:
        table: columns id, path and sha256, mask where masks are learnt from, and roi where images are cut.

    Raises:
        DataError: an image or a mask can no longer be read, or the disk is too small for all of them.
    """
    paths = list(table["mask"]) if "mask" in table else []
    paths = paths if any(paths) else []  # test and unlabeled images have none
    dtype = np.dtype(f"uint{pd.to_numeric(table['mask_depth']).max():.0f}" if paths else np.uint8)
    _refuse_full_disk(folder, len(table), size, size[0] * size[1] * (channels + bool(paths) * dtype.itemsize))
    rois = [roi_of(text) for text in table["roi"]] if "roi" in table else [None] * len(table)
    _stack(folder / "images.npy", list(table["path"]), rois, (*size, channels), np.dtype(np.uint8),
           lambda path, roi: resize(decode(path, channels), size, mode, roi))  # fmt: skip
    if "mask" in table:
        _stack(folder / "masks.npy", paths, rois, size, dtype,
               lambda path, roi: resize_mask(decode_mask(path), size, mode, roi=roi))  # fmt: skip
    write_text(folder / "ids.csv", table[[name for name in KEPT if name in table]].to_csv(index=False))


def _stack(
    out: Path,
    paths: list[str],
    rois: Sequence[Roi | None],
    shape: tuple[int, ...],
    dtype: "np.dtype[Any]",
    read: Callable[[str, Roi | None], NDArray[Any]],
) -> None:
    """Write what ``read`` makes of each file and the part to cut out as one array, one after the other."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (len(paths), *shape)}
    with atomic(out) as temporary, open(temporary, "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for path, roi in zip(paths, rois, strict=False):  # none of the images may have a mask
            try:
                pixels = np.ascontiguousarray(read(path, roi), dtype=dtype)
            except (OSError, Undecodable) as error:
                raise DataError(
                    f"{path}: {error}. It was sound when the manifest was made; run again to look anew."
                ) from error
            stream.write(pixels.reshape(shape).data)


def _refuse_full_disk(folder: Path, n: int, frame: tuple[int, ...], bytes_an_image: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if n * bytes_an_image > free:
        raise DataError(
            f"{folder}: {n} images of {frame[0]} x {frame[1]} pixels need {n * bytes_an_image / 1e9:,.1f} GB, "
            f"{free / 1e9:,.1f} GB are free there. Make room, or lower image_size_px."
        )


class CachedImages:
    """Images by id, over the shards of one or more splits, and masks where there are any."""

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self.arrays = [np.load(Path(folder) / "images.npy", mmap_mode="r") for folder in folders]
        self.masks = [
            np.load(path, mmap_mode="r") if (path := Path(folder) / "masks.npy").exists() else None
            for folder in folders
        ]
        tables = [pd.read_csv(Path(folder) / "ids.csv", dtype=str, keep_default_na=False) for folder in folders]
        self.place = {id: (shard, row) for shard, table in enumerate(tables) for row, id in enumerate(table["id"])}
        self.rois = {
            id: text for table in tables if "roi" in table for id, text in zip(table["id"], table["roi"], strict=True)
        }

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of every image."""
        return int(self.arrays[0].shape[1]), int(self.arrays[0].shape[2])

    def __getitem__(self, id: str) -> Image:
        """A copy of the image, (height, width, channels) uint8."""
        shard, row = self.place[id]
        return np.array(self.arrays[shard][row])

    def roi(self, id: str) -> Roi | None:
        """The part of the image that was cut out; None for all of it."""
        return roi_of(self.rois.get(id, ""))

    def mask(self, id: str) -> NDArray[Any]:
        """A copy of the image's mask, (height, width), values as on disk."""
        shard, row = self.place[id]
        masks = self.masks[shard]
        if masks is None or not len(masks):
            raise KeyError(f"there is no mask of {id!r} in the cache")
        return np.array(masks[row])

    def batch(self, ids: Sequence[str]) -> Image:
        """Images of ``ids``, (len(ids), height, width, channels) uint8."""
        return np.stack([self[id] for id in ids])
