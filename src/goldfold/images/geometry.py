"""Map pixels and boxes between an image, or its crop, and a network's frame."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError, unknown
from goldfold.base.native import NATIVE, scale_of

if TYPE_CHECKING:
    import pandas as pd

MODES = ("squash", "pad", "crop")
INTERPOLATIONS = ("area", "bilinear", "bicubic", "lanczos")
"""Ways to compute pixels; the first is meant where none is named."""
Roi = tuple[int, int, int, int]
"""x1, y1, x2, y2 of an image's crop, in its pixels; x2 and y2 are exclusive."""


@dataclass(frozen=True)
class Placement:
    """A crop scaled to ``inner`` (height, width), with its top left corner at (``top``, ``left``) of a frame.

    ``top`` and ``left`` are negative if the scaled crop is larger than the frame.
    """

    original: tuple[int, int]
    """Height and width of the image in pixels."""
    frame: tuple[int, int]
    """Height and width of the frame in pixels."""
    inner: tuple[int, int]
    top: int
    left: int
    roi: Roi
    """The crop; the whole image if nothing is cut off."""

    def to_frame(self, boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Map boxes (n, 4) x1, y1, x2, y2 from the image to the frame; they may extend beyond it."""
        return (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) - self._corner()) * self._scale() + self._shift()

    def to_original(self, boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Map boxes (n, 4) x1, y1, x2, y2 from the frame to the image, clipped to the crop."""
        turned = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) - self._shift()) / self._scale() + self._corner()
        x1, y1, x2, y2 = self.roi
        return turned.clip([x1, y1, x1, y1], [x2, y2, x2, y2])

    def cut(self, image: NDArray[Any]) -> NDArray[Any]:
        """Crop (height, width, ...) of the whole image; a view."""
        x1, y1, x2, y2 = self.roi
        return image[y1:y2, x1:x2]

    def put_back(self, part: NDArray[Any], fill: int = 0) -> NDArray[Any]:
        """Whole image (height, width, ...) with the crop in its place, and ``fill`` around it."""
        if part.shape[:2] == self.original:
            return part
        canvas = np.full((*self.original, *part.shape[2:]), fill, dtype=part.dtype)
        self.cut(canvas)[:] = part
        return canvas

    @property
    def part(self) -> tuple[int, int]:
        """Height and width of the crop in pixels of the image."""
        return self.roi[3] - self.roi[1], self.roi[2] - self.roi[0]

    def _scale(self) -> NDArray[np.float64]:
        y, x = self.inner[0] / self.part[0], self.inner[1] / self.part[1]
        return np.array([x, y, x, y])

    def _corner(self) -> NDArray[np.float64]:
        return np.array([self.roi[0], self.roi[1]] * 2, dtype=np.float64)

    def _shift(self) -> NDArray[np.float64]:
        return np.array([self.left, self.top, self.left, self.top], dtype=np.float64)

    def into_frame(self, inner: NDArray[Any], fill: int = 0) -> NDArray[Any]:
        """Put the scaled crop (height, width, ...) into its frame, with ``fill`` around it."""
        if self.inner == self.frame:
            return inner
        canvas = np.full((*self.frame, *inner.shape[2:]), fill, dtype=inner.dtype)
        _paste(inner, canvas, self.top, self.left)
        return canvas

    def out_of_frame(self, framed: NDArray[Any], fill: int = 0) -> NDArray[Any]:
        """Take the scaled crop (height, width, ...) out of its frame; parts outside the frame are ``fill``."""
        canvas = np.full((*self.inner, *framed.shape[2:]), fill, dtype=framed.dtype)
        _paste(framed, canvas, -self.top, -self.left)
        return canvas


def parts_of(resize: str) -> tuple[str, str]:
    """Mode and interpolation of a way to resize: a mode, or a mode and an interpolation with a hyphen between them.

    >>> parts_of("squash"), parts_of("pad-bicubic")
    (('squash', 'area'), ('pad', 'bicubic'))

    Raises:
        ConfigError: unknown mode or interpolation.
    """
    mode, _, interpolation = resize.partition("-")
    if mode == NATIVE:
        return mode, INTERPOLATIONS[0]
    if mode not in MODES:
        raise unknown("resize mode", mode, MODES)
    if interpolation and interpolation not in INTERPOLATIONS:
        raise unknown("interpolation", interpolation, INTERPOLATIONS)
    return mode, interpolation or INTERPOLATIONS[0]


def place(original: tuple[int, int], frame: tuple[int, int], mode: str, roi: Roi | None = None) -> Placement:
    """Placement of an image of ``original`` (height, width), or its crop, in ``frame``.

    Args:
        mode: ``squash``: fill the frame, ignoring the aspect ratio; ``pad``: show everything, centred; ``crop``: fill the
            frame with the middle; an interpolation that follows has no influence, see `parts_of`. ``native`` has no frame, see
            `goldfold.base.native`.
        roi: the crop; None for the whole image.
    """
    part = roi or (0, 0, original[1], original[0])
    size = part[3] - part[1], part[2] - part[0]
    if (scale := scale_of(mode)) is not None:
        own = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
        return Placement(original, own, own, 0, 0, part)
    mode, _ = parts_of(mode)
    if mode == "squash":
        return Placement(original, frame, frame, 0, 0, part)
    ratios = frame[0] / size[0], frame[1] / size[1]
    ratio = min(ratios) if mode == "pad" else max(ratios)
    height, width = max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))
    return Placement(original, frame, (height, width), (frame[0] - height) // 2, (frame[1] - width) // 2, part)


def placements(table: "pd.DataFrame", frame: tuple[int, int], mode: str) -> list[Placement]:
    """Placement of each image, from the columns height, width and, if images are cropped, roi."""
    rois = [roi_of(text) for text in table["roi"]] if "roi" in table else [None] * len(table)
    sizes = zip(table["height"].astype(int), table["width"].astype(int), strict=True)
    return [place((height, width), frame, mode, roi) for (height, width), roi in zip(sizes, rois, strict=True)]


def roi_of(text: str) -> Roi | None:
    """Parse a table's ``x1 y1 x2 y2``; None for an empty text, which means the whole image.

    Raises:
        DataError: the text is something else.
    """
    if not text:
        return None
    numbers = text.split()
    if len(numbers) != 4 or not all(number.isdigit() for number in numbers):
        raise DataError(f"roi: {text[:60]!r} is not a box. Write x1 y1 x2 y2 in whole pixels, or nothing.")
    x1, y1, x2, y2 = map(int, numbers)
    if x1 >= x2 or y1 >= y2:
        raise DataError(f"roi: {text!r} has no area. Write x1 y1 x2 y2 in whole pixels, or nothing.")
    return x1, y1, x2, y2


def roi_to_text(roi: Roi | None) -> str:
    """Inverse of `roi_of`."""
    return "" if roi is None else " ".join(map(str, roi))


def _paste(source: NDArray[Any], target: NDArray[Any], top: int, left: int) -> None:
    """Copy the part of ``source`` that overlaps ``target`` when its corner is at (``top``, ``left``)."""
    height = min(source.shape[0] + min(top, 0), target.shape[0] - max(top, 0))
    width = min(source.shape[1] + min(left, 0), target.shape[1] - max(left, 0))
    y, x = max(-top, 0), max(-left, 0)
    into = np.s_[max(top, 0) : max(top, 0) + height, max(left, 0) : max(left, 0) + width]
    target[into] = source[y : y + height, x : x + width]
