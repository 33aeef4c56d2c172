"""Decoded, resized images as memory-mapped uint8 arrays: decode once, never in the training loop."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from goldfold.data.decode import Image, Undecodable, decode, resize
from goldfold.runtime.errors import DataError
from goldfold.runtime.files import atomic, write_text


def shard_of(id: str, shards: int) -> int:
    """Piece of the cache that an image belongs to: a stable hash of its id, so that a new image moves no other."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:8], "big") % shards


def build(table: pd.DataFrame, folder: Path, size: tuple[int, int], channels: int, mode: str) -> None:
    """Write ``images.npy`` (n, height, width, channels) uint8 and ``ids.csv`` (id, sha256) for the rows of ``table``.

    Args:
        table: columns id, path and sha256.

    Raises:
        DataError: an image can no longer be read.
    """
    with atomic(folder / "images.npy") as temporary:
        shape = (len(table), *size, channels)
        images = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape) if len(table) else None
        for row, path in enumerate(table["path"]):
            try:
                images[row] = resize(decode(path, channels), size, mode)  # type: ignore[index]
            except (OSError, Undecodable) as error:
                raise DataError(
                    f"{path}: {error}. It was sound when the manifest was made; run again to look anew."
                ) from error
        if images is None:
            np.save(temporary, np.zeros(shape, dtype=np.uint8))
        else:
            images.flush()
    write_text(folder / "ids.csv", table[["id", "sha256"]].to_csv(index=False))


class CachedImages:
    """Images by id, over the shards of one or more splits."""

    def __init__(self, folders: Sequence[str | Path]) -> None:
        self.arrays = [np.load(Path(folder) / "images.npy", mmap_mode="r") for folder in folders]
        self.place = {
            id: (shard, row)
            for shard, folder in enumerate(folders)
            for row, id in enumerate(pd.read_csv(Path(folder) / "ids.csv", dtype=str, keep_default_na=False)["id"])
        }

    def __getitem__(self, id: str) -> Image:
        """A copy of the image, (height, width, channels) uint8."""
        shard, row = self.place[id]
        return np.array(self.arrays[shard][row])

    def batch(self, ids: Sequence[str]) -> Image:
        """Images of ``ids``, (len(ids), height, width, channels) uint8."""
        return np.stack([self[id] for id in ids])
