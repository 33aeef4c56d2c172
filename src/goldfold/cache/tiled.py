"""Images at their own size, or a multiple of it, from the tiles of the cache: whole or in parts, by id."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from goldfold.base.counter import counter
from goldfold.base.native import scale_of
from goldfold.cache import tiles
from goldfold.cache.images import CachedImages
from goldfold.cache.stores import open_rows
from goldfold.cache.tiles import Box
from goldfold.images import depth
from goldfold.images.geometry import Roi, roi_of
from goldfold.tables import read_table


class Place(NamedTuple):
    """Place of an image in the cache."""

    shard: int
    first: int
    """Row of its first tile."""
    size: tuple[int, int]
    """Height and width as stored."""
    roi: str


class TiledImages:
    """Images by id from the shards of one or more splits, and their masks if any, in parts of any place and size."""

    n_views, max_images = 1, None
    cases: Mapping[str, Sequence[str | None]] = {}

    def __init__(
        self, folders: Sequence[str | Path], window: tuple[int, int], scale_16bit: depth.Rule = depth.DEFAULT
    ) -> None:
        """``window``: height and width of the network's input."""
        self.scale_16bit, self.frame = scale_16bit, window
        self.arrays = [open_rows(Path(folder) / "images.npy") for folder in folders]
        self.masks = [open_rows(path) if (path := Path(folder) / "masks.npy").exists() else None for folder in folders]
        self.places: dict[str, Place] = {}
        self._levels: dict[str, depth.Levels] = {}
        for shard, folder in enumerate(folders):
            table, first = read_table(Path(folder) / "ids.csv"), 0
            rois = table["roi"] if "roi" in table else [""] * len(table)
            for id, height, width, roi in zip(table["id"], table["height"], table["width"], rois, strict=True):
                size = int(height), int(width)
                self.places[id] = Place(shard, first, size, roi)
                first += int(np.prod(tiles.n_tiles(size)))

    def size(self, id: str) -> tuple[int, int]:
        """Height and width of an image as stored."""
        return self.places[id].size

    def roi(self, id: str) -> Roi | None:
        """Crop of the image; None for the whole image."""
        return roi_of(self.places[id].roi)

    def lacking(self, ids: Iterable[str]) -> str | None:
        """First case that lacks an image for some view; None, as each has one image."""
        return None

    def part(self, id: str, box: Box) -> NDArray[np.uint8]:
        """Part of an image, (height, width, channels) uint8, black beyond the image."""
        return depth.with_levels(self._read(id, box), self._levels_of(id))

    def mask(self, id: str) -> NDArray[Any]:
        """The image's mask, (height, width), values as stored."""
        return self.mask_part(id, (0, 0, *self.size(id)))

    def mask_part(self, id: str, box: Box) -> NDArray[Any]:
        """Part of the image's mask, within the image."""
        place = self.places[id]
        masks = self.masks[place.shard]
        if masks is None or not masks.shape[0]:
            raise KeyError(f"there is no mask of {id!r} in the cache")
        return tiles.read(masks, place.first, place.size, box)

    def case_batch(self, ids: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """One window of each image, whose place depends on its id alone; see `goldfold.cache.images.batch_of_cases`.

        They represent the images where each counts once, such as for statistics of batch normalisation.
        """
        drawn = (np.random.default_rng(counter(id, "window")) for id in ids)
        boxes = [drawn_box(self.size(id), self.frame, generator) for id, generator in zip(ids, drawn, strict=True)]
        seen = [self.part(id, box) for id, box in zip(ids, boxes, strict=True)]
        return np.stack(seen)[:, None], np.ones((len(ids), 1), bool)

    def _read(self, id: str, box: Box) -> NDArray[Any]:
        place = self.places[id]
        rows = self.arrays[place.shard]
        return tiles.padded(lambda inner: tiles.read(rows, place.first, place.size, inner), place.size, box)

    def _levels_of(self, id: str) -> depth.Levels:
        """Black and white of an image of 16 bits, found once from all of its pixels."""
        if id not in self._levels:
            if self._read(id, (0, 0, 1, 1)).dtype == np.uint8:
                return []
            self._levels[id] = depth.levels(self._read(id, (0, 0, *self.size(id))), self.scale_16bit)
        return self._levels[id]


def drawn_box(size: tuple[int, int], window: tuple[int, int], generator: np.random.Generator) -> Box:
    """Draw a window anywhere in an image; one larger than the image anywhere around it."""
    starts = [
        int(generator.integers(min(0, a - b), max(0, a - b), endpoint=True)) for a, b in zip(size, window, strict=True)
    ]
    return starts[0], starts[1], starts[0] + window[0], starts[1] + window[1]


def opened(
    folders: Sequence[str | Path],
    size: Sequence[int],
    resize: str,
    scale_16bit: depth.Rule = depth.DEFAULT,
    max_images: int | None = None,
) -> Any:
    """Open the cached images of a network: `TiledImages` where it takes windows, else `CachedImages`.

    Args:
        size: height and width of the network's input.
        resize: how images were resized, see `goldfold.images.geometry.place`.
        max_images: most images of a case.
    """
    if scale_of(resize) is None:
        return CachedImages(folders, scale_16bit, max_images)
    return TiledImages(folders, (int(size[0]), int(size[1])), scale_16bit)
