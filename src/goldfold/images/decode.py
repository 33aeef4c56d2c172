"""From a file to pixels, once."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.base.regular import fault
from goldfold.images import dicom, headers, stacks, tiffs
from goldfold.images.depth import as_type
from goldfold.images.geometry import Roi, place
from goldfold.images.limits import any_size, content_of
from goldfold.images.pixels import Image as Image
from goldfold.images.pixels import Undecodable as Undecodable
from goldfold.images.pixels import fitted

PLAIN = (1, 3)
"""Channels that every picture of grey or colours can be read as."""
AT_ONCE = 4
"""Channels that OpenCV resizes together."""


def decode(path: str | Path, channels: int) -> Image:
    """Image of a file or a stack of files, turned upright by its EXIF entry, 16 bits where it has more than 8.

    Args:
        path: a file, or several as `goldfold.images.stacks` writes them, which share the channels evenly.
        channels: 1 is grey, 3 are RGB without alpha; 4 take alpha, or a fourth band, for a channel; other numbers are
            bands or pages of a TIFF, or a stack's.

    Raises:
        Undecodable: empty, truncated, not an image, of other channels, or (stack) with a file missing or of another size.
        DataError: a DICOM file, and pydicom is not installed.
    """
    if stacks.is_stack(path):
        return _stacked(stacks.files_of(path), channels)
    content = content_of(path)
    if not content:
        raise Undecodable("file is empty")
    data = np.frombuffer(content, dtype=np.uint8)
    if dicom.is_dicom(path, content):
        return _as_asked(dicom.read(content), channels)
    is_deep = headers.bits_of(content) > 8 if content.startswith(headers.PNG) and len(content) > 24 else False
    if tiffs.is_tiff(content):
        image, bits = tiffs.read(content, channels)
        if image is not None:
            return fitted(image, channels)
        is_deep = bits > 8
    if _truncated(content):
        raise Undecodable("file is truncated")
    return _plain(data, channels, is_deep) if channels in PLAIN else _with_alpha(data, content, path, channels)


def native(path: str | Path) -> Image:
    """Image of a file or stack as it is by itself: RGB where it can be, of a stack a channel a file.

    Raises:
        Undecodable, DataError: as `decode` does.
    """
    return decode(path, natural(path))


def natural(path: str | Path) -> int:
    """Number of channels of that."""
    return len(stacks.files_of(path)) if stacks.is_stack(path) else headers.of(path).natural


def _plain(data: NDArray[np.uint8], channels: int, is_deep: bool) -> Image:
    """Grey or RGB, by OpenCV, which turns it upright."""
    if is_deep and channels == 3:  # OpenCV 5.0 gives noise for a TIFF of 16 bits that it is to give as RGB
        deep: Image = _by_opencv(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH).take([2, 1, 0], axis=2)
        return deep
    flags = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    image = _by_opencv(data, flags | (cv2.IMREAD_ANYDEPTH if is_deep else 0))
    return image.reshape(*image.shape[:2], channels)


def _with_alpha(data: NDArray[np.uint8], content: bytes, path: str | Path, channels: int) -> Image:
    """All channels of a picture with alpha; OpenCV does not turn what it reads so."""
    from PIL import Image as Pillow

    if refusal := headers.of(path, content).refusal(channels):
        raise Undecodable(refusal)
    image = _by_opencv(data, cv2.IMREAD_UNCHANGED)
    if image.ndim != 3 or image.shape[2] != 4:
        raise Undecodable(f"has no alpha channel, data.channels asks for {channels}")
    with any_size(), Pillow.open(io.BytesIO(content)) as opened:
        orientation = int(opened.getexif().get(tiffs.ORIENTATION, 1))
    return tiffs.upright(image[..., [2, 1, 0, 3] if channels == 4 else [0, 3]], orientation)


def _by_opencv(data: NDArray[np.uint8], flags: int) -> Image:
    try:
        image = cv2.imdecode(data, flags)
    except cv2.error as error:
        raise Undecodable(f"cannot be decoded: {error.err}") from error
    if image is None:
        raise Undecodable("cannot be decoded as an image")
    return image


def _as_asked(image: Image, channels: int) -> Image:
    if channels not in PLAIN:
        raise Undecodable(f"has {image.shape[2]} channels, data.channels asks for {channels}")
    return fitted(image, channels)


def _stacked(files: list[str], channels: int) -> Image:
    """Channels of all files, one file after the other."""
    if channels % len(files):
        raise Undecodable(f"{len(files)} files cannot share {channels} channels evenly")
    parts: list[Image] = []
    for file in files:
        name = headers.name_of(file)
        if reason := fault(file):
            raise Undecodable(f"channel file {name} is {reason}")
        try:
            part = decode(file, channels // len(files))
        except Undecodable as error:
            raise Undecodable(f"channel file {name} {error}") from error
        if parts and part.shape != parts[0].shape:
            sizes = [f"{one.shape[1]} x {one.shape[0]} pixels" for one in (part, parts[0])]
            raise Undecodable(f"channel file {name} is of {sizes[0]}, {headers.name_of(files[0])} of {sizes[1]}")
        parts.append(part)
    dtype = max((part.dtype for part in parts), key=lambda kind: kind.itemsize)
    return np.concatenate([as_type(part, dtype) for part in parts], axis=2)


def _truncated(content: bytes) -> bool:
    """Whether a JPEG or PNG ends before its end marker; OpenCV fills the rest with grey and says nothing."""
    if content.startswith(b"\xff\xd8\xff"):
        return not content.endswith(b"\xff\xd9") and content.find(b"\xff\xd9", _start_of_scan(content)) < 0
    return content.startswith(headers.PNG) and not _has_end_chunk(content)


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
    height, width = placement.inner
    image = placement.cut(image)
    if image.shape[:2] == (height, width):
        return placement.into_frame(image)
    shrinks = image.shape[0] * image.shape[1] > height * width
    return placement.into_frame(scaled(image, height, width, cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC))


def scaled(image: Any, height: int, width: int, way: int) -> Any:
    """Image of any number of channels at another size, by one of OpenCV's ways to interpolate."""
    if image.shape[2] <= AT_ONCE:
        return cv2.resize(image, (width, height), interpolation=way).reshape(height, width, image.shape[2])
    parts = [
        cv2.resize(np.ascontiguousarray(image[..., n : n + AT_ONCE]), (width, height), interpolation=way)
        for n in range(0, image.shape[2], AT_ONCE)
    ]
    return np.concatenate([part.reshape(height, width, -1) for part in parts], axis=2)
