"""Rows of one shape in one ``.npy`` file, raw or each as a PNG. Written sequentially, read by memory map.

Both kinds are lossless. An encoded file is an array of bytes: the concatenated PNGs, the end of each (uint64), then shape
and dtype as JSON, and the length of the JSON.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError

Pixels = NDArray[Any]

BUFFER_BYTES = 4 << 20
"""Large writes take half the time of one write per image (measured)."""
HEADER_BYTES = 128
END_BYTES, LENGTH_BYTES = 8, 8
PNG = (cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE)
"""The fastest of OpenCV's settings, no larger than the others (measured on photographs)."""


class Rows(Protocol):
    """Readable store: images or masks by row."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, height, width, ...)."""
        ...

    def __getitem__(self, row: int) -> Pixels:
        """A copy of a row."""
        ...


class Writer(Protocol):
    """Writable store: whole rows, durable once saved."""

    def append(self, row: Pixels) -> None:
        """Add a row."""
        ...

    def save(self) -> None:
        """Flush all rows so far to disk."""
        ...

    def finish(self) -> None:
        """Complete the file after the last row; it then has as many rows as were added."""
        ...


class RawRows:
    """An array on disk."""

    def __init__(self, array: Pixels) -> None:
        self.array = np.asarray(array)

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, height, width, ...)."""
        return self.array.shape

    def __getitem__(self, row: int) -> Pixels:
        """A copy of a row."""
        return np.array(self.array[row])


class PngRows:
    """PNGs on disk, decoded on access."""

    def __init__(self, path: str | Path, content: NDArray[np.uint8]) -> None:
        self.path = path
        stop = len(content) - LENGTH_BYTES
        start = stop - int.from_bytes(content[stop:].tobytes(), "little")
        facts = json.loads(content[start:stop].tobytes())
        self.shape, self.dtype = tuple(facts["shape"]), np.dtype(facts["dtype"])
        ends = content[start - END_BYTES * self.shape[0] : start].tobytes()
        self.ends = np.frombuffer(b"\0" * END_BYTES + ends, "<u8")
        self.content = np.asarray(content)  # slices of a memmap are slow to make

    def __getitem__(self, row: int) -> Pixels:
        """A row, decoded."""
        png = self.content[int(self.ends[row]) : int(self.ends[row + 1])]
        picture = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
        if picture is None:
            raise DataError(
                f"{self.path}: row {row} is not a PNG: the file is damaged. Delete its folder, and run again."
            )
        return _from_picture(picture, self.shape[1:], self.dtype)


def open_rows(path: str | Path) -> Rows:
    """Open a file of either kind."""
    array = np.load(path, mmap_mode="r")
    return PngRows(path, array) if array.ndim == 1 else RawRows(array)


class RawWriter:
    """Writer of an array; resumes after ``done`` rows and drops any further ones."""

    def __init__(self, path: Path, shape: Sequence[int], dtype: "np.dtype[Any]", done: int = 0) -> None:
        """Open or create the file; ``shape`` is that of all rows together, whose number may be unknown and 0."""
        self.shape, self.dtype, self.rows, self.expected = tuple(shape[1:]), dtype, done, shape[0]
        self.stream = _opened(path)
        self._write_header(shape[0])
        _truncate_at(self.stream, self.stream.tell() + done * int(np.prod(self.shape)) * dtype.itemsize)

    def append(self, row: Pixels) -> None:
        """Add a row."""
        self.stream.write(np.ascontiguousarray(row, self.dtype).reshape(self.shape).data)
        self.rows += 1

    def save(self) -> None:
        """Flush all rows so far to disk."""
        _sync(self.stream)

    def finish(self) -> None:
        """Write the number of rows, if it was not known, and close the file."""
        if self.rows != self.expected:
            self.stream.seek(0)
            self._write_header(self.rows)
        self.stream.close()

    def _write_header(self, rows: int) -> None:
        """Write the header, whose length does not depend on the number of rows: numpy leaves room for it."""
        descr = np.lib.format.dtype_to_descr(self.dtype)
        header = {"descr": descr, "fortran_order": False, "shape": (rows, *self.shape)}
        np.lib.format.write_array_header_1_0(self.stream, header)


class PngWriter:
    """Writer of PNGs; resumes after ``done`` rows. Their ends are kept in a separate file until `finish`."""

    def __init__(self, path: Path, shape: Sequence[int], dtype: "np.dtype[Any]", done: int = 0) -> None:
        """Open or create the files; ``shape`` is that of all rows together, whose number may be unknown."""
        self.rows = done
        self.shape, self.dtype, self.path = tuple(shape[1:]), dtype, path
        self.ends_path = path.with_suffix(".ends")
        self.stream, self.ends = _opened(path), _opened(self.ends_path)
        self.end = _last(self.ends, done)
        _truncate_at(self.ends, done * END_BYTES)
        _truncate_at(self.stream, HEADER_BYTES + self.end)

    def append(self, row: Pixels) -> None:
        """Add a row."""
        png = encode(np.asarray(row, self.dtype).reshape(self.shape))
        self.stream.write(png)
        self.end += len(png)
        self.ends.write(self.end.to_bytes(END_BYTES, "little"))
        self.rows += 1

    def save(self) -> None:
        """Flush all rows so far to disk."""
        _sync(self.stream)
        _sync(self.ends)

    def finish(self) -> None:
        """Append the ends and the JSON, rewrite the header, and close the file."""
        self.ends.close()
        facts = json.dumps({"shape": [self.rows, *map(int, self.shape)], "dtype": self.dtype.str}).encode()
        tail = self.ends_path.read_bytes() + facts + len(facts).to_bytes(LENGTH_BYTES, "little")
        self.stream.write(tail)
        self.stream.seek(0)
        self.stream.write(_header(self.end + len(tail)))
        self.stream.close()


WRITERS: dict[str, type[RawWriter] | type[PngWriter]] = {"arrays": RawWriter, "png": PngWriter}
"""Kinds of stores."""


def encode(pixels: Pixels) -> bytes:
    """Encode a row as PNG: (height, width) or (height, width, channels), of 8, 16 or (without channels) 32 bits."""
    return bytes(cv2.imencode(".png", _as_picture(pixels), PNG)[1])


def _header(length: int) -> bytes:
    """Header of a ``.npy`` file of ``length`` bytes; always of HEADER_BYTES, so that space can be reserved for it."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({length},), }}"
    magic = b"\x93NUMPY\x01\x00" + (HEADER_BYTES - 10).to_bytes(2, "little")
    return magic + text.ljust(HEADER_BYTES - 11).encode() + b"\n"


def _as_picture(pixels: Pixels) -> Pixels:
    """Arrange pixels for PNG: more than 16 bits side by side, other numbers of channels one above the other."""
    if pixels.dtype.itemsize > 2:
        return np.ascontiguousarray(pixels).view("<u2")
    if pixels.ndim == 2 or pixels.shape[2] == 3:
        return pixels
    return np.ascontiguousarray(np.moveaxis(pixels, 2, 0)).reshape(-1, pixels.shape[1])


def _from_picture(picture: Pixels, shape: tuple[int, ...], dtype: "np.dtype[Any]") -> Pixels:
    if dtype.itemsize > 2:
        return picture.view(dtype)
    if len(shape) == 2 or shape[2] in (1, 3):
        return picture.reshape(shape)
    return np.ascontiguousarray(np.moveaxis(picture.reshape(shape[2], *shape[:2]), 0, 2))


def _opened(path: Path) -> BinaryIO:
    """Open an existing file for update, or create it."""
    return open(path, "r+b" if path.exists() else "w+b", buffering=BUFFER_BYTES)


def _truncate_at(stream: BinaryIO, place: int) -> None:
    """Truncate at ``place``, and seek there."""
    stream.truncate(place)
    stream.seek(place)


def _last(ends: BinaryIO, done: int) -> int:
    """End of the last of ``done`` PNGs."""
    if not done:
        return 0
    ends.seek((done - 1) * END_BYTES)
    return int.from_bytes(ends.read(END_BYTES), "little")


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())
