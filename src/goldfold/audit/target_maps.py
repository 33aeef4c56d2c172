"""Positions of an image's targets on a coarse grid, to separate near copies from different states of one scene."""

from collections.abc import Callable, Sequence
from typing import Any
from zlib import crc32

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.targets.boxes import from_text
from goldfold.targets.masks import decode_mask

Map = NDArray[np.float32]
"""(channels, side, side), amount of boxes or classes per cell."""
SIDE, CHANNELS = 32, 4
"""Classes are hashed into four channels by name."""
MAX_CLASS_VALUES = 16
"""A mask with more values is taken to number objects."""
MIN_OVERLAP = 0.55
"""Overlap of two maps below which the targets differ; about one box of three in another place."""
CHUNK = 1024


def boxes_map(text: str, width: int, height: int) -> Map:
    """Map of boxes, each with the same weight.

    Args:
        text: as `goldfold.targets.boxes.to_text` writes it, in pixels of an image of ``width`` and ``height``.
    """
    labels, boxes = from_text(text)
    made = np.zeros((CHANNELS, SIDE, SIDE), np.float32)
    for label, (x1, y1, x2, y2) in zip(labels, boxes / [width, height, width, height] * SIDE, strict=True):
        across, down = _covered(x1, x2), _covered(y1, y2)
        total = across.sum() * down.sum()
        if total > 0:
            made[crc32(label.encode()) % CHANNELS] += np.outer(down, across) / total
    return _blurred(made)


def mask_map(path: str) -> Map:
    """Map of everything but background; objects of a mask that numbers them are merged.

    Args:
        path: as `goldfold.targets.masks.decode_mask` takes it.
    """
    mask = decode_mask(path)
    values = np.unique(mask[mask != 0])
    made = np.zeros((CHANNELS, SIDE, SIDE), np.float32)
    for value in values[:MAX_CLASS_VALUES] if len(values) <= MAX_CLASS_VALUES else [None]:
        own = (mask != 0) if value is None else mask == value
        made[0 if value is None else int(value) % CHANNELS] += cv2.resize(
            own.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA
        )
    return _blurred(made)


def maps_of(table: pd.DataFrame) -> "Callable[[int], Map | None] | None":
    """Function from a row to its map (None without a target); None if the table has neither boxes nor masks."""
    if "boxes" in table:
        cells = table[["boxes", "width", "height"]].to_numpy(object)
        return lambda row: None if pd.isna(cells[row][0]) else boxes_map(cells[row][0], *map(int, cells[row][1:]))
    if "mask_sha256" in table:
        paths = table["mask"].to_numpy(object)
        return lambda row: None if pd.isna(paths[row]) else mask_map(paths[row])
    return None


def differ(maps: Sequence[Map | None], pairs: NDArray[np.int64], mirrored: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(pairs,) True where both images have targets and these are in different places.

    Args:
        maps: map of each image, from `maps_of`.
        mirrored: (pairs,) 1 where the second image shows the first one's mirror.
    """
    found = np.zeros(len(pairs), dtype=bool)
    known = np.array([one is not None for one in maps], dtype=bool)
    rows = np.flatnonzero(known[pairs].all(axis=1))
    for part in np.array_split(rows, max(1, -(-len(rows) // CHUNK))):
        if not len(part):
            continue
        left, right = (np.stack([np.asarray(maps[row]) for row in pairs[part, side]]) for side in (0, 1))
        right = np.where((mirrored[part] == 1)[:, None, None, None], right[..., ::-1], right)
        shared, whole = np.minimum(left, right).sum(axis=(1, 2, 3)), np.maximum(left, right).sum(axis=(1, 2, 3))
        found[part] = shared < MIN_OVERLAP * whole
    return found


def _covered(start: float, end: float) -> NDArray[Any]:
    """(SIDE,) share of each cell between ``start`` and ``end``."""
    cells = np.arange(SIDE)
    return np.clip(np.minimum(end, cells + 1) - np.maximum(start, cells), 0, 1)


def _blurred(maps: Map) -> Map:
    """Blur maps over neighbouring cells, which tolerates a crop of 2 %."""
    return np.stack([cv2.blur(one, (3, 3), borderType=cv2.BORDER_CONSTANT) for one in maps])
