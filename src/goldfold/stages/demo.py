"""Stage demo: demo data set -> images, tables and sample submissions, as a competition provides them."""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from filecmp import cmp
from pathlib import Path

from goldfold import components
from goldfold.base.errors import GoldfoldError
from goldfold.base.files import cannot_write, refuse_unwritable
from goldfold.catalog import DEMOS

UNFINISHED = ".unfinished"
ANOTHER = "Make it writable, or set another data.directory."


def run(source: str, directory: str) -> None:
    """Write the files of a demo data set below ``directory``, images first, each atomically.

    All files are written into a scratch folder before the first is moved into place. Files that are already correct, and files
    that are not part of the data set, stay untouched.

    Raises:
        GoldfoldError: the folder cannot be written.
    """
    folder = Path(directory)
    refuse_unwritable(folder, ANOTHER)
    try:
        with _alone_in(folder):
            n_files = _write(components.load(source, DEMOS, "demo data set"), folder)
    except OSError as error:
        raise GoldfoldError(cannot_write(folder, error, ANOTHER)) from error
    print(f"{n_files} files in {directory}", flush=True)


def _write(write: Callable[[Path], None], folder: Path) -> int:
    made = folder / UNFINISHED
    shutil.rmtree(made, ignore_errors=True)  # of a job that was killed
    try:
        made.mkdir()
        write(made)
        files = [path for path in made.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: (path.parent == made, path)):
            _put(path, folder / path.relative_to(made))
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return len(files)


def _put(path: Path, place: Path) -> None:
    if not (place.is_file() and cmp(path, place, shallow=False)):
        place.parent.mkdir(parents=True, exist_ok=True)
        path.replace(place)


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Serialise two runs that write into the same folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems cannot lock folders
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
