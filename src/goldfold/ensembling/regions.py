"""Connected components of predicted masks: holes filled, small components removed, only the largest kept.

A component of a class is a region of its pixels joined at edges or corners (8-connected). A hole of a class is a region of
background pixels joined at edges (4-connected) that touches neither the border of the mask nor another class. Of each class,
holes are filled first, then components are removed; removed pixels become background. So the pixels of a class depend on the
mask and on the settings of this class alone. All areas are in pixels of the mask, which has the size of the image.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.targets.mask_coding import IGNORE

Channels = NDArray[np.uint8]
"""(height, width) channel of every pixel: 0 for the background, 1 for the first class, ..."""
Areas = NDArray[np.int32]


@dataclass(frozen=True)
class Setting:
    """Settings of one class; those by default change nothing."""

    smallest: int = 0
    """Components of fewer pixels are removed."""
    holes: int = 0
    """Holes of at most so many pixels are filled."""
    largest: bool = False
    """Whether only the largest component is kept."""

    def keeps(self, areas: Areas, corners: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return whether each component (n,) is kept; of equally large ones, the one whose box begins highest, then leftmost.

        Args:
            corners: (n, 2) left and top of the boxes.
        """
        kept = areas >= self.smallest
        if self.largest and len(areas) > 1:
            first = np.lexsort((corners[:, 0], corners[:, 1], -areas))[0]
            kept &= np.arange(len(areas)) == first
        return kept


@dataclass(frozen=True)
class Parts:
    """Components of one class with its holes filled, in the part of the mask that holds the class."""

    window: tuple[slice, slice]
    labels: NDArray[np.int32]
    """Number of the component of each pixel of the window, 0 outside the class."""
    areas: Areas
    """Pixels of the components 1, 2, ..."""
    corners: NDArray[np.int32]


class Regions:
    """Components of the classes of one mask, for any settings.

    Args:
        most: largest number of pixels of a hole that is ever filled.
    """

    def __init__(self, channels: Channels, most: int) -> None:
        self.channels = channels
        self.labels, self.areas, self.owners = _holes(channels, most)

    def n_filled(self, channel: int, holes: int) -> int:
        """Number of holes of a class of at most so many pixels."""
        return int(((self.owners == channel) & (self.areas <= holes)).sum())

    def parts(self, channel: int, holes: int) -> Parts | None:
        """Return the components of a class, with its holes of at most so many pixels filled; None without the class."""
        of_class = (self.channels == channel).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(of_class)
        if not width:
            return None
        window = slice(top, top + height), slice(left, left + width)
        of_class = of_class[window]
        if self.n_filled(channel, holes):
            filled = (self.owners == channel) & (self.areas <= holes)
            of_class = of_class | filled[self.labels[window]]
        _, labels, stats, _ = cv2.connectedComponentsWithStats(of_class, connectivity=8)
        return Parts(window, labels, stats[1:, cv2.CC_STAT_AREA], stats[1:, [cv2.CC_STAT_LEFT, cv2.CC_STAT_TOP]])


def _holes(channels: Channels, most: int) -> tuple[NDArray[np.int32], Areas, NDArray[np.uint8]]:
    """Return regions of the background (height, width), their areas, and the class around each; 0 for those that are no hole."""
    if not most:
        return np.zeros((0, 0), np.int32), np.zeros(1, np.int32), np.zeros(1, np.uint8)
    n, labels, stats, _ = cv2.connectedComponentsWithStats((channels == 0).astype(np.uint8), connectivity=4)
    left, top, width, height, areas = stats.T
    rows, columns = channels.shape
    is_inside = (left > 0) & (top > 0) & (left + width < columns) & (top + height < rows) & (areas <= most)
    is_inside[0] = False
    lowest, highest = np.full(n, IGNORE, np.uint8), np.zeros(n, np.uint8)
    if is_inside.any():
        inside = is_inside[labels]
        for own, beside in _neighbours():
            near = inside[own] & (channels[beside] != 0)
            of, classes = labels[own][near], channels[beside][near]
            np.minimum.at(lowest, of, classes)
            np.maximum.at(highest, of, classes)
    return labels, areas, np.where(is_inside & (lowest == highest), highest, 0).astype(np.uint8)


def _neighbours() -> list[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Slices of all pixels with a neighbour at an edge, and of these neighbours, in four directions."""
    every, first, last = slice(None), slice(None, -1), slice(1, None)
    pairs = [((first, every), (last, every)), ((every, first), (every, last))]
    return [*pairs, *((beside, own) for own, beside in pairs)]


def cleaned(channels: Channels, settings: Sequence[Setting]) -> Channels:
    """Return the mask with the components of each class cleaned; ``settings`` are of the classes 1, 2, ..."""
    if all(setting == Setting() for setting in settings):
        return channels
    found, made = Regions(channels, max(setting.holes for setting in settings)), np.zeros_like(channels)
    for channel, setting in enumerate(settings, start=1):
        if (parts := found.parts(channel, setting.holes)) is not None:
            kept = np.concatenate([[False], setting.keeps(parts.areas, parts.corners)])
            made[parts.window][kept[parts.labels]] = channel
    return made


def counts(channels: Channels, truth: Channels, n_classes: int, settings: Sequence[Setting]) -> NDArray[np.int32]:
    """Count the pixels of each class that are kept by each setting, (2, classes, settings): right ones and all with known truth.

    Args:
        truth: (height, width), with `IGNORE` where it is not known.
    """
    made = np.zeros((2, n_classes, len(settings)), np.int32)
    regions = Regions(channels, max(setting.holes for setting in settings))
    for channel in range(1, n_classes + 1):
        by_holes: dict[int, tuple[Parts, NDArray[np.int64]] | None] = {}
        for place, setting in enumerate(settings):
            n = regions.n_filled(channel, setting.holes)
            if n not in by_holes:
                by_holes[n] = _counted(regions.parts(channel, setting.holes), truth, channel)
            if (one := by_holes[n]) is not None:
                made[:, channel - 1, place] = one[1][:, setting.keeps(one[0].areas, one[0].corners)].sum(axis=1)
    return made


def _counted(parts: Parts | None, truth: Channels, channel: int) -> tuple[Parts, NDArray[np.int64]] | None:
    """Count the pixels of each component, (2, components): of the class in truth, and with known truth."""
    if parts is None:
        return None
    true, n = truth[parts.window], len(parts.areas) + 1
    found = [np.bincount(parts.labels[of], minlength=n)[1:] for of in (true == channel, true != IGNORE)]
    return parts, np.stack(found)
