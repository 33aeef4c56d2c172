"""One look at each file, in parallel, remembered by its bytes: a second look at the same bytes reads nothing."""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

from goldfold.base.errors import DataError
from goldfold.base.regular import MOST_BYTES, fault
from goldfold.base.status import Progress
from goldfold.images import stacks
from goldfold.lineage import source
from goldfold.lineage.contents import memory

FOLDER = Path(".goldfold/looks")
CHUNK = 16
KEPT_AT_ONCE = 1024
"""Files between two writes of what was seen: so many are looked at again after a kill."""
LIBRARIES = ("opencv-python-headless", "pillow", "numpy", "tifffile", "pydicom")

Seen = list[Any]
"""What a look gives: plain values, as JSON has them."""


def of_files(paths: Iterable[str]) -> dict[str, str]:
    """sha256 of each image that is there; that of several files is known by all of them."""
    names = list(paths)
    files = memory().digests(file for name in names for file in stacks.files_of(name) if not fault(file, MOST_BYTES))
    return {name: found for name in names if (found := stacks.digest(name, files))}


def look_at(
    paths: Iterable[str],
    look: Callable[[str], Seen],
    workers: int,
    progress: Callable[[int, str], Any] = Progress,
    digests_of: Callable[[Iterable[str]], dict[str, str]] = of_files,
) -> dict[str, tuple[str, Seen]]:
    """sha256 and what ``look`` gives for each file that is there, by path.

    Args:
        look: a function of a module, of nothing but the file's bytes, or a partial of one with plain values by name. What
            it saw is known by these, by the module's code, and by the versions of what reads images.
        workers: processes that look.
        progress: (total, unit) -> counts the files.
        digests_of: digest of each path that is there, where a path may be more than a file.

    Raises:
        DataError: a process was killed, most likely for lack of main memory.
    """
    digests = digests_of(dict.fromkeys(paths))
    first_with = {digest: path for path, digest in reversed(digests.items())}
    FOLDER.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(FOLDER / f"{_name(look)}.sqlite", timeout=600)) as store:
        seen = _remembered(store, _version(look), first_with)
        unseen = {digest: path for digest, path in first_with.items() if digest not in seen}
        for digest, found in _looked(unseen, look, workers, progress, store):
            seen[digest] = found
    return {path: (digest, seen[digest]) for path, digest in digests.items()}


def _parts(look: Callable[[str], Seen]) -> tuple[Callable[..., Seen], dict[str, Any]]:
    """The function itself, and the values it is always given."""
    return (look.func, look.keywords) if isinstance(look, partial) else (look, {})


def _name(look: Callable[[str], Seen]) -> str:
    """Name of the store: one for each set of values, so that two experiments do not forget each other's."""
    function, values = _parts(look)
    told = json.dumps(values, sort_keys=True).encode()
    return f"{function.__module__}-{hashlib.sha256(told).hexdigest()[:8]}" if values else function.__module__


def _version(look: Callable[[str], Seen]) -> str:
    """Digest of all that decides what a look gives but the bytes."""
    function, values = _parts(look)
    code = source.digest(source.reach([(Path(str(sys.modules[function.__module__].__file__)), function.__name__)]))
    told = json.dumps([function.__name__, code, [_release(name) for name in LIBRARIES], *([values] if values else [])])
    return hashlib.sha256(told.encode()).hexdigest()


def _release(library: str) -> str:
    """Version of a library; none where it is an extra that is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _remembered(store: sqlite3.Connection, version: str, wanted: Collection[str]) -> dict[str, Seen]:
    """What was seen earlier of these digests; what another version saw is forgotten."""
    with store:
        store.execute("CREATE TABLE IF NOT EXISTS version (name TEXT)")
        store.execute("CREATE TABLE IF NOT EXISTS seen (digest TEXT PRIMARY KEY, found TEXT) WITHOUT ROWID")
        if store.execute("SELECT name FROM version").fetchall() != [(version,)]:
            store.execute("DELETE FROM version")
            store.execute("DELETE FROM seen")
            store.execute("INSERT INTO version VALUES (?)", (version,))
    rows = store.execute("SELECT digest, found FROM seen")
    return {digest: json.loads(found) for digest, found in rows if digest in wanted}


def _looked(
    unseen: dict[str, str],
    look: Callable[[str], Seen],
    workers: int,
    progress: Callable[[int, str], Any],
    store: sqlite3.Connection,
) -> Iterator[tuple[str, Seen]]:
    """Look at files by digest, and write down what was seen."""
    if not unseen:
        return
    with closing(progress(len(unseen), "files")) as bar, ProcessPoolExecutor(workers) as pool:
        found = zip(unseen, pool.map(look, unseen.values(), chunksize=CHUNK), strict=True)
        try:
            while part := list(islice(found, KEPT_AT_ONCE)):
                with store:
                    rows = [(digest, json.dumps(seen)) for digest, seen in part]
                    store.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?)", rows)
                bar.advance(len(part))
                yield from part
        except BrokenProcessPool as error:
            raise DataError(
                "a process that reads images was killed, most likely for lack of main memory. What was seen so far is kept. "
                "Look for a picture of very many pixels, or give it more memory."
            ) from error
