"""Decoded, resized images (and masks) as memory-mapped arrays: decode once, never in the training loop."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.data import depth
from goldfold.data.decode import Undecodable, decode, resize
from goldfold.data.masks import decode_mask, resize_mask
from goldfold.runtime.errors import DataError
from goldfold.runtime.files import atomic, write_text


def shard_of(id: str, shards: int) -> int:
    """Piece of the cache that an image belongs to: a stable hash of its id, so that a new image moves no other."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") % shards


def build(table: pd.DataFrame, folder: Path, size: tuple[int, int], channels: int, mode: str) -> None:
    """Write the cached images of the rows of ``table`` into ``folder``.

    - ``images.npy``: (n, height, width, channels) uint8, or uint16 where any image has more than 8 bits
    - ``masks.npy``, where there is a column ``mask``: (n, height, width) pixel values as they are on disk, 0 beyond;
      empty where the images have no masks
    - ``ids.csv``: id, sha256

    Args:
        table: columns id, path and sha256, and mask where masks are learnt from.

    Raises:
        DataError: an image or a mask can no longer be read, or the disk is too small for all of them.
    """
    paths = list(table["mask"]) if "mask" in table else []
    paths = paths if any(paths) else []  # test and unlabeled images have none
    dtype = np.dtype(f"uint{pd.to_numeric(table['mask_depth']).max():.0f}" if paths else np.uint8)
    kept = depth.widest(table["path"])
    pixel = channels * kept.itemsize + bool(paths) * dtype.itemsize
    _refuse_full_disk(folder, len(table), size, size[0] * size[1] * pixel)
    _stack(folder / "images.npy", list(table["path"]), (*size, channels), kept,
           lambda path: depth.as_type(resize(decode(path, channels), size, mode), kept))  # fmt: skip
    if "mask" in table:
        _stack(folder / "masks.npy", paths, size, dtype, lambda path: resize_mask(decode_mask(path), size, mode))
    write_text(folder / "ids.csv", table[["id", "sha256"]].to_csv(index=False))


def _stack(
    out: Path, paths: list[str], shape: tuple[int, ...], dtype: "np.dtype[Any]", read: Callable[[str], NDArray[Any]]
) -> None:
    """Write what ``read`` makes of each file as one array, one after the other."""
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (len(paths), *shape)}
    with atomic(out) as temporary, open(temporary, "wb") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        for path in paths:
            try:
                pixels = np.ascontiguousarray(read(path), dtype=dtype)
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
    """Images by id, over the shards of one or more splits, and masks where there are any.

    The one place where images of 16 bits become the 8 that networks and people are shown.
    """

    def __init__(self, folders: Sequence[str | Path], scale_16bit: depth.Rule = depth.DEFAULT) -> None:
        self.scale_16bit = scale_16bit
        self.arrays = [np.load(Path(folder) / "images.npy", mmap_mode="r") for folder in folders]
        self.masks = [
            np.load(path, mmap_mode="r") if (path := Path(folder) / "masks.npy").exists() else None
            for folder in folders
        ]
        self.place = {
            id: (shard, row)
            for shard, folder in enumerate(folders)
            for row, id in enumerate(pd.read_csv(Path(folder) / "ids.csv", dtype=str, keep_default_na=False)["id"])
        }

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of every image."""
        return int(self.arrays[0].shape[1]), int(self.arrays[0].shape[2])

    def __getitem__(self, id: str) -> NDArray[np.uint8]:
        """A copy of the image, (height, width, channels) uint8."""
        shard, row = self.place[id]
        return depth.to_8_bits(np.array(self.arrays[shard][row]), self.scale_16bit)

    def mask(self, id: str) -> NDArray[Any]:
        """A copy of the image's mask, (height, width), values as on disk."""
        shard, row = self.place[id]
        masks = self.masks[shard]
        if masks is None or not len(masks):
            raise KeyError(f"there is no mask of {id!r} in the cache")
        return np.array(masks[row])

    def batch(self, ids: Sequence[str]) -> NDArray[np.uint8]:
        """Images of ``ids``, (len(ids), height, width, channels) uint8."""
        return np.stack([self[id] for id in ids])
