"""Build one shard of the cache, at one or several sizes: each file is decoded once, and an interrupted build resumes."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.base.files import is_intact, read_json, sealed, write_json, write_text
from goldfold.base.native import scale_of
from goldfold.cache import tiles
from goldfold.cache.stores import WRITERS, Writer
from goldfold.images import depth
from goldfold.images.cases import CASE, VIEW
from goldfold.images.decode import Image, Undecodable, decode, resize
from goldfold.images.geometry import Roi, roi_of
from goldfold.targets.masks import Mask, decode_mask, resize_mask

KEPT = ("id", "sha256", "roi", CASE, VIEW)
"""Columns stored next to the pixels."""
SIZE = ("height", "width")
"""Further columns: height and width as stored, of images at their own size."""
SAVE_SECONDS = 30.0
PROGRESS = "progress.json"
READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Frame:
    """One size of the cache: height and width in pixels, and the resize mode; of images at their own size that of a window."""

    size: tuple[int, int]
    mode: str

    @classmethod
    def of(cls, spec: str) -> "Frame":
        """Parse the name of a cache folder, such as ``224x224-squash``, ``224x224-pad-bicubic`` or ``native-0.5``."""
        if scale_of(spec) is not None:
            return cls((0, 0), spec)
        size, _, mode = spec.partition("-")
        height, width = size.split("x")
        return cls((int(height), int(width)), mode)

    @property
    def name(self) -> str:
        """``224x224-squash``, or ``native``."""
        return self.mode if self.is_native else f"{self.size[0]}x{self.size[1]}-{self.mode}"

    @property
    def is_native(self) -> bool:
        """Return whether images keep their own size, or a multiple of it, and are stored as tiles."""
        return scale_of(self.mode) is not None


@dataclass(frozen=True)
class Contents:
    """Inputs of a shard: a table of images, and everything that decides its bytes except the frame."""

    table: pd.DataFrame
    """Columns id, path and sha256; mask and mask_depth if masks are trained on; roi if images are cropped."""
    channels: int
    store: str = "arrays"
    """One of `goldfold.cache.stores.WRITERS`."""
    code: str = ""
    """Digest of code and libraries: an unfinished build of another version is not resumed."""

    @cached_property
    def paths(self) -> list[str]:
        """Paths of images."""
        return list(self.table["path"])

    @cached_property
    def masks(self) -> list[str]:
        """Paths of masks; empty if the images have none."""
        paths = list(self.table["mask"]) if "mask" in self.table else []
        return paths if any(paths) else []  # test and unlabeled images have none

    @cached_property
    def rois(self) -> list[Roi | None]:
        """Crop of each image; None for the whole image."""
        texts = self.table["roi"] if "roi" in self.table else [""] * len(self.table)
        return [roi_of(text) for text in texts]

    @cached_property
    def dtype(self) -> "np.dtype[Any]":
        """Type of the images' pixels: uint16 if any image has more than 8 bits."""
        return depth.widest(self.table["path"])

    @property
    def mask_dtype(self) -> "np.dtype[Any]":
        """Type of the masks' pixels."""
        return np.dtype(f"uint{pd.to_numeric(self.table['mask_depth']).max():.0f}" if self.masks else np.uint8)

    def digest(self) -> str:
        """Digest of everything that decides the pixels and their storage."""
        facts = [self.table.to_csv(index=False), self.channels, self.store, self.code, self.dtype.str]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


class Piece:
    """The unfinished files of one frame, in a folder of their own, and the number of their rows known to be complete."""

    def __init__(self, contents: Contents, frame: Frame, folder: Path) -> None:
        """Resume the build in ``folder``; if it is of other contents, delete it."""
        self.contents, self.frame, self.folder = contents, frame, folder
        self.digest, self.n = contents.digest(), len(contents.table)
        self.rows, self.checked, self.sizes = _begun(folder, self.digest)
        """``sizes``: height and width of each image so far, where these differ."""
        if not self.rows:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        writer, rows, shape = WRITERS[contents.store], (self.n, self.rows), frame.size
        if frame.is_native:
            shape = tiles.SIDE_PX, tiles.SIDE_PX
            rows = 0, sum(down * across for down, across in map(tiles.n_tiles, self.sizes))
        self.writers: list[Writer] = [
            writer(folder / "images.npy", (rows[0], *shape, contents.channels), contents.dtype, rows[1])
        ]
        if "mask" in contents.table:
            n, done = rows if contents.masks else (0, 0)
            self.writers.append(writer(folder / "masks.npy", (n, *shape), contents.mask_dtype, done))

    def append(self, image: Image, mask: Mask | None) -> None:
        """Add the next image."""
        for writer, pixels in zip(self.writers, (image, mask), strict=False):
            if pixels is not None:
                for row in tiles.cut(pixels) if self.frame.is_native else [pixels]:
                    writer.append(row)
        if self.frame.is_native:
            self.sizes.append((image.shape[0], image.shape[1]))
        self.rows += 1

    def save(self) -> None:
        """Make the rows so far durable; an interrupted build resumes after them."""
        for writer in self.writers:
            writer.save()
        for path in self.folder.iterdir():
            if path.name != PROGRESS:
                self.checked[path.name] = _checked(path, path.stat().st_size, *self.checked.get(path.name, (0, 0)))
        progress = {"made_from": self.digest, "rows": self.rows, "checked": self.checked}
        progress |= {"sizes": self.sizes} if self.frame.is_native else {}
        write_json(self.folder / PROGRESS, sealed(progress))

    def finish(self, out: Path) -> None:
        """Move the files to ``out``, and delete the progress."""
        for writer in self.writers:
            writer.finish()
        out.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob("*.npy"):
            shutil.move(path, out / path.name)
        table = self.contents.table[[name for name in KEPT if name in self.contents.table]]
        if self.frame.is_native:
            table = table.assign(**dict(zip(SIZE, np.array(self.sizes, int).reshape(-1, 2).T, strict=True)))
        write_text(out / "ids.csv", table.to_csv(index=False))
        shutil.rmtree(self.folder)


def build_piece(
    contents: Contents,
    frame: Frame,
    folder: Path,
    work: Path,
    others: Sequence[Frame] = (),
    save_seconds: float = SAVE_SECONDS,
) -> dict[str, Any]:
    """Write the cached images of ``contents`` into ``folder``; from the same decodes, those of ``others`` into ``work``.

    - ``images.npy``: (n, height, width, channels) uint8, or uint16 if any has more than 8 bits; or encoded, see
      `goldfold.cache.stores`
    - ``masks.npy``, if there is a column ``mask``: (n, height, width) pixel values as on disk, 0 in the padding; empty
      if the images have no masks
    - ``ids.csv``: id, sha256, and roi if images are cropped

    Of images at their own size, ``images.npy`` and ``masks.npy`` hold the tiles of `goldfold.cache.tiles`, one image after
    the other, and ``ids.csv`` has their height and width as stored.

    Returns:
        ``decoded``: number of files decoded; ``taken_over``: number of rows reused from an earlier build, which made
        them for this frame or as one of ``others``.

    Raises:
        DataError: an image or a mask can no longer be read. The next build resumes from the rows saved before.
    """
    pieces = [own := Piece(contents, frame, work / frame.name)]
    taken_over = own.rows
    if own.rows < own.n:
        pieces += [Piece(contents, other, work / other.name) for other in others if other != frame]
    decoded = _fill(contents, pieces, save_seconds)
    for piece in pieces[1:]:
        piece.save()
    own.finish(folder)
    return {"decoded": decoded, "taken_over": taken_over}


def _fill(contents: Contents, pieces: list[Piece], save_seconds: float) -> int:
    """Add the missing rows to each piece; return the number of files decoded.

    ``image`` is kept until the next one is decoded: if it were freed earlier, the C library would return its memory to
    the system and request it again per image, which was measured to take a fifth of the time.
    """
    n, saved = len(contents.table), time.monotonic()
    start = min(piece.rows for piece in pieces)
    for row in range(start, n):
        image, mask = decoded(contents, row)
        for piece in pieces:
            if piece.rows == row:
                piece.append(*framed_in(image, mask, contents.rois[row], piece.frame, contents.dtype))
        if time.monotonic() - saved >= save_seconds:
            for piece in pieces:
                piece.save()
            saved = time.monotonic()
    return n - start


def decoded(contents: Contents, row: int) -> tuple[Image, Mask | None]:
    """Decode an image and its mask, at their original size."""
    image = _read(contents.paths[row], lambda path: decode(path, contents.channels))
    if image.dtype.itemsize > contents.dtype.itemsize:
        raise DataError(f"{contents.paths[row]}: now has 16 bits per channel; run again to scan images again.")
    mask = _read(contents.masks[row], decode_mask) if contents.masks else None
    return image, mask


def framed_in(
    image: Image, mask: Mask | None, roi: Roi | None, frame: Frame, dtype: "np.dtype[Any]"
) -> tuple[Image, Mask | None]:
    """Crop and resize a decoded image and its mask in the same way."""
    size, mode = frame.size, frame.mode
    framed = depth.as_type(resize(image, size, mode, roi), dtype)
    return framed, None if mask is None else resize_mask(mask, size, mode, roi=roi)


def _read(path: str, read: Callable[[str], NDArray[Any]]) -> NDArray[Any]:
    try:
        return read(path)
    except (OSError, Undecodable) as error:
        raise DataError(
            f"{path}: {error}. It was readable when the manifest was made; run again to scan images again."
        ) from error


Begun = tuple[int, dict[str, tuple[int, int]], list[tuple[int, int]]]


def _begun(folder: Path, digest: str) -> Begun:
    """Images that an earlier build of the same contents left in ``folder``, its files (name -> size, checksum), and sizes.

    0 images if a file is not as it was saved.
    """
    try:
        progress = read_json(folder / PROGRESS)
        checked = {name: (int(size), int(checksum)) for name, (size, checksum) in progress["checked"].items()}
        sizes = [(int(height), int(width)) for height, width in progress.get("sizes", [])]
        is_whole = all(_checked(folder / name, size) == (size, checksum) for name, (size, checksum) in checked.items())
        rows = int(progress["rows"]) if is_whole and is_intact(progress) and progress["made_from"] == digest else 0
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return 0, {}, []
    return (rows, checked, sizes) if rows else (0, {}, [])


def _checked(path: Path, size: int, start: int = 0, checksum: int = 0) -> tuple[int, int]:
    """Size and CRC-32 of the first ``size`` bytes of a file, given the checksum of the first ``start``."""
    with open(path, "rb") as stream:
        stream.seek(start)
        while chunk := stream.read(min(READ_BYTES, size - start)):
            start, checksum = start + len(chunk), crc32(chunk, checksum)
    return start, checksum
