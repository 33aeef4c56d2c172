"""One look at each file, in parallel, remembered by its bytes: a second look at the same bytes reads nothing."""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from goldfold.runtime import source
from goldfold.runtime.errors import DataError
from goldfold.runtime.fingerprint import StatCache
from goldfold.runtime.status import Progress

FOLDER = Path(".goldfold/looks")
CHUNK = 16
KEPT_AT_ONCE = 1024
"""Files between two writes of what was seen: so many are looked at again after a kill."""
LIBRARIES = ("opencv-python-headless", "pillow", "numpy")

Seen = list[Any]
"""What a look gives: plain values, as JSON has them."""


def of_files(paths: Iterable[str]) -> dict[str, str]:
    """sha256 of each file that is there."""
    return StatCache().digests(path for path in paths if Path(path).is_file())


def look_at(
    paths: Iterable[str],
    look: Callable[[str], Seen],
    workers: int,
    progress: Callable[[int, str], Any] = Progress,
    digests_of: Callable[[Iterable[str]], dict[str, str]] = of_files,
) -> dict[str, tuple[str, Seen]]:
    """sha256 and what ``look`` gives for each file that is there, by path.

    Args:
        look: a function of a module, of nothing but the file's bytes. What it saw is known by these, by the module's
            code, and by the versions of what reads images.
        workers: processes that look.
        progress: (total, unit) -> counts the files.
        digests_of: digest of each path that is there, where a path may be more than a file.

    Raises:
        DataError: a process was killed, most likely for lack of main memory.
    """
    digests = digests_of(dict.fromkeys(paths))
    first_with = {digest: path for path, digest in reversed(digests.items())}
    FOLDER.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(FOLDER / f"{look.__module__}.sqlite", timeout=600)) as store:
        seen = _remembered(store, _version(look), first_with)
        unseen = {digest: path for digest, path in first_with.items() if digest not in seen}
        for digest, found in _looked(unseen, look, workers, progress, store):
            seen[digest] = found
    return {path: (digest, seen[digest]) for path, digest in digests.items()}


def _version(look: Callable[[str], Seen]) -> str:
    """Digest of all that decides what a look gives but the bytes."""
    files = source.closure(Path(str(sys.modules[look.__module__].__file__)))
    code = [source.code_digest(file) for file in sorted(files)]
    told = json.dumps([look.__name__, code, [version(name) for name in LIBRARIES]])
    return hashlib.sha256(told.encode()).hexdigest()


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
