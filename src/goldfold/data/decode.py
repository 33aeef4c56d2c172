"""From a file to pixels, once."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""(height, width, channels), channels 1 (grey) or 3 (RGB)."""


class Undecodable(Exception):
    """The file is not an image that can be read; the text says why."""


def decode(path: str | Path, channels: int) -> Image:
    """Image of a file, turned upright by its EXIF entry, alpha dropped, 16 bit scaled to 8.

    Raises:
        Undecodable: empty, truncated or not an image.
    """
    data = np.fromfile(path, dtype=np.uint8)
    if not len(data):
        raise Undecodable("file is empty")
    if _truncated(data):
        raise Undecodable("file is truncated")
    try:
        image = cv2.imdecode(data, cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB)
    except cv2.error as error:
        raise Undecodable(f"cannot be decoded: {error.err}") from error
    if image is None:
        raise Undecodable("cannot be decoded as an image")
    return image.reshape(*image.shape[:2], channels)


def _truncated(data: NDArray[np.uint8]) -> bool:
    """Whether a JPEG or PNG ends before its end marker; OpenCV fills the rest with grey and says nothing."""
    head, tail = data[:8].tobytes(), data[-1024:].tobytes()
    if head.startswith(b"\xff\xd8\xff"):
        return b"\xff\xd9" not in tail
    return head.startswith(b"\x89PNG\r\n\x1a\n") and b"IEND" not in tail


def resize(image: Image, size: tuple[int, int], mode: str) -> Image:
    """Image at ``size`` (height, width): ``squash`` it, ``pad`` it with black, or ``crop`` its middle."""
    height, width = size
    if mode == "squash":
        return _scaled(image, height, width)
    ratios = height / image.shape[0], width / image.shape[1]
    ratio = min(ratios) if mode == "pad" else max(ratios)
    inner = _scaled(image, max(1, round(image.shape[0] * ratio)), max(1, round(image.shape[1] * ratio)))
    top, left = (height - inner.shape[0]) // 2, (width - inner.shape[1]) // 2
    if mode == "crop":
        return np.ascontiguousarray(inner[-top : -top + height, -left : -left + width])
    canvas = np.zeros((height, width, image.shape[2]), dtype=np.uint8)
    canvas[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return canvas


def _scaled(image: Image, height: int, width: int) -> Image:
    if image.shape[:2] == (height, width):
        return image
    shrinks = image.shape[0] * image.shape[1] > height * width
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return scaled.reshape(height, width, image.shape[2])
