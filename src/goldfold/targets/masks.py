"""Decoding, writing and resizing of masks."""

import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from goldfold.base.errors import DataError
from goldfold.base.files import atomic
from goldfold.base.regular import MOST_BYTES, fault
from goldfold.images import tiff_chain, tiffs
from goldfold.images.decode import Undecodable
from goldfold.images.files import SUFFIXES, files_below
from goldfold.images.geometry import Roi, place
from goldfold.images.limits import any_size, content_of, refuse_many_pixels, refuse_size
from goldfold.targets import class_files, colours, palettes, run_masks
from goldfold.targets.palettes import Palette

Mask = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32]
"""(height, width), one value per pixel; 32 bits if there are colours, see `goldfold.targets.colours`."""

COLOUR = frozenset({"LA", "PA", "RGB", "RGBA", "RGBX"})
LARGEST = 65535
MOST_COLOURS = 1024
"""Most colours of a mask, which has one per class; an image with more is a photograph, or was blurred by JPEG."""
TOO_MANY = "holds {} colours; a mask has one per class, in a lossless format"
BY_COLOUR = "colour:"
LOSSY = frozenset({".jpg", ".jpeg", ".jpe", ".jfif"})
SPREAD = {"L;2": 85, "L;4": 17}
"""Step between levels by Pillow's raw mode: it spreads the 4 or 16 levels of such files over 0 to 255."""


def by_colour(path: str) -> str:
    """Argument of `decode_mask` for a file with a palette that is read by colour."""
    return BY_COLOUR + path


def decode_mask(path: str | Path, most_pixels: int | None = None) -> Mask:
    """Pixel values of a mask as stored (index of a palette, number of a colour), turned upright by EXIF.

    Args:
        path: a file, or the result of `by_colour`; a folder with one file per object, merged as 255; run lengths, or the files
            of classes, as text.
        most_pixels: a file with more pixels is not decoded; None for no limit.

    Raises:
        Undecodable: empty, truncated, not an image, or not a mask of whole numbers from 0 to 65535.
    """
    if run_masks.is_text(str(path)):
        return decode_runs(str(path))
    if class_files.is_text(str(path)):
        return decode_classes(str(path), most_pixels)
    if Path(path).is_dir():
        return laid_over(object_masks(Path(path), most_pixels))
    mask, palette = decode_file(str(path).removeprefix(BY_COLOUR), most_pixels)
    return _coloured(mask, palette) if palette is not None and str(path).startswith(BY_COLOUR) else mask


def decode_file(path: str | Path, most_pixels: int | None) -> tuple[Mask, Palette | None]:
    """Pixel values (indices of a palette), and the palette."""
    content = content_of(path)
    if not content:
        raise Undecodable("file is empty")
    if tiffs.is_tiff(content):
        tiff_chain.directories(content)
        if most_pixels is not None:  # its tiles may be larger than the image
            refuse_many_pixels(path, content, most_pixels)
    try:
        with any_size(), Image.open(io.BytesIO(content)) as image:
            image.verify()  # detects a PNG truncated after its last pixel, before its end marker
        with any_size(), Image.open(io.BytesIO(content)) as image:
            if most_pixels is not None:
                refuse_size(image.width, image.height, most_pixels)
            _refuse_pages(image)
            _refuse_deep_colour(image, content)
            step = SPREAD.get(_raw_mode(image), 1)
            upright = ImageOps.exif_transpose(image)
            mask = _single_channel(np.asarray(upright), upright.mode)
            return (mask if step == 1 else mask // np.uint8(step)), palettes.of_image(image)
    except UnidentifiedImageError as error:
        raise Undecodable("cannot be decoded as an image") from error
    except Undecodable:
        raise
    except Exception as error:  # Pillow's decoders may raise anything: OSError, SyntaxError, struct.error, ...
        raise Undecodable(f"cannot be decoded: {error}") from error


def _coloured(indices: Mask, palette: Palette) -> Mask:
    """Numbers of the colours of a palette, in the smallest data type that fits."""
    mask = palettes.numbers(palette)[indices]
    return mask if mask.max(initial=0) >= colours.FIRST else mask.astype(np.uint8)


def decode_runs(text: str) -> Mask:
    """Decode run lengths, see `goldfold.targets.run_masks`.

    Raises:
        Undecodable: they are not well formed.
    """
    try:
        return run_masks.decode(text)
    except DataError as error:
        raise Undecodable(str(error).rstrip(".")) from error


def decode_classes(text: str, most_pixels: int | None = None) -> Mask:
    """Merge the files of classes, see `goldfold.targets.class_files`: numbers of classes, or bits if these may overlap.

    Raises:
        Undecodable: a file cannot be decoded, sizes differ, a class has no file, or two classes claim a pixel that may have one.
    """
    known = class_files.parsed(text)
    if known.lacking:
        raise Undecodable(f"there is no file of class {known.lacking!r} (see data.absent_class)")
    parts = [(int(number), class_mask(path, most_pixels)) for number, path in known.files.items()]
    shape = parts[0][1].shape
    merged, unknown = np.zeros(shape, np.uint32), np.zeros(shape, np.bool_)
    for (number, part), path in zip(parts, known.files.values(), strict=True):
        if part.shape != shape:
            raise Undecodable(f"{path} has another size than the files before it")
        is_ignored = np.isin(part, known.ignored)
        is_class, unknown = (part != 0) & ~is_ignored, unknown | is_ignored
        if not known.overlap and (both := is_class & (merged > 0)).any():
            other = known.files[str(int(merged[both][0]))]
            raise Undecodable(
                f"{int(both.sum())} pixels are in both {other} and {path}; if classes may overlap, set data.overlap: true"
            )
        merged[is_class] |= np.uint32(1 << (number - 1) if known.overlap else number)
    merged[unknown] = known.unknown
    return run_masks.smallest(merged)


def class_mask(path: str, most_pixels: int | None) -> Mask:
    """Return the mask of one class, not 0 in the class.

    Raises:
        Undecodable: it cannot be decoded; the text names the file.
    """
    try:
        mask = _object(path, most_pixels)
        if Path(path).suffix.lower() in LOSSY and (n := len(values_in(mask))) > 2:
            raise Undecodable(f"is a JPEG with {n} values, as lossy compression makes of two; save it as PNG with two")
        return mask
    except Undecodable as error:
        raise Undecodable(f"{path} {error}") from error


def laid_over(parts: Iterable[Mask]) -> Mask:
    """Merge masks: 255 where any of them is not 0."""
    union: NDArray[np.bool_] | None = None
    for part in parts:
        union = part != 0 if union is None else union | (part != 0)
    if union is None:
        raise Undecodable("the folder holds no image")
    return union.astype(np.uint8) * np.uint8(255)


def object_masks(folder: Path, most_pixels: int | None) -> Iterator[Mask]:
    """The masks of a folder with one file per object, which must all have the same size."""
    shape: tuple[int, ...] = ()
    for name in mask_files(folder):
        try:
            part = _object(name, most_pixels)
        except Undecodable as error:
            raise Undecodable(f"{Path(name).name} {error}") from error
        if shape and part.shape != shape:
            raise Undecodable(f"{Path(name).name} has another size than the files before it")
        shape = part.shape
        yield part


def _object(path: str, most_pixels: int | None) -> Mask:
    """The mask of one object; a palette is read by colour."""
    mask, palette = decode_file(path, most_pixels)
    if palette is None:
        return mask
    coloured = _coloured(mask, palette)
    if palettes.numbers(palette).max() < colours.FIRST:
        is_doubtful = mask.any() and not coloured.any()
    else:
        is_doubtful = ((mask != 0) != (coloured != 0)).any()
    if is_doubtful:
        raise Undecodable("has a palette whose background is not both entry 0 and black; save it as grey, 0 and 255")
    return coloured


def mask_files(path: str | Path) -> list[str]:
    """Files of a mask; empty if it is missing or text."""
    if run_masks.is_text(str(path)):
        return []
    if class_files.is_text(str(path)):
        return class_files.files_of(str(path))
    if Path(path).is_dir():
        return [str(Path(path) / name) for name in files_below(Path(path), SUFFIXES)]
    return [str(path)] if not fault(path, MOST_BYTES) else []


def write_mask(path: str | Path, mask: NDArray[np.integer[Any]]) -> None:
    """Write a mask as PNG: one channel with 8 bits if its values allow it, else 16; or (height, width, 3) colours."""
    pixels = mask.astype(np.uint8 if int(mask.max(initial=0)) <= 255 else np.uint16)
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def resize_mask(mask: Mask, size: tuple[int, int], mode: str, fill: int = 0, roi: Roi | None = None) -> Mask:
    """Resize a mask, or a part of it, to ``size`` (height, width), as `goldfold.images.decode.resize` does with the image.

    Values are not mixed.

    Args:
        fill: value of padding.
    """
    placement = place((mask.shape[0], mask.shape[1]), size, mode, roi)
    height, width = placement.inner
    scaled = placement.cut(mask)
    if scaled.shape != placement.inner:
        known = scaled.view(np.int32) if mask.dtype == np.uint32 else scaled  # OpenCV does not support unsigned 32 bits
        scaled = cv2.resize(known, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).view(mask.dtype)
    return placement.into_frame(scaled, fill)


def values_in(mask: Mask) -> dict[int, int]:
    """Number of pixels by value, in ascending order of values.

    Raises:
        Undecodable: there are too many colours for a mask.
    """
    if mask.dtype != np.uint32:
        counts = np.bincount(mask.ravel())
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    values, numbers = np.unique(mask, return_counts=True)
    if len(values) > MOST_COLOURS:
        raise Undecodable(TOO_MANY.format(len(values)))
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def _refuse_pages(image: Image.Image) -> None:
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        raise Undecodable(f"holds {pages} images, a mask is one")


def _refuse_deep_colour(image: Image.Image, content: bytes) -> None:
    """Refuse PNGs with 16 bits and colours or alpha, which Pillow silently reduces to 8 bits."""
    if image.format == "PNG" and content[24] == 16 and content[25] != 0:
        raise Undecodable("a 16-bit image with colour or alpha, single-channel masks are needed")


def _refuse_alpha_alone(channels: NDArray[Any], alpha: NDArray[Any]) -> None:
    """Refuse a mask stored only in alpha, which is ignored, so that the mask would be read as empty."""
    if (alpha != alpha.flat[0]).any() and (channels == channels[0, 0]).all():
        raise Undecodable("is of one colour, and only its alpha differs; save the alpha as a grey image")


def _raw_mode(image: Image.Image) -> str:
    """Pillow's raw mode, by which pixels are packed in the file."""
    tiles: Any = getattr(image, "tile", [])
    args = tiles[0][3] if tiles else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _single_channel(pixels: NDArray[Any], mode: str) -> Mask:
    """Values of decoded pixels of a Pillow mode in a single channel."""
    if mode in COLOUR:
        channels = pixels[..., : 3 if mode.startswith("RGB") else 1]
        if mode in ("LA", "RGBA"):
            _refuse_alpha_alone(channels, pixels[..., -1])
        differ = (channels != channels[..., :1]).any()
        return colours.numbers_of(channels) if differ else channels[..., 0]
    if mode in ("1", "L", "P"):
        return pixels.astype(np.uint8)
    if mode == "I" or mode.startswith("I;16"):
        low, high = int(pixels.min()), int(pixels.max())
        if low < 0 or high > LARGEST:
            raise Undecodable(f"holds the value {low if low < 0 else high}, masks go from 0 to {LARGEST}")
        return pixels.astype(np.uint16)
    raise Undecodable(f"an image of mode {mode}, single-channel masks of whole numbers are needed")
