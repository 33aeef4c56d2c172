"""Images from files as networks see them, without a cache: decoded once, at all requested sizes."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.regular import MOST_BYTES, fault
from goldfold.cache.building import Frame
from goldfold.cache.images import batch_of_cases
from goldfold.cache.tiles import Box, padded
from goldfold.crop.fresh import Finder
from goldfold.images import headers, stacks
from goldfold.images.cases import by_case, first_of_each
from goldfold.images.decode import Image, Undecodable, decode, resize
from goldfold.images.depth import DEFAULT, Rule, to_8_bits
from goldfold.images.geometry import roi_of, roi_to_text
from goldfold.images.limited import limited
from goldfold.images.limits import MOST_PIXELS

MOST_THREADS = 8


@dataclass(frozen=True)
class Reading:
    """Settings of the config's ``data`` that decide how a file is decoded."""

    channels: int
    scale_16bit: Rule = DEFAULT
    max_pixels: int = MOST_PIXELS

    def image(self, path: str) -> Image:
        """Decode a file, or a stack of files, as for training.

        Raises:
            Undecodable: it is not an image, too large, or has another number of channels; the text says which.
            DataError: it is a DICOM file but pydicom is not installed.
        """
        files = stacks.files_of(path)
        for file in files:
            if reason := fault(file, MOST_BYTES):
                raise Undecodable(f"file is {reason}")
            header = headers.of(file, most_pixels=self.max_pixels)
            if header.kind and self.channels // len(files) not in header.accepts:
                n = f"{header.bands} channel{'s' * (header.bands != 1)}"
                raise Undecodable(f"has {n}, but the networks were trained on {self.channels}")
        return decode(path, self.channels)


@dataclass(frozen=True)
class Framed:
    """Images of cases by id, at one size."""

    pixels: NDArray[np.uint8]
    """(n, height, width, channels)."""
    rows: Mapping[str, int]
    """Id of an image -> row."""
    cases: Mapping[str, Sequence[str | None]]
    """Ids of each case's images; empty if each case is one image."""

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of every image."""
        return int(self.pixels.shape[1]), int(self.pixels.shape[2])

    def case_batch(self, ids: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """See `goldfold.cache.images.batch_of_cases`."""
        return batch_of_cases(lambda id: self.pixels[self.rows[id]], self.cases, ids)


class WholeImages:
    """Images at their own size, or a multiple of it, in parts, each decoded again when another was read in between.

    They are predicted one by one, so only one is in memory.
    """

    def __init__(self, frame: tuple[int, int], read: Callable[[str], NDArray[np.uint8]]) -> None:
        """``frame`` is the height and width of windows; ``read`` decodes an image by id, (height, width, channels)."""
        self.frame, self._read = frame, read
        self._last: tuple[str, NDArray[np.uint8]] | None = None

    def size(self, id: str) -> tuple[int, int]:
        """Height and width of an image."""
        height, width, _ = self._whole(id).shape
        return height, width

    def part(self, id: str, box: Box) -> NDArray[np.uint8]:
        """Part of an image, black beyond it."""
        whole = self._whole(id)
        return padded(lambda inner: whole[inner[0] : inner[2], inner[1] : inner[3]], self.size(id), box)

    def _whole(self, id: str) -> NDArray[np.uint8]:
        if self._last is None or self._last[0] != id:
            self._last = None  # two images are never in memory
            self._last = id, self._read(id)
        return self._last[1]


class DecodedImages:
    """Images from files at several sizes, in memory maps below ``folder``; unreadable files are listed, not raised.

    Images at their own size are decoded again when they are predicted, see `WholeImages`.

    Args:
        files: id and path of each image, and its case from `goldfold.images.cases.named`.
        reading: how files are decoded.
        frames: sizes and resize modes.
        finder: finds the crop of each image, see `goldfold.crop.fresh`; None to take images whole.
        on_image: called after each image.
    """

    def __init__(
        self,
        files: pd.DataFrame,
        reading: Reading,
        frames: Iterable[Frame],
        folder: Path,
        finder: Finder | None = None,
        on_image: Callable[[], None] = lambda: None,
    ) -> None:
        self._reading, self._finder, self._files = reading, finder, list(files["path"])
        self._pixels = {
            frame: np.lib.format.open_memmap(
                folder / f"{frame.name}.npy", "w+", np.uint8, (len(files), *frame.size, reading.channels)
            )
            for frame in frames if not frame.is_native
        }  # fmt: skip
        found = []
        with ThreadPoolExecutor(min(MOST_THREADS, len(os.sched_getaffinity(0)))) as pool:
            for one in pool.map(self._read, range(len(files))):
                found.append(one)
                on_image()
        table = files.assign(**pd.DataFrame(found, columns=["width", "height", "roi", "roi_fallback", "reason"]))
        is_bad = table["reason"] != ""
        self.bad = [(str(path), str(reason)) for path, reason in table.loc[is_bad, ["path", "reason"]].to_numpy()]
        """Path of each file that cannot be read, and the reason."""
        unused = ["reason", *(["roi", "roi_fallback"] if finder is None else [])]
        sound = table[~is_bad].drop(columns=unused).reset_index(drop=True)
        self._cases = by_case([sound])
        self.table = first_of_each(sound)
        """id, path, width and height of readable files, and roi and roi_fallback if images are cropped; of a case of
        several images those of the first."""
        self._rois = dict(zip(sound["id"], sound["roi"], strict=True)) if "roi" in sound else {}
        self._rows = {str(id): row for row, id in enumerate(files["id"])}

    def at(self, frame: Frame, max_images: int | None = None) -> Framed | WholeImages:
        """Images at one of the sizes, at most ``max_images`` of each case."""
        if frame.is_native:
            return WholeImages(frame.size, partial(self._whole, frame))
        return Framed(self._pixels[frame], self._rows, limited(self._cases, max_images))

    def _whole(self, frame: Frame, id: str) -> NDArray[np.uint8]:
        """Decode an image at its own size, or at the multiple of it that the frame names."""
        row = self._rows[id]
        roi = roi_of(self._rois.get(id, ""))
        resized = resize(self._reading.image(self._files[row]), frame.size, frame.mode, roi)
        return to_8_bits(resized, self._reading.scale_16bit)

    def _read(self, row: int) -> tuple[Any, ...]:
        """Put an image into every frame; return width, height, roi, roi_fallback, and why it cannot be read."""
        path = self._files[row]
        try:
            image = self._reading.image(path)
            height, width = image.shape[:2]
            roi, fallback = self._finder(row, path, width, height) if self._finder else (None, "")
            for frame, pixels in self._pixels.items():
                framed = resize(image, frame.size, frame.mode, roi)
                pixels[row] = to_8_bits(framed, self._reading.scale_16bit)
        except (OSError, Undecodable) as error:
            return 0, 0, "", "", str(error) or type(error).__name__
        return width, height, roi_to_text(roi), fallback, ""
