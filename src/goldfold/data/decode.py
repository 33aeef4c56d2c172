"""From a file to pixels, once."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.data.geometry import Roi, place

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
    content = data.tobytes()
    if content.startswith(b"\xff\xd8\xff"):
        return not content.endswith(b"\xff\xd9") and content.find(b"\xff\xd9", _start_of_scan(content)) < 0
    return content.startswith(b"\x89PNG\r\n\x1a\n") and not _has_end_chunk(content)


def _start_of_scan(content: bytes) -> int:
    """Where a JPEG's own pixels begin: an embedded thumbnail before that has an end marker too."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != 0xDA:
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return place


def _has_end_chunk(content: bytes) -> bool:
    """Whether a PNG's chunks go on to IEND; anything may follow it."""
    place = 8
    while place + 12 <= len(content):
        if content[place + 4 : place + 8] == b"IEND":
            return True
        place += 12 + int.from_bytes(content[place : place + 4], "big")
    return False


def resize(image: Image, size: tuple[int, int], mode: str, roi: Roi | None = None) -> Image:
    """Image, or a part of it, at ``size`` (height, width): ``squash`` it, ``pad`` it with black, or ``crop`` its middle."""
    placement = place((image.shape[0], image.shape[1]), size, mode, roi)
    return placement.into_frame(_scaled(placement.cut(image), *placement.inner))


def _scaled(image: Image, height: int, width: int) -> Image:
    if image.shape[:2] == (height, width):
        return image
    shrinks = image.shape[0] * image.shape[1] > height * width
    scaled = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return scaled.reshape(height, width, image.shape[2])
