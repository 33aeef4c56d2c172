"""Where an image lies in a network's frame, for pixels and for boxes, there and back."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.runtime.errors import unknown

MODES = ("squash", "pad", "crop")


@dataclass(frozen=True)
class Placement:
    """An image scaled to ``inner`` (height, width) whose top left corner is put at (``top``, ``left``) of a frame.

    ``top`` and ``left`` are negative where the frame cuts the scaled image.
    """

    original: tuple[int, int]
    """Height and width of the image in pixels."""
    frame: tuple[int, int]
    """Height and width of the frame in pixels."""
    inner: tuple[int, int]
    top: int
    left: int

    def to_frame(self, boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Boxes (n, 4) x1, y1, x2, y2 of the image in the frame; they may reach outside it where it cuts the image."""
        return np.asarray(boxes, dtype=np.float64).reshape(-1, 4) * self._scale() + self._shift()

    def to_original(self, boxes: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Boxes (n, 4) x1, y1, x2, y2 of the frame in the image, cut at its borders."""
        turned = (np.asarray(boxes, dtype=np.float64).reshape(-1, 4) - self._shift()) / self._scale()
        height, width = self.original
        return turned.clip(0, [width, height, width, height])

    def _scale(self) -> NDArray[np.float64]:
        y, x = self.inner[0] / self.original[0], self.inner[1] / self.original[1]
        return np.array([x, y, x, y])

    def _shift(self) -> NDArray[np.float64]:
        return np.array([self.left, self.top, self.left, self.top], dtype=np.float64)

    def into_frame(self, inner: NDArray[Any], fill: int = 0) -> NDArray[Any]:
        """The scaled image (height, width, ...) in its frame; what it does not cover is ``fill``."""
        if self.inner == self.frame:
            return inner
        canvas = np.full((*self.frame, *inner.shape[2:]), fill, dtype=inner.dtype)
        _paste(inner, canvas, self.top, self.left)
        return canvas

    def out_of_frame(self, framed: NDArray[Any], fill: int = 0) -> NDArray[Any]:
        """The scaled image (height, width, ...) cut out of its frame; what the frame does not hold is ``fill``."""
        canvas = np.full((*self.inner, *framed.shape[2:]), fill, dtype=framed.dtype)
        _paste(framed, canvas, -self.top, -self.left)
        return canvas


def place(original: tuple[int, int], frame: tuple[int, int], mode: str) -> Placement:
    """How an image of ``original`` (height, width) is put into ``frame``.

    Args:
        mode: ``squash`` to the frame, whatever the shape; ``pad``: the whole image, in the middle; ``crop``: its middle,
            so that the frame is filled.
    """
    if mode not in MODES:
        raise unknown("resize mode", mode, MODES)
    if mode == "squash":
        return Placement(original, frame, frame, 0, 0)
    ratios = frame[0] / original[0], frame[1] / original[1]
    ratio = min(ratios) if mode == "pad" else max(ratios)
    height, width = max(1, round(original[0] * ratio)), max(1, round(original[1] * ratio))
    return Placement(original, frame, (height, width), (frame[0] - height) // 2, (frame[1] - width) // 2)


def _paste(source: NDArray[Any], target: NDArray[Any], top: int, left: int) -> None:
    """Copy the part of ``source`` that falls into ``target`` when its corner is at (``top``, ``left``)."""
    height = min(source.shape[0] + min(top, 0), target.shape[0] - max(top, 0))
    width = min(source.shape[1] + min(left, 0), target.shape[1] - max(left, 0))
    y, x = max(-top, 0), max(-left, 0)
    into = np.s_[max(top, 0) : max(top, 0) + height, max(left, 0) : max(left, 0) + width]
    target[into] = source[y : y + height, x : x + width]
