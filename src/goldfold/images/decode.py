"""Decode image files to pixels, and resize."""

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.base.regular import fault
from goldfold.images import dicom, headers, stacks, tiffs
from goldfold.images.depth import as_type
from goldfold.images.geometry import INTERPOLATIONS, Roi, parts_of, place
from goldfold.images.limits import any_size, content_of
from goldfold.images.pixels import Image as Image
from goldfold.images.pixels import Undecodable as Undecodable
from goldfold.images.pixels import fitted

PLAIN = (1, 3)
"""Numbers of channels that every grey or colour image can be read as."""
AT_ONCE = 4
"""Largest number of channels that OpenCV resizes together."""


def decode(path: str | Path, channels: int) -> Image:
    """Decode a file or a stack of files, rotated by its EXIF orientation; 16 bits if it has more than 8.

    Args:
        path: a file, or several in the notation of `goldfold.images.stacks`, which share the channels evenly.
        channels: 1 is grey, 3 are RGB without alpha, 4 include alpha or a fourth band; other numbers are bands or pages
            of a TIFF, or of a stack.

    Raises:
        Undecodable: empty, truncated, not an image, with other channels, or (stack) a file is missing or of another size.
        DataError: it is a DICOM file but pydicom is not installed.
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
    """Decode a file or stack with its natural channels: RGB if possible; one channel per file of a stack.

    Raises:
        Undecodable, DataError: see `decode`.
    """
    return decode(path, natural(path))


def natural(path: str | Path) -> int:
    """Number of channels of `native`."""
    return len(stacks.files_of(path)) if stacks.is_stack(path) else headers.of(path).natural


def _plain(data: NDArray[np.uint8], channels: int, is_deep: bool) -> Image:
    """Decode as grey or RGB by OpenCV, which applies the EXIF orientation."""
    if is_deep and channels == 3:  # OpenCV 5.0 returns noise for a 16-bit TIFF read as RGB
        deep: Image = _by_opencv(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH).take([2, 1, 0], axis=2)
        return deep
    flags = cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR_RGB
    image = _by_opencv(data, flags | (cv2.IMREAD_ANYDEPTH if is_deep else 0))
    return image.reshape(*image.shape[:2], channels)


def _with_alpha(data: NDArray[np.uint8], content: bytes, path: str | Path, channels: int) -> Image:
    """Decode all channels of an image with alpha; OpenCV does not apply the orientation here."""
    from PIL import Image as Pillow

    if refusal := headers.of(path, content).refusal(channels):
        raise Undecodable(refusal)
    image = _by_opencv(data, cv2.IMREAD_UNCHANGED)
    if image.ndim != 3 or image.shape[2] != 4:
        raise Undecodable(f"has no alpha channel, but data.channels is {channels}")
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
        raise Undecodable(f"has {image.shape[2]} channels, but data.channels is {channels}")
    return fitted(image, channels)


def _stacked(files: list[str], channels: int) -> Image:
    """Concatenate the channels of all files."""
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
            raise Undecodable(f"channel file {name} has {sizes[0]}, {headers.name_of(files[0])} has {sizes[1]}")
        parts.append(part)
    dtype = max((part.dtype for part in parts), key=lambda kind: kind.itemsize)
    return np.concatenate([as_type(part, dtype) for part in parts], axis=2)


def _truncated(content: bytes) -> bool:
    """True if a JPEG or PNG ends before its end marker; OpenCV would silently fill the rest with grey."""
    if content.startswith(b"\xff\xd8\xff"):
        return not content.endswith(b"\xff\xd9") and content.find(b"\xff\xd9", _start_of_scan(content)) < 0
    return content.startswith(headers.PNG) and not _has_end_chunk(content)


def _start_of_scan(content: bytes) -> int:
    """Start of a JPEG's own pixels: an embedded thumbnail before it has an end marker too."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF and content[place + 1] != 0xDA:
        place += 2 + int.from_bytes(content[place + 2 : place + 4], "big")
    return place


def _has_end_chunk(content: bytes) -> bool:
    """True if a PNG's chunks reach IEND; anything may follow it."""
    place = 8
    while place + 12 <= len(content):
        if content[place + 4 : place + 8] == b"IEND":
            return True
        place += 12 + int.from_bytes(content[place : place + 4], "big")
    return False


def resize(image: Image, size: tuple[int, int], mode: str, roi: Roi | None = None) -> Image:
    """Resize an image, or its crop, to ``size`` (height, width): ``squash``, ``pad`` with black, or ``crop`` the middle; with an
    interpolation after it, see `goldfold.images.geometry.parts_of`."""
    placement = place((image.shape[0], image.shape[1]), size, mode, roi)
    height, width = placement.inner
    image = placement.cut(image)
    if image.shape[:2] == (height, width):
        return placement.into_frame(image)
    return placement.into_frame(interpolated(image, height, width, parts_of(mode)[1]))


def interpolated(image: Any, height: int, width: int, interpolation: str) -> Any:
    """Resize an image of any depth and number of channels.

    Args:
        interpolation: ``area`` averages areas where the image gets smaller, and is bicubic where it gets larger; the others
            are those of Pillow, which widens its filters where the image gets smaller.
    """
    if interpolation == INTERPOLATIONS[0]:
        shrinks = image.shape[0] * image.shape[1] > height * width
        return scaled(image, height, width, cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    from PIL import Image as Pillow

    way, top = Pillow.Resampling[interpolation.upper()], np.iinfo(image.dtype).max
    planes = [
        Pillow.fromarray(image[..., n].astype(np.float32)).resize((width, height), way) for n in range(image.shape[2])
    ]
    return np.stack([np.asarray(plane) for plane in planes], axis=2).round().clip(0, top).astype(image.dtype)


def scaled(image: Any, height: int, width: int, way: int) -> Any:
    """Resize an image with any number of channels, by one of OpenCV's interpolation modes."""
    if image.shape[2] <= AT_ONCE:
        return cv2.resize(image, (width, height), interpolation=way).reshape(height, width, image.shape[2])
    parts = [
        cv2.resize(np.ascontiguousarray(image[..., n : n + AT_ONCE]), (width, height), interpolation=way)
        for n in range(0, image.shape[2], AT_ONCE)
    ]
    return np.concatenate([part.reshape(height, width, -1) for part in parts], axis=2)
