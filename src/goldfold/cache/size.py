"""How large the whole cache is, by counts and sizes alone: what is kept encoded, and whether the disk suffices."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.cache.building import Frame

GB = 10**9
RECORD = "run.json"


@dataclass(frozen=True)
class Whole:
    """The whole cache of a config, by what is known before anything is decoded."""

    images: Mapping[str, int]
    """Number of images by split."""
    bytes_a_pixel: Mapping[str, int]
    """As arrays, by split: the channels, and one byte for masks where there are any."""
    shards: int
    """Pieces a split."""

    def bytes(self, frames: Sequence[Frame]) -> int:
        """Bytes of all images in all of ``frames``, as arrays."""
        return sum(self.images[split] * self._bytes_an_image(frame, split) for frame in frames for split in self.images)

    def bytes_to_come(self, frames: Sequence[Frame], cache: Path) -> int:
        """Bytes, as arrays, of the pieces that are not in the folder ``cache`` yet; pieces of a split are about equal."""
        return round(
            sum(
                self.images[split] * self._missing(cache / frame.name, split) * self._bytes_an_image(frame, split)
                for frame in frames
                for split in self.images
            )
            / self.shards
        )

    def _bytes_an_image(self, frame: Frame, split: str) -> int:
        return frame.size[0] * frame.size[1] * self.bytes_a_pixel[split]

    def _missing(self, folder: Path, split: str) -> int:
        return sum(not (folder / f"{split}-{piece}" / RECORD).exists() for piece in range(self.shards))


def store_for(bytes_as_arrays: int, max_gb: float) -> str:
    """Kind of store: arrays, or PNGs where arrays would take more than ``max_gb``."""
    return "arrays" if bytes_as_arrays <= max_gb * GB else "png"


def refuse_full_disk(cache: Path, needed: float, written: int) -> None:
    """Raise where ``cache`` lies on a disk that is too small.

    Args:
        needed: bytes of all that is still to be made.
        written: bytes of it that are there already, unfinished.

    Raises:
        DataError: the disk is too small.
    """
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if needed - written > free:
        raise DataError(
            f"{cache}: what is still to be made of the cache takes some {_told(needed - written)}, {_told(free)} are free "
            "there. Make room, lower image_size_px, or set cache.max_gb to less than the cache takes as arrays: it is then "
            "kept as PNGs."
        )


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder, others of which may come and go."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _told(size: float) -> str:
    return f"{size / GB:,.1f} GB" if size >= GB else f"{size / 1e6:,.1f} MB"
