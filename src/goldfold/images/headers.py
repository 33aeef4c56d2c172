"""Kind, channels and bits of a file, from its header."""

import io
import os
from pathlib import Path

from goldfold.base.regular import opened
from goldfold.images import dicom, tiffs
from goldfold.images.limits import any_size, content_of, refuse_many_pixels
from goldfold.images.pixels import Header, readable

PNG = b"\x89PNG\r\n\x1a\n"
BANDS = {"1": 1, "L": 1, "P": 3, "LA": 2, "PA": 2, "La": 2, "RGB": 3, "RGBA": 4, "RGBa": 4, "CMYK": 3, "YCbCr": 3}
"""Pillow's mode -> channels; CMYK and palettes are read as three colours."""
UNKNOWN = Header("", 0, 8, (1, 3))
"""Header of a format that Pillow does not know but OpenCV may read."""


def of(path: str | Path, content: bytes | None = None, most_pixels: int | None = None) -> Header:
    """Header of a file, from its ``content`` if that has been read already.

    Args:
        most_pixels: an image with more pixels is refused, see `goldfold.images.limits`; None for no limit.

    Raises:
        Undecodable: it is a TIFF or DICOM file of a kind that goldfold does not read.
        DataError: it is a DICOM file but pydicom is not installed.
    """
    from PIL import Image

    content = content_of(path) if content is None else content
    if most_pixels is not None:
        refuse_many_pixels(path, content, most_pixels)
    if tiffs.is_tiff(content):
        return tiffs.header(content)
    if dicom.is_dicom(path, content):
        return dicom.header(content)
    try:
        with any_size(), Image.open(io.BytesIO(content)) as image:
            mode, kind = image.mode, str(image.format)
    except Exception:  # Pillow raises exceptions of any type
        return UNKNOWN
    bands = BANDS.get(mode, 1)
    return Header(kind, bands, bits_of(content, mode), readable(bands, has_alpha=True))


def bits_of(content: bytes, mode: str = "") -> int:
    """Bits per channel of files other than TIFF and DICOM: Pillow silently converts colour images of 16 bits to 8."""
    if content.startswith(PNG):
        return content[24]
    return 1 if mode == "1" else 8


def is_deep(path: str | Path) -> bool:
    """True if a file is decoded to 16 bits; reads only its head, except for TIFF and DICOM files."""
    with opened(path) as stream:
        head = stream.read(132)
        if tiffs.is_tiff(head) or dicom.is_dicom(path, head):
            return of(path, head + stream.read()).bits > 8
    return head.startswith(PNG) and len(head) > 24 and head[24] > 8


def name_of(path: str | Path) -> str:
    """File name without its folders."""
    return os.path.basename(os.fspath(path))
