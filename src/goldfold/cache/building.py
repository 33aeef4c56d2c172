"""One piece of cache, at one size or several: each file is decoded once, and a build that was stopped goes on."""

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
from goldfold.cache.stores import WRITERS, Writer, encode
from goldfold.images import depth
from goldfold.images.cases import CASE, VIEW
from goldfold.images.decode import Image, Undecodable, decode, resize
from goldfold.images.geometry import Roi, roi_of
from goldfold.targets.masks import Mask, decode_mask, resize_mask

KEPT = ("id", "sha256", "roi", CASE, VIEW)
"""Columns that say, beside the pixels, what they were made of."""
SAVE_SECONDS = 30.0
PROGRESS = "progress.json"
READ_BYTES = 1 << 20
SAMPLE = 16
"""Images that are encoded to estimate how large all will be."""


@dataclass(frozen=True)
class Frame:
    """One size of the cache: height and width in pixels, and how images are put into it."""

    size: tuple[int, int]
    mode: str

    @classmethod
    def of(cls, spec: str) -> "Frame":
        """The frame that a folder of the cache is named after, such as ``224x224-squash``."""
        size, mode = spec.split("-")
        height, width = size.split("x")
        return cls((int(height), int(width)), mode)

    @property
    def name(self) -> str:
        """``224x224-squash``."""
        return f"{self.size[0]}x{self.size[1]}-{self.mode}"


@dataclass(frozen=True)
class Contents:
    """What a piece of cache is made from: a table of images, and all that decides its bytes besides the frame."""

    table: pd.DataFrame
    """Columns id, path and sha256, mask and mask_depth where masks are learnt from, and roi where images are cut."""
    channels: int
    store: str = "arrays"
    """One of `goldfold.cache.stores.WRITERS`."""
    code: str = ""
    """Digest of code and libraries: what others began is not gone on with."""

    @cached_property
    def paths(self) -> list[str]:
        """Paths of images."""
        return list(self.table["path"])

    @cached_property
    def masks(self) -> list[str]:
        """Paths of masks; none where the images have none."""
        paths = list(self.table["mask"]) if "mask" in self.table else []
        return paths if any(paths) else []  # test and unlabeled images have none

    @cached_property
    def rois(self) -> list[Roi | None]:
        """The part of each image that is cut out; None for all of it."""
        texts = self.table["roi"] if "roi" in self.table else [""] * len(self.table)
        return [roi_of(text) for text in texts]

    @cached_property
    def dtype(self) -> "np.dtype[Any]":
        """Type of the images' pixels: uint16 where any of them has more than 8 bits."""
        return depth.widest(self.table["path"])

    @property
    def mask_dtype(self) -> "np.dtype[Any]":
        """Type of the masks' pixels."""
        return np.dtype(f"uint{pd.to_numeric(self.table['mask_depth']).max():.0f}" if self.masks else np.uint8)

    def digest(self) -> str:
        """Digest of all that decides the pixels and how they are kept."""
        facts = [self.table.to_csv(index=False), self.channels, self.store, self.code, self.dtype.str]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


class Piece:
    """The unfinished files of one frame, in a folder of their own, and how many of their rows are known to be whole."""

    def __init__(self, contents: Contents, frame: Frame, folder: Path) -> None:
        """What was begun of other contents in ``folder`` is dropped."""
        self.contents, self.frame, self.folder = contents, frame, folder
        self.digest, self.n = contents.digest(), len(contents.table)
        self.rows, self.checked = _begun(folder, self.digest)
        if not self.rows:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        writer = WRITERS[contents.store]
        self.writers: list[Writer] = [
            writer(folder / "images.npy", (self.n, *frame.size, contents.channels), contents.dtype, self.rows)
        ]
        if "mask" in contents.table:
            n, done = (self.n, self.rows) if contents.masks else (0, 0)
            self.writers.append(writer(folder / "masks.npy", (n, *frame.size), contents.mask_dtype, done))

    def append(self, image: Image, mask: Mask | None) -> None:
        """Add the next row."""
        self.writers[0].append(image)
        if mask is not None:
            self.writers[1].append(mask)
        self.rows += 1

    def save(self) -> None:
        """From here on a build that is stopped goes on after these rows."""
        for writer in self.writers:
            writer.save()
        for path in self.folder.iterdir():
            if path.name != PROGRESS:
                self.checked[path.name] = _checked(path, path.stat().st_size, *self.checked.get(path.name, (0, 0)))
        progress = {"made_from": self.digest, "rows": self.rows, "checked": self.checked}
        write_json(self.folder / PROGRESS, sealed(progress))

    def finish(self, out: Path) -> None:
        """Move the files to where they are read, and forget the progress."""
        for writer in self.writers:
            writer.finish()
        out.mkdir(parents=True, exist_ok=True)
        for path in self.folder.glob("*.npy"):
            shutil.move(path, out / path.name)
        write_text(
            out / "ids.csv",
            self.contents.table[[name for name in KEPT if name in self.contents.table]].to_csv(index=False),
        )
        shutil.rmtree(self.folder)


def build_piece(
    contents: Contents,
    frame: Frame,
    folder: Path,
    work: Path,
    others: Sequence[Frame] = (),
    save_seconds: float = SAVE_SECONDS,
) -> dict[str, Any]:
    """Write the cached images of ``contents`` into ``folder``, and those of ``others``, made on the way, into ``work``.

    - ``images.npy``: (n, height, width, channels) uint8, or uint16 where any has more than 8 bits; or encoded: see
      `goldfold.cache.stores`
    - ``masks.npy``, where there is a column ``mask``: (n, height, width) pixel values as they are on disk, 0 beyond;
      empty where the images have no masks
    - ``ids.csv``: id, sha256, and roi where images are cut

    Returns:
        ``decoded``: number of files that were decoded; ``taken_over``: number of rows that a build before this one left,
        for this frame or when it was one of the others.

    Raises:
        DataError: an image or a mask can no longer be read. What was made before is gone on from the next time.
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
    """Add to each piece the rows that it lacks; return how many files were decoded.

    ``image`` is held until the next one is there: where it is freed before, the C library gives its memory back to the
    system and asks for it again, image after image, which was measured to cost a fifth of all time.
    """
    n, saved = len(contents.table), time.monotonic()
    start = min(piece.rows for piece in pieces)
    for row in range(start, n):
        image, mask = _decoded(contents, row)
        for piece in pieces:
            if piece.rows == row:
                piece.append(*_framed(image, mask, contents.rois[row], piece.frame, contents.dtype))
        if time.monotonic() - saved >= save_seconds:
            for piece in pieces:
                piece.save()
            saved = time.monotonic()
    return n - start


def _decoded(contents: Contents, row: int) -> tuple[Image, Mask | None]:
    """An image and its mask from their files, before they are put into a frame."""
    image = _read(contents.paths[row], lambda path: decode(path, contents.channels))
    if image.dtype.itemsize > contents.dtype.itemsize:
        raise DataError(f"{contents.paths[row]}: has 16 bits a channel now; run again to look anew.")
    mask = _read(contents.masks[row], decode_mask) if contents.masks else None
    return image, mask


def _framed(
    image: Image, mask: Mask | None, roi: Roi | None, frame: Frame, dtype: "np.dtype[Any]"
) -> tuple[Image, Mask | None]:
    """From what was decoded to what is cached, cut out and resized: an image and its mask go through the same steps."""
    size, mode = frame.size, frame.mode
    framed = depth.as_type(resize(image, size, mode, roi), dtype)
    return framed, None if mask is None else resize_mask(mask, size, mode, roi=roi)


def _read(path: str, read: Callable[[str], NDArray[Any]]) -> NDArray[Any]:
    try:
        return read(path)
    except (OSError, Undecodable) as error:
        raise DataError(f"{path}: {error}. It was sound when the manifest was made; run again to look anew.") from error


def share_of_png(contents: Contents, frame: Frame) -> float:
    """Bytes of PNGs for one byte of pixels, by some images of ``contents``; 1 where there are none."""
    n = len(contents.table)
    rows = range(0, n, max(1, n // SAMPLE))[:SAMPLE]
    images = [_framed(*_decoded(contents, row), contents.rois[row], frame, contents.dtype)[0] for row in rows]
    return sum(len(encode(image)) for image in images) / sum(image.nbytes for image in images) if images else 1.0


def _begun(folder: Path, digest: str) -> tuple[int, dict[str, tuple[int, int]]]:
    """Rows that an earlier build of the same contents left in ``folder``, and size and checksum of its files by name.

    None where a file is not what was saved.
    """
    try:
        progress = read_json(folder / PROGRESS)
        checked = {name: (int(size), int(checksum)) for name, (size, checksum) in progress["checked"].items()}
        is_whole = all(_checked(folder / name, size) == (size, checksum) for name, (size, checksum) in checked.items())
        rows = int(progress["rows"]) if is_whole and is_intact(progress) and progress["made_from"] == digest else 0
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        rows = 0
    return (rows, checked) if rows else (0, {})


def _checked(path: Path, size: int, start: int = 0, checksum: int = 0) -> tuple[int, int]:
    """Size and CRC-32 of the first ``size`` bytes of a file, of which the first ``start`` are known by their checksum."""
    with open(path, "rb") as stream:
        stream.seek(start)
        while chunk := stream.read(min(READ_BYTES, size - start)):
            start, checksum = start + len(chunk), crc32(chunk, checksum)
    return start, checksum
