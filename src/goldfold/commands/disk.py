"""Errors of the disk while a command writes."""

from collections.abc import Iterator
from contextlib import contextmanager

from goldfold.base.errors import GoldfoldError, cause

ELSEWHERE = "Make it writable, or name another place."


@contextmanager
def files_explained() -> Iterator[None]:
    """A disk that is full or a file that cannot be written is one line."""
    try:
        yield
    except OSError as error:
        raise GoldfoldError(f"{error.filename or 'a file'}: {error.strerror or cause(error)}. {ELSEWHERE}") from error
