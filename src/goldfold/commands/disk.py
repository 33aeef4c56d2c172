"""Turn write errors of commands into one-line errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from goldfold.base.errors import GoldfoldError, cause

ELSEWHERE = "Make it writable, or name another place."


@contextmanager
def readable_errors() -> Iterator[None]:
    """Raise a GoldfoldError for a full disk or a file that cannot be written."""
    try:
        yield
    except OSError as error:
        raise GoldfoldError(f"{error.filename or 'a file'}: {error.strerror or cause(error)}. {ELSEWHERE}") from error
