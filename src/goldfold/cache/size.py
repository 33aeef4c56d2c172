"""Size of the whole cache from counts and sizes: chooses the store, and checks the free disk space."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.cache.building import Frame

GB = 10**9
RECORD = "run.json"


@dataclass(frozen=True)
class Whole:
    """The whole cache of a config, as known before anything is decoded."""

    images: Mapping[str, int]
    """Number of images by split."""
    bytes_per_pixel: Mapping[str, int]
    """Bytes per pixel as arrays, by split: one per channel, and one for masks if any."""
    shards: int
    """Shards per split."""
    pixels: Mapping[str, float] = field(default_factory=dict)
    """Name of a frame -> pixels per image, where images keep their own size."""

    def bytes(self, frames: Sequence[Frame]) -> int:
        """Bytes of all images in all of ``frames``, as arrays."""
        return round(
            sum(self.images[split] * self._bytes_per_image(frame, split) for frame in frames for split in self.images)
        )

    def bytes_to_come(self, frames: Sequence[Frame], cache: Path) -> int:
        """Bytes, as arrays, of the shards not yet in the folder ``cache``; shards of a split are about equal in size."""
        return round(
            sum(
                self.images[split] * self._missing(cache / frame.name, split) * self._bytes_per_image(frame, split)
                for frame in frames
                for split in self.images
            )
            / self.shards
        )

    def _bytes_per_image(self, frame: Frame, split: str) -> float:
        return self.pixels.get(frame.name, frame.size[0] * frame.size[1]) * self.bytes_per_pixel[split]

    def _missing(self, folder: Path, split: str) -> int:
        return sum(not (folder / f"{split}-{piece}" / RECORD).exists() for piece in range(self.shards))


def store_for(bytes_as_arrays: int, max_gb: float) -> str:
    """Kind of store: arrays, or PNGs if arrays would take more than ``max_gb``."""
    return "arrays" if bytes_as_arrays <= max_gb * GB else "png"


def refuse_full_disk(cache: Path, needed: float, written: int) -> None:
    """Raise if the disk of ``cache`` is too small.

    Args:
        needed: bytes still to be made.
        written: bytes of these that exist already, unfinished.

    Raises:
        DataError: the disk is too small.
    """
    cache.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache).free
    if needed - written > free:
        raise DataError(
            f"{cache}: the rest of the cache needs about {_in_words(needed - written)}, but only {_in_words(free)} are free "
            "there. Make room, lower image_size_px, or set cache.max_gb to less than the cache takes as arrays: it is then "
            "stored as PNGs."
        )


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder, which may change meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):
            total += path.stat().st_size if path.is_file() else 0
    return total


def _in_words(size: float) -> str:
    return f"{size / GB:,.1f} GB" if size >= GB else f"{size / 1e6:,.1f} MB"
