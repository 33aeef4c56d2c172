"""Inspect each file once, in parallel; results are cached by the file's bytes."""

import hashlib
import json
import sqlite3
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from importlib.metadata import PackageNotFoundError, version
from itertools import islice
from pathlib import Path
from typing import Any

from goldfold.base.bound import parts_of
from goldfold.base.errors import DataError
from goldfold.base.regular import MOST_BYTES, fault
from goldfold.base.status import Progress
from goldfold.images import stacks
from goldfold.lineage import source
from goldfold.lineage.contents import memory

FOLDER = Path(".goldfold/looks")
CHUNK = 16
KEPT_AT_ONCE = 1024
"""Files between two writes of results: at most this many are inspected again after a kill."""
LIBRARIES = ("opencv-python-headless", "pillow", "numpy", "tifffile", "pydicom")

Seen = list[Any]
"""Result of inspecting a file: plain JSON values."""


def of_files(paths: Iterable[str]) -> dict[str, str]:
    """sha256 of each existing image; for a stack a digest of all its files."""
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
    """Path of each existing file -> its sha256 and the result of ``look``.

    Args:
        look: a module-level function of the file's bytes only, or a partial of one with plain keyword values. Results are
            cached by these, by the module's code, and by the versions of the libraries that read images.
        workers: number of processes.
        progress: (total, unit) -> counts the files.
        digests_of: digest of each existing path; a path may stand for several files.

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


def _name(look: Callable[[str], Seen]) -> str:
    """Name of the store: one per set of values, so that experiments do not evict each other's results."""
    function, values = parts_of(look)
    text = json.dumps(values, sort_keys=True).encode()
    return f"{function.__module__}-{hashlib.sha256(text).hexdigest()[:8]}" if values else function.__module__


def _version(look: Callable[[str], Seen]) -> str:
    """Digest of everything except the bytes that decides a result."""
    function, values = parts_of(look)
    code = source.digest(source.reach([(Path(str(sys.modules[function.__module__].__file__)), function.__name__)]))
    text = json.dumps([function.__name__, code, [_release(name) for name in LIBRARIES], *([values] if values else [])])
    return hashlib.sha256(text.encode()).hexdigest()


def _release(library: str) -> str:
    """Version of a library; empty if it is an optional one that is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _remembered(store: sqlite3.Connection, version: str, wanted: Collection[str]) -> dict[str, Seen]:
    """Cached results for these digests; results of another version are deleted."""
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
    """Inspect files by digest, and store the results."""
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
                "a process that reads images was killed, most likely for lack of main memory. Results so far are kept. "
                "Look for an image with very many pixels, or provide more memory."
            ) from error
