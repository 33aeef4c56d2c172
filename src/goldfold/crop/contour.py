"""Crops to the region that stands out from its background: threshold, opening, largest connected component."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.crop.fit import Found
from goldfold.images.decode import native, scaled
from goldfold.images.looking import Seen, look_at

SIDE_PX = 256
"""Longest side at which the region is searched; specks of one or two pixels vanish there."""
MEDIAN_PX = 5
OPENING = 0.028
"""Thickness, as a share of the longest side, up to which a structure is removed: strokes of text, lines, hair."""
BORDER_DEPTH, BORDER_LIT = 0.15, 0.9
"""A scanner's bright border: largest distance of its lines from the edge, and smallest lit share of their length."""
MAX_RIM_GROWTH = 2.5
"""Largest growth factor of a region by its dim rim; beyond it, the region has merged with something else."""
MIN_CONTRAST = 0.04
"""Smallest range of levels, as a share of the brightest; with less, nothing stands out."""
TRIES = 4
NOTHING, SMALL, FULL = "nothing stands out", "what stands out is too small", "what stands out fills the image"


class Region(NamedTuple):
    """x1, y1, x2, y2 as shares of the image, and the share of its pixels."""

    box: tuple[float, float, float, float]
    share: float


def find(
    tables: Mapping[str, pd.DataFrame],
    workers: int,
    threshold: str | float = "otsu",
    shows: str = "bright",
    least_share: float = 0.02,
    most_share: float = 0.95,
) -> dict[str, list[Found]]:
    """Box of the region in each image, in pixels; see `goldfold.config.roi.ContourRoi` for the settings."""
    looker = partial(look, threshold=threshold, shows=shows, least_share=least_share)
    seen = look_at((path for table in tables.values() for path in table["path"]), looker, workers)
    return {
        split: [
            judged(seen[row["path"]][1], int(row["width"]), int(row["height"]), most_share)
            for row in table[["path", "width", "height"]].to_dict("records")
        ]
        for split, table in tables.items()
    }


def judged(seen: Seen, width: int, height: int, most_share: float) -> Found:
    """Box in pixels from the result of `look`; None if it is a larger share of the image than ``most_share``."""
    if isinstance(seen[0], str):
        return None, seen[0]
    x1, y1, x2, y2 = seen
    if (x2 - x1) * (y2 - y1) > most_share:
        return None, FULL
    return (x1 * width, y1 * height, x2 * width, y2 * height), ""


def look(path: str, threshold: str | float, shows: str, least_share: float) -> Seen:
    """Box of the region of one file, as shares; or the reason why there is none."""
    found = region(native(path), threshold, shows, least_share)
    return [found] if isinstance(found, str) else [round(side, 6) for side in found.box]


def region(
    image: NDArray[Any], threshold: str | float = "otsu", shows: str = "bright", least_share: float = 0.02
) -> Region | str:
    """Largest connected region brighter (or darker) than its background; or the reason why there is none.

    If the first threshold leaves too little (a burnt-in label is brighter than everything else), levels above it are
    clipped to it and a lower threshold is found.

    Args:
        image: (height, width) or (height, width, channels) uint8 or uint16, channels averaged, scaled by its own range.
        threshold: ``otsu`` or a share of the range.
    """
    levels = _levels(image)
    if levels is None:
        return NOTHING
    levels = 1 - levels if shows == "dark" else levels
    # Square root: dim parts of a region are many times brighter than the background but far darker than the brightest.
    grey = cv2.medianBlur(np.round(255 * np.sqrt(levels)).astype(np.uint8), MEDIAN_PX)
    if threshold != "otsu":
        fixed = _largest(grey > 255 * float(threshold) ** 0.5)
        return SMALL if fixed is None or fixed.share < least_share else fixed.region(grey.shape)
    for _ in range(TRIES):
        level = _otsu(grey)
        found = _largest(grey > level)
        if found is not None and found.share >= least_share:
            return _with_dim_rim(grey, level, found).region(grey.shape)
        grey = np.minimum(grey, np.uint8(level))
    return SMALL


def _levels(image: NDArray[Any]) -> NDArray[np.float64] | None:
    """The image in grey, reduced, scaled to 0..1 by its own range; None if it has almost no contrast."""
    longest = max(image.shape[:2])
    height, width = (max(1, round(side * min(1.0, SIDE_PX / longest))) for side in image.shape[:2])
    small = scaled(image.reshape(*image.shape[:2], -1), height, width, cv2.INTER_AREA)
    grey = np.asarray(small, dtype=np.float64).reshape(height, width, -1).mean(axis=2)
    low, high = float(grey.min()), float(grey.max())
    if high - low <= MIN_CONTRAST * high:
        return None
    return (grey - low) / (high - low)


def _otsu(grey: NDArray[np.uint8]) -> float:
    level, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(level)


def _with_dim_rim(grey: NDArray[np.uint8], level: float, found: "Part") -> "Part":
    """Extend the region down to half way between background and threshold, unless it merges with something else.

    In mammograms, a threshold between glands and background is above the level of skin.
    """
    ground = grey[grey <= level].astype(np.float64)
    middle = float(np.median(ground))
    noise = float(np.median(np.abs(ground - middle))) / 0.6745  # the standard deviation of normal noise
    wide = _largest(grey > max((middle + level) / 2, middle + 4 * noise), found.pixels)
    return found if wide is None or wide.share > MAX_RIM_GROWTH * found.share else wide


class Part(NamedTuple):
    """A component: its pixels (height, width) in the reduced image, its box there, and its share."""

    pixels: NDArray[np.bool_]
    box: tuple[int, int, int, int]
    share: float

    def region(self, shape: tuple[int, ...]) -> Region:
        """The box as shares of the image."""
        x1, y1, x2, y2 = self.box
        height, width = shape
        return Region((x1 / width, y1 / height, x2 / width, y2 / height), self.share)


def _largest(lit: NDArray[np.bool_], of: NDArray[np.bool_] | None = None) -> Part | None:
    """Largest component after borders and thin structures are removed, or the one that overlaps ``of`` most."""
    height, width = lit.shape
    edges = _borders(lit)
    left, top, right, bottom = edges
    inner = lit[top : height - bottom, left : width - right].astype(np.uint8)
    thickness = max(3, round(OPENING * max(height, width)) | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (thickness, thickness))
    # Replicate the border, otherwise the opening would round off corners of regions that touch it.
    pad = thickness
    around = cv2.copyMakeBorder(inner, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
    opened = cv2.morphologyEx(around, cv2.MORPH_OPEN, kernel)[pad:-pad, pad:-pad]
    whole = np.zeros(lit.shape, np.uint8)
    whole[top : height - bottom, left : width - right] = opened
    number, parts, facts, _ = cv2.connectedComponentsWithStats(whole, connectivity=8)
    sizes = facts[:, cv2.CC_STAT_AREA] if of is None else np.bincount(parts[of], minlength=number)
    if number < 2 or not sizes[1:].any():
        return None
    chosen = 1 + int(np.argmax(sizes[1:]))
    x, y, wide, high, area = facts[chosen].tolist()
    # Restore tips removed by the opening, and extend a region that touches a border over it.
    box = _grown((x, y, x + wide, y + high), edges, lit.shape, pad // 2 + 1)
    return Part(parts == chosen, box, area / lit.size)


def _borders(lit: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Width of the scan's bright border at the left, top, right and bottom."""
    found = []
    for lines in (lit.T, lit, lit.T[::-1], lit[::-1]):
        deepest = int(BORDER_DEPTH * len(lines))
        is_border = lines[:deepest].mean(axis=1) >= BORDER_LIT
        found.append(int(np.flatnonzero(is_border).max(initial=-1)) + 1)
    return found[0], found[1], found[2], found[3]


def _grown(box: Sequence[int], edges: Sequence[int], shape: Sequence[int], by: int) -> tuple[int, int, int, int]:
    """Enlarge a box by ``by`` pixels, and up to the edge of the image where it reaches a border."""
    height, width = shape
    left, top, right, bottom = edges
    x1, y1, x2, y2 = box[0] - by, box[1] - by, box[2] + by, box[3] + by
    return (
        0 if x1 <= left else x1,
        0 if y1 <= top else y1,
        width if x2 >= width - right else x2,
        height if y2 >= height - bottom else y2,
    )
