"""Bounded decompression of files: 1 MB of gzip can hold 1 GB."""

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from goldfold.base.regular import MOST_BYTES, read_bytes
from goldfold.images.files import is_hidden

MOST_RATIO = 100
"""Largest ratio of unpacked to packed size of a table; tables of ids and labels reach about 30."""
ALWAYS_BYTES = 50_000_000
"""Unpacked size that is always allowed, whatever the ratio."""
ERRORS = (EOFError, OSError, RuntimeError, NotImplementedError, lzma.LZMAError, zipfile.BadZipFile, zlib.error)
"""Raised for damaged files; RuntimeError if a member of an archive is encrypted."""


def _only_member(packed: IO[bytes]) -> IO[bytes]:
    """The one file of a zip archive."""
    archive = zipfile.ZipFile(packed)
    names = [name for name in archive.namelist() if not name.endswith("/") and not any(map(is_hidden, name.split("/")))]
    if len(names) != 1:
        raise ValueError(f"it is an archive of {len(names)} files, and one is needed; unpack it")
    return archive.open(names[0])


OPENERS: dict[str, Callable[[Any], Any]] = {
    ".bz2": bz2.BZ2File,
    ".gz": lambda packed: gzip.GzipFile(fileobj=packed),
    ".xz": lzma.LZMAFile,
    ".zip": _only_member,
}
"""Functions by suffix, from an open file to a stream of its unpacked content."""
UNREAD = (".zst", ".7z", ".rar", ".tgz", ".lz4")
"""Suffixes of packed files that are not supported."""


def read_unpacked(path: str | Path) -> bytes:
    """Content of a file, unpacked if its suffix is that of a packed file.

    Raises:
        OSError: it cannot be read, see `goldfold.base.regular.read_bytes`.
        ValueError: it cannot be unpacked, or unpacks to far more than a table of its size does.
    """
    content, suffix = read_bytes(path), Path(path).suffix.lower()
    if suffix in UNREAD:
        raise ValueError(f"goldfold does not unpack files ending in {suffix}; unpack it")
    if suffix not in OPENERS:
        return content
    most = min(MOST_BYTES, max(ALWAYS_BYTES, MOST_RATIO * len(content)))
    try:
        with OPENERS[suffix](io.BytesIO(content)) as stream:
            unpacked: bytes = stream.read(most + 1)
    except ERRORS as error:
        raise ValueError(f"it cannot be unpacked: {error}") from error
    if len(unpacked) > most:
        raise ValueError(f"it unpacks to more than {most / 1e6:,.0f} MB, far more than a table of its size; unpack it")
    return unpacked
