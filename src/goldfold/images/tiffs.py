"""Read TIFF files that OpenCV reads wrongly or not at all, by tifffile."""

import io
import lzma
import math
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.images import tiff_chain
from goldfold.images.pixels import Header, Image, Undecodable, readable

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
REDUCED_OR_MASK = 0b101
"""Bits of the tag NewSubfileType: a thumbnail of another page, or its mask."""
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, CMYK = 0, 1, 2, 3, 5
"""Values of the tag PhotometricInterpretation."""
UNPACKERS: dict[int, Any] = {8: zlib.decompressobj, 32946: zlib.decompressobj, 34925: lzma.LZMADecompressor}
ZSTD = frozenset({34926, 50000})
"""Values of the tag Compression."""
PLANES = 2
"""Value of the tag PlanarConfiguration."""
ALPHA = frozenset({1, 2})
"""Values of the tag ExtraSamples."""
ORIENTATION = 274
LARGEST = 65535


@dataclass(frozen=True)
class Layout:
    """Pages of a file, and whether OpenCV reads them correctly."""

    header: Header
    pages: list[Any]
    by_opencv: bool


def is_tiff(content: bytes) -> bool:
    """True for a TIFF, by its first bytes."""
    return content[:4] in SIGNATURES


def header(content: bytes) -> Header:
    """Header of a TIFF.

    Raises:
        Undecodable: it is damaged, or of a kind that goldfold does not read.
    """
    return _layout(content).header


def read(content: bytes, channels: int) -> tuple[Image | None, int]:
    """Upright pixels as stored (height, width, bands), or None if OpenCV reads them correctly; and bits per channel.

    Raises:
        Undecodable: damaged, floating-point numbers, values outside 0 to 65535, a volume, pages that are not channels.
    """
    layout = _layout(content)
    if refusal := layout.header.refusal(channels):
        raise Undecodable(refusal)
    if layout.by_opencv:
        return None, layout.header.bits
    parts = [_page(page, content) for page in layout.pages]
    return _whole(np.concatenate(parts, axis=2)), layout.header.bits


def _layout(content: bytes) -> Layout:
    import tifffile

    tiff_chain.directories(content)  # tifffile would follow a cycle forever
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            pages = [page for page in file.pages if not page.subfiletype & REDUCED_OR_MASK] or list(file.pages[:1])
    except Exception as error:  # tifffile raises exceptions of any type on damaged files
        raise Undecodable(f"cannot be decoded: {error}") from error
    if not pages:
        raise Undecodable("cannot be decoded: it has no page")
    first = pages[0]
    if any(page.shape != first.shape or page.dtype != first.dtype for page in pages):
        raise Undecodable(f"has {len(pages)} pages of different sizes; save each as a separate file")
    if len(pages) > 1 and first.samplesperpixel > 1:
        raise Undecodable(f"has {len(pages)} colour pages; save each as a separate file")
    if first.dtype is not None and first.dtype.kind in "fc":
        raise Undecodable("pixels are floating-point numbers; save them as 8-bit or 16-bit integers")
    ends = (
        offset + n for page in pages for offset, n in zip(page.dataoffsets, page.databytecounts, strict=False) if n > 0
    )
    if max(ends, default=0) > len(content):
        raise Undecodable("file is truncated")
    return Layout(_header(pages), pages, _is_for_opencv(pages))


def _header(pages: list[Any]) -> Header:
    first, n = pages[0], len(pages)
    samples = int(first.samplesperpixel)
    is_deep = first.dtype is None or first.dtype.kind == "i" or first.dtype.itemsize > 1
    bits = 16 if is_deep else int(first.bitspersample)
    if n > 1:
        return Header("TIFF", n, bits, (n,))
    if (int(first.photometric), samples) in ((CMYK, 4), (PALETTE, 1)):
        return Header("TIFF", 3, bits, (1, 3))
    if int(first.photometric) == BLACK_IS_ZERO and samples > 2:
        return Header("TIFF", samples, bits, (samples,))
    return Header("TIFF", samples, bits, readable(samples, bool(ALPHA & set(map(int, first.extrasamples)))))


def _is_for_opencv(pages: list[Any]) -> bool:
    """True if OpenCV reads the pages correctly: one page of unsigned numbers, grey, palette or colour.

    OpenCV takes more bands for grey, or for colours with alpha, which it multiplies in; with 16 bits it does not invert
    white-is-zero images, and returns noise for colours in separate planes.
    """
    first = pages[0]
    if len(pages) > 1 or (first.dtype is not None and (first.dtype.kind not in "bu" or first.dtype.itemsize > 2)):
        return False
    photometric, samples = int(first.photometric), int(first.samplesperpixel)
    is_deep = first.dtype is None or first.dtype.itemsize > 1
    if samples == 1:
        return not (is_deep and photometric == WHITE_IS_ZERO)
    if samples == 3 and is_deep and int(first.planarconfig) == PLANES:
        return False
    return (samples == 3 and photometric != BLACK_IS_ZERO) or (samples == 4 and photometric == CMYK and not is_deep)


def _page(page: Any, content: bytes) -> NDArray[Any]:
    """Pixels of one page, upright: (height, width, bands)."""
    import tifffile

    _refuse_overfull(page, content)
    try:
        with tifffile.TiffFile(io.BytesIO(content)) as file:
            pixels = np.asarray(file.pages[page.index].asarray())
    except Exception as error:
        if "imagecodecs" in str(error):
            return _by_pillow(page, content)
        raise Undecodable(f"cannot be decoded: {error}") from error
    if page.axes not in ("YX", "YXS", "SYX"):
        raise Undecodable(f"is a volume (axes {page.axes}); save each slice as a separate file")
    pixels = pixels[..., None] if page.axes == "YX" else np.moveaxis(pixels, 0, 2) if page.axes == "SYX" else pixels
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * np.uint8(255)
    if int(page.photometric) == WHITE_IS_ZERO:
        pixels = np.iinfo(pixels.dtype).max - pixels
    tag = page.tags.get(ORIENTATION)
    return upright(pixels, 1 if tag is None else int(tag.value))


def _refuse_overfull(page: Any, content: bytes) -> None:
    """Refuse a strip or tile that decompresses to more than its pixels: tifffile would decompress all of it."""
    compression = int(page.compression)
    if compression in ZSTD:
        raise Undecodable("is compressed by ZSTD, which is not read; save it with another compression, or uncompressed")
    if compression not in UNPACKERS or page.dtype is None:
        return
    most = 2 * math.prod(page.chunks) * page.dtype.itemsize
    for start, n in zip(page.dataoffsets, page.databytecounts, strict=False):
        with suppress(zlib.error, lzma.LZMAError, EOFError):  # tifffile reports what is wrong with it
            if len(UNPACKERS[compression]().decompress(content[start : start + n], most + 1)) > most:
                raise Undecodable("cannot be decoded: a strip or tile decompresses to more than its pixels")


def _by_pillow(page: Any, content: bytes) -> NDArray[Any]:
    """Pixels of 8 bits in a compression that tifffile cannot read without imagecodecs."""
    from PIL import Image

    tag = page.tags.get(ORIENTATION)
    try:
        with Image.open(io.BytesIO(content)) as image:
            image.seek(page.index)
            pixels = np.asarray(image)
    except Exception:
        pixels = np.zeros(0)
    if pixels.ndim != 3 or pixels.shape[2] != page.samplesperpixel or (tag is not None and int(tag.value) != 1):
        raise Undecodable(
            f"is compressed by {page.compression.name}, which needs imagecodecs: pip install imagecodecs, or save it "
            f"uncompressed"
        )
    return pixels


def _whole(pixels: NDArray[Any]) -> Image:
    """8-bit integers unchanged, others as 16 bits."""
    if pixels.dtype in (np.uint8, np.uint16):
        return pixels
    low, high = int(pixels.min(initial=0)), int(pixels.max(initial=0))
    if low < 0 or high > LARGEST:
        raise Undecodable(f"has values from {low} to {high}; only 0 to {LARGEST} can be read")
    return pixels.astype(np.uint16)


def upright(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Rotate and mirror pixels (height, width, ...) by an EXIF orientation of 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = np.swapaxes(pixels, 0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
