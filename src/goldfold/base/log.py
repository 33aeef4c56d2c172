"""Log of a job: a full disk loses log text, not the job, and an error that does not fit goes to the terminal."""

import errno
import io
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import TextIO

from goldfold.base import status
from goldfold.base.errors import GoldfoldError

VARIABLE = "GOLDFOLD_QUIET"
"""Environment variable that tells jobs that Snakemake does not show their errors."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""Error numbers of a full disk, a quota and a file size limit."""


class _Forgiving(io.FileIO):
    """A stream that drops data that cannot be written."""

    has_lost = False

    def write(self, data: object) -> int:
        try:
            written: int | None = super().write(data)  # type: ignore[arg-type]
        except OSError:
            self.has_lost = True
            written = None
        return len(data) if written is None else written  # type: ignore[arg-type]


def forgiving(descriptor: int) -> TextIO:
    """Line-buffered text stream to an open file that never fails for lack of space."""
    buffer = io.BufferedWriter(_Forgiving(descriptor, "w", closefd=False))
    return io.TextIOWrapper(buffer, encoding="utf-8", errors="backslashreplace", line_buffering=True)


def send_to(path: Path) -> None:
    """Redirect this process's output to ``path``; left unchanged if there is no space for that file."""
    sys.stdout.flush()
    sys.stderr.flush()
    status.terminal = forgiving(os.dup(2))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as error:
        if error.errno not in FULL:
            raise
        stream = os.dup(2)
    for number in (1, 2):
        os.dup2(stream, number)
    os.close(stream)
    sys.stdout, sys.stderr = forgiving(1), forgiving(2)


def tell(error: Exception, folder: Path, name: str = "") -> None:
    """Log the error that ended the job ``name``, which writes into ``folder``.

    It is also printed to the terminal if the log lost data, or if Snakemake, which is quiet about rules, shows no log.
    """
    text = _text(error, folder)
    sys.stdout.flush()
    print(text, file=sys.stderr, flush=True)
    raw = getattr(getattr(sys.stderr, "buffer", None), "raw", None)
    is_quiet = bool(os.environ.get(VARIABLE))
    if status.terminal is not None and (is_quiet or getattr(raw, "has_lost", False)):
        print(f"{name} failed:\n{text}" if is_quiet and name else text, file=status.terminal, flush=True)


def _text(error: Exception, folder: Path) -> str:
    """Text of a GoldfoldError or a full disk; any other error with its traceback."""
    if isinstance(error, GoldfoldError):
        return f"goldfold: {error}"
    if isinstance(error, OSError) and error.errno in FULL:
        place = Path(error.filename).parent if isinstance(error.filename, str) else folder
        there = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
        free = shutil.disk_usage(there).free / 1e6
        return (
            f"goldfold: cannot write into {place}: {error.strerror} ({free:,.1f} MB are free there). Make room there and "
            "run again: results of finished jobs are kept."
        )
    return "".join(traceback.format_exception(error)).rstrip()
