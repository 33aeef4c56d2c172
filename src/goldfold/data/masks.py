"""Masks: from a file to the values of its pixels, into a network's frame, and a look at all of them."""

import hashlib
import io
import json
import os
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from goldfold.data import colours, run_masks, tiff_chain, tiffs
from goldfold.data.decode import Undecodable
from goldfold.data.files import SUFFIXES, files_below
from goldfold.data.geometry import Roi, place
from goldfold.data.limits import MOST_PIXELS, any_size, content_of, refuse_size
from goldfold.data.looking import Seen, look_at, of_files
from goldfold.runtime.errors import DataError
from goldfold.runtime.files import atomic
from goldfold.runtime.regular import MOST_BYTES, fault

Mask = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.uint32]
"""(height, width), a value a pixel; of 32 bits where there are colours, see `goldfold.data.colours`."""

COLOUR = frozenset({"LA", "PA", "RGB", "RGBA", "RGBX"})
LARGEST = 65535
MOST_COLOURS = 1024
"""A mask has a colour a class; a picture with more of them is a photograph, or was blurred by JPEG."""
SPREAD = {"L;2": 85, "L;4": 17}
"""Pillow spreads the 4 or 16 levels of such files over 0 to 255; this is the step between them."""


def decode_mask(path: str | Path, most_pixels: int | None = None) -> Mask:
    """Pixel values of a mask as they are stored (of a palette the index, of colours their number), turned upright by its
    EXIF entry.

    Args:
        path: a file; a folder of files, one an object, which are laid over one another as 255; or run lengths as text.
        most_pixels: a file with more is not decoded; without it, one of any size is.

    Raises:
        Undecodable: empty, truncated, not an image, or not a mask of whole numbers from 0 to 65535.
    """
    if run_masks.is_text(str(path)):
        return _decode_runs(str(path))
    if Path(path).is_dir():
        return _laid_over(Path(path), most_pixels)
    content = content_of(path)
    if not content:
        raise Undecodable("file is empty")
    if tiffs.is_tiff(content):
        tiff_chain.directories(content)
    try:
        with any_size(), Image.open(io.BytesIO(content)) as image:
            image.verify()  # a PNG that ends after its last pixel, before its end marker, is truncated all the same
        with any_size(), Image.open(io.BytesIO(content)) as image:
            if most_pixels is not None:
                refuse_size(image.width, image.height, most_pixels)
            _refuse_pages(image)
            _refuse_deep_colour(image, content)
            step = SPREAD.get(_raw_mode(image), 1)
            upright = ImageOps.exif_transpose(image)
            mask = _single_channel(np.asarray(upright), upright.mode)
            return mask if step == 1 else mask // np.uint8(step)
    except UnidentifiedImageError as error:
        raise Undecodable("cannot be decoded as an image") from error
    except Undecodable:
        raise
    except Exception as error:  # Pillow's decoders raise whatever comes: OSError, SyntaxError, struct.error, ...
        raise Undecodable(f"cannot be decoded: {error}") from error


def _decode_runs(text: str) -> Mask:
    try:
        return run_masks.decode(text)
    except DataError as error:
        raise Undecodable(str(error).rstrip(".")) from error


def _laid_over(folder: Path, most_pixels: int | None) -> Mask:
    """255 where any file of a folder is not 0."""
    union: NDArray[np.bool_] | None = None
    for name in _parts(folder):
        try:
            part = decode_mask(name, most_pixels) != 0
        except Undecodable as error:
            raise Undecodable(f"{Path(name).name} {error}") from error
        if union is not None and part.shape != union.shape:
            raise Undecodable(f"{Path(name).name} is of another size than the files before it")
        union = part if union is None else union | part
    if union is None:
        raise Undecodable("the folder holds no picture")
    return union.astype(np.uint8) * np.uint8(255)


def _parts(path: str | Path) -> list[str]:
    """Files of a mask; none where it is missing or text."""
    if run_masks.is_text(str(path)):
        return []
    if Path(path).is_dir():
        return [str(Path(path) / name) for name in files_below(Path(path), SUFFIXES)]
    return [str(path)] if not fault(path, MOST_BYTES) else []


def write_mask(path: str | Path, mask: NDArray[np.integer[Any]]) -> None:
    """Write a mask as PNG of one channel, 8 bits where its values allow, else 16; or one of (height, width, 3) colours."""
    pixels = mask.astype(np.uint8 if int(mask.max(initial=0)) <= 255 else np.uint16)
    with atomic(path) as temporary:
        Image.fromarray(pixels).save(temporary, format="PNG")


def resize_mask(mask: Mask, size: tuple[int, int], mode: str, fill: int = 0, roi: Roi | None = None) -> Mask:
    """Mask, or a part of it, at ``size`` (height, width), as `goldfold.data.decode.resize` does it to the image.

    Values are not mixed.

    Args:
        fill: the value where the frame holds no image.
    """
    placement = place((mask.shape[0], mask.shape[1]), size, mode, roi)
    height, width = placement.inner
    scaled = placement.cut(mask)
    if scaled.shape != placement.inner:
        known = scaled.view(np.int32) if mask.dtype == np.uint32 else scaled  # OpenCV knows no unsigned 32 bits
        scaled = cv2.resize(known, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).view(mask.dtype)
    return placement.into_frame(scaled, fill)


def values_in(mask: Mask) -> dict[int, int]:
    """Value -> number of its pixels, smallest value first.

    Raises:
        Undecodable: there are more colours than a mask has.
    """
    if mask.dtype != np.uint32:
        counts = np.bincount(mask.ravel())
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    values, numbers = np.unique(mask, return_counts=True)
    if len(values) > MOST_COLOURS:
        raise Undecodable(f"holds {len(values)} colours; a mask has one a class, in a format without loss")
    return dict(zip(values.tolist(), numbers.tolist(), strict=True))


def scan(paths: Iterable[str], workers: int, most_pixels: int = MOST_PIXELS) -> pd.DataFrame:
    """Table with a row a path: ``path, sha256, height, width, values, reason``; a sound mask has an empty reason.

    ``values`` is JSON, value -> number of its pixels.

    Args:
        paths: what `decode_mask` takes.
        workers: processes that decode.
        most_pixels: a mask of more is not decoded, and is unsound.
    """
    names = sorted(set(paths))
    look_so = look if most_pixels <= MOST_PIXELS else partial(look, most_pixels=most_pixels)
    seen = look_at(names, look_so, workers, digests_of=_digests)
    rows = [
        (name, digest, *found)
        for name in names
        for digest, found in [seen.get(name) or ("", [0, 0, "{}", f"file is {fault(name, MOST_BYTES)}"])]
    ]
    return pd.DataFrame(rows, columns=["path", "sha256", "height", "width", "values", "reason"])


def look(path: str, most_pixels: int = MOST_PIXELS) -> Seen:
    """Height, width, values and what is wrong with one mask."""
    try:
        mask = decode_mask(path, most_pixels)
        return [mask.shape[0], mask.shape[1], json.dumps(values_in(mask), separators=(",", ":")), ""]
    except Undecodable as error:
        return [0, 0, "{}", str(error)]


def _digests(names: Iterable[str]) -> dict[str, str]:
    """sha256 of the bytes of a file, of a text, and of the names and digests of a folder's files."""
    parts = {
        name: _parts(name)
        for name in names
        if run_masks.is_text(name) or os.path.isdir(name) or not fault(name, MOST_BYTES)
    }
    of_part = of_files(part for found in parts.values() for part in found)
    digests = {}
    for name, found in parts.items():
        lines = (
            ["text", name]
            if run_masks.is_text(name)
            else [f"{Path(part).name} {of_part.get(part) or fault(part, MOST_BYTES)}" for part in found]
        )
        digests[name] = of_part[name] if found == [name] else hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return digests


def _refuse_pages(image: Image.Image) -> None:
    pages = getattr(image, "n_frames", 1)
    if pages > 1:
        raise Undecodable(f"holds {pages} pictures, a mask is one")


def _refuse_deep_colour(image: Image.Image, content: bytes) -> None:
    """Pillow halves the 16 bits of a PNG that has colours or alpha, and says nothing."""
    if image.format == "PNG" and content[24] == 16 and content[25] != 0:
        raise Undecodable("a 16-bit picture with colour or alpha, single-channel masks are needed")


def _raw_mode(image: Image.Image) -> str:
    """How the pixels of the file are packed."""
    tiles: Any = getattr(image, "tile", [])
    args = tiles[0][3] if tiles else ""
    return str(args[0] if isinstance(args, tuple) and args else args)


def _single_channel(pixels: NDArray[Any], mode: str) -> Mask:
    """The one channel of decoded pixels of a Pillow mode."""
    if mode in COLOUR:
        channels = pixels[..., : 3 if mode.startswith("RGB") else 1]
        differ = (channels != channels[..., :1]).any()
        return colours.numbers_of(channels) if differ else channels[..., 0]
    if mode in ("1", "L", "P"):
        return pixels.astype(np.uint8)
    if mode == "I" or mode.startswith("I;16"):
        low, high = int(pixels.min()), int(pixels.max())
        if low < 0 or high > LARGEST:
            raise Undecodable(f"holds the value {low if low < 0 else high}, masks go from 0 to {LARGEST}")
        return pixels.astype(np.uint16)
    raise Undecodable(f"a picture of mode {mode}, single-channel masks of whole numbers are needed")
