"""Limit the number of pixels by the header: 32,000 x 32,000 of one colour fit into 100 kB but decode to 6 GB."""

import io
import struct
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from goldfold.base.regular import Unreadable, read_bytes
from goldfold.images import dicom, tiff_chain, tiffs
from goldfold.images.pixels import Undecodable

ICONS = (b"\0\0\1\0", b"icns")
"""Signatures of icon files, which Pillow decodes on opening, before their size is known."""
MOST_PIXELS = 200_000_000
"""Default of the config's ``data.max_pixels``: the size of photographs of the largest phone cameras."""
CHANNELS = 4
"""Number of channels beyond which the limit of pixels is lowered in proportion."""
PNG, GIF, BMP, JPEG = b"\x89PNG\r\n\x1a\n", b"GIF8", b"BM", b"\xff\xd8\xff"
FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""JPEG markers that hold the image's size."""


def content_of(path: str | Path) -> bytes:
    """Bytes of an image or mask file.

    Raises:
        Undecodable: it is not a regular file, or too large to be read.
        OSError: it is missing, or cannot be read.
    """
    try:
        content = read_bytes(path)
    except Unreadable as error:
        raise Undecodable(str(error)) from error
    if content.startswith(ICONS):
        raise Undecodable("is an icon, which goldfold does not read")
    return content


def refuse_many_pixels(path: str | Path, content: bytes, most: int) -> None:
    """Check the size in the header, before anything is decoded.

    Raises:
        Undecodable: the image has more than ``most`` pixels, its size cannot be found, or it is damaged.
        DataError: it is a DICOM file but pydicom is not installed.
    """
    if not content:
        raise Undecodable("file is empty")
    for width, height, channels in _sizes(path, content):
        refuse_size(width, height, most, channels)


def refuse_size(width: int, height: int, most: int, channels: int = 1) -> None:
    """Refuse an image of more than ``most`` pixels.

    Raises:
        Undecodable: it has more.
    """
    if width * height * max(channels / CHANNELS, 1) > most:
        of = f" of {channels} channels" if channels > CHANNELS else ""
        raise Undecodable(
            f"has {width:,} x {height:,} pixels{of}, more than data.max_pixels ({most:,}); make it smaller, or raise the limit"
        )


def at_most(pixels: int) -> int:
    """Limit for masks of images of at most ``pixels``, rounded up to few values, since scans are cached per limit."""
    return max(MOST_PIXELS, 1 << pixels.bit_length())


@contextmanager
def any_size() -> Iterator[None]:
    """Within the block, Pillow opens images of any size without a warning; goldfold checks the size itself."""
    from PIL import Image

    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _sizes(path: str | Path, content: bytes) -> list[tuple[int, int, int]]:
    """Width, height and channels; for a TIFF those of each page, where pages of equal size count as channels."""
    from PIL import Image

    if tiffs.is_tiff(content):
        pages = tiff_chain.directories(content)
        alike = Counter((page.width, page.height) for page in pages)
        return [(page.width, page.height, max(page.samples, alike[page.width, page.height])) for page in pages]
    if dicom.is_dicom(path, content):
        return [dicom.size(content)]
    try:
        with any_size(), Image.open(io.BytesIO(content)) as image:
            return [(*image.size, 1)]
    except Exception:  # Pillow raises exceptions of any type; OpenCV may still read the file
        return [(*_written_size(content), 1)]


def _written_size(content: bytes) -> tuple[int, int]:
    """Width and height from the fixed positions of common formats."""
    try:
        if content.startswith(PNG):
            return struct.unpack_from(">II", content, 16)
        if content.startswith(GIF):
            return struct.unpack_from("<HH", content, 6)
        if content.startswith(BMP):
            width, height = struct.unpack_from("<ii", content, 18)
            return abs(width), abs(height)
        if content.startswith(JPEG):
            return _jpeg_size(content)
    except struct.error as error:
        raise Undecodable("file is truncated") from error
    raise Undecodable("cannot be decoded as an image")


def _jpeg_size(content: bytes) -> tuple[int, int]:
    place = 2
    while content[place : place + 1] == b"\xff":
        marker, length = struct.unpack_from(">xBH", content, place)
        if marker in FRAMES:
            height, width = struct.unpack_from(">HH", content, place + 5)
            return width, height
        place += 2 + length
    raise Undecodable("cannot be decoded as an image")
