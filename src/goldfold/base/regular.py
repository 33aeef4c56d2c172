"""Read regular files only: a pipe could block forever, a device may never end."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

MISSING, NOT_REGULAR = "missing", "not a regular file"
KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
MOST_BYTES = 4_000_000_000
"""Largest image or text file that is read; JSON of millions of boxes takes a tenth of it."""


class Unreadable(OSError):
    """A path that is not a regular file, or a file that is too large; the text says which, without the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.strerror = reason

    def __str__(self) -> str:
        return str(self.strerror)


def fault(path: str | Path, most: int | None = None) -> str:
    """Reason why a file cannot be read, such as ``not a regular file (a named pipe)``; empty if it can.

    Args:
        most: size limit in bytes.
    """
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return MISSING
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        return f"not readable ({getattr(error, 'strerror', None) or error})"
    if not stat.S_ISREG(found.st_mode):
        return f"{NOT_REGULAR} ({next((name for is_kind, name in KINDS if is_kind(found.st_mode)), 'of another kind')})"
    if most is not None and found.st_size > most:
        return too_large(most)
    return "" if os.access(path, os.R_OK) else "not readable (permission denied)"


def too_large(most: int) -> str:
    """Reason for a file of more than ``most`` bytes."""
    return f"larger than {most / 1e6:,.0f} MB, the most that is read"


def opened(path: str | Path) -> BinaryIO:
    """Open a regular file for reading.

    Raises:
        OSError: it is missing, cannot be read, or is not a regular file.
    """
    reason = fault(path)
    if reason == MISSING:
        raise FileNotFoundError(2, "No such file or directory", os.fspath(path))
    if reason:
        raise Unreadable(reason)
    return open(path, "rb")


CHUNK_BYTES = 1 << 20


def read_bytes(path: str | Path, most: int = MOST_BYTES) -> bytes:
    """Content of a regular file of at most ``most`` bytes.

    Raises:
        OSError: it is missing, cannot be read, is not a regular file, or is larger.
    """
    with opened(path) as stream:
        size = os.fstat(stream.fileno()).st_size
        if size > most:
            raise Unreadable(too_large(most))
        content = stream.read(size + 1)  # bounded: read() allocates a buffer of the number given
        while len(content) <= most and (more := stream.read(CHUNK_BYTES)):  # kernel files report no size
            content += more
    if len(content) > most:
        raise Unreadable(too_large(most))
    return content


def read_text(path: str | Path, most: int = MOST_BYTES) -> str:
    """UTF-8 text of a regular file, without byte order mark, with ``\\n`` at the end of each line.

    Raises:
        OSError: see `read_bytes`.
        UnicodeDecodeError: it is not UTF-8.
    """
    text = read_bytes(path, most).decode("utf-8-sig")
    return text.replace("\r\n", "\n").replace("\r", "\n")
