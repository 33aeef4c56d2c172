"""Digests of raw files by content, remembered by size and modification time so that a second look reads nothing."""

import hashlib
import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from goldfold.runtime.files import write_text
from goldfold.runtime.regular import MOST_BYTES, fault

STAT_CACHE = Path(".goldfold/stat_cache.json")


def sha256_of(path: str | Path) -> str:
    """Hex sha256 of a file's bytes."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class StatCache:
    """Maps path -> sha256 as long as size and modification time stay the same (git's index does likewise)."""

    def __init__(self, path: Path = STAT_CACHE) -> None:
        self.path = path
        try:
            known = json.loads(path.read_text())
        except (OSError, ValueError):
            known = {}
        self.known: dict[str, list[int | str]] = known if isinstance(known, dict) else {}

    def digests(self, paths: Iterable[str | Path]) -> dict[str, str]:
        """Digest of each path; files whose stat is unknown are read, in threads (hashing frees the lock)."""
        names = [os.fspath(path) for path in paths]
        stats = {name: _stat_key(name) for name in names}
        stale = [name for name in stats if self.known.get(os.path.abspath(name), [])[:2] != stats[name]]
        if stale:
            with ThreadPoolExecutor() as pool:
                for name, digest in zip(stale, pool.map(sha256_of, stale), strict=True):
                    self.known[os.path.abspath(name)] = [*stats[name], digest]
            write_text(self.path, json.dumps(self.known))
        return {name: str(self.known[os.path.abspath(name)][2]) for name in names}


def fingerprint(paths: Iterable[str | Path]) -> str:
    """One digest over files and folders by content and relative name; a touched file does not change it.

    A path that does not exist, or is no regular file that can be read, counts as such, so that the stage which reads it
    can say what is wrong with it.
    """
    total = hashlib.sha256()
    for root in paths:
        files = sorted(_walk(Path(root)))
        digests = StatCache().digests(files)
        total.update(f"{os.fspath(root)}\0{len(files)}\0".encode())
        for file in files:
            total.update(f"{os.path.relpath(file, root)}\0{digests[os.fspath(file)]}\0".encode())
    return total.hexdigest()


def _walk(root: Path) -> list[Path]:
    if not fault(root):
        return [root]
    found = [Path(folder) / name for folder, _, names in os.walk(root, followlinks=True) for name in names]
    # A link to nothing, a pipe, or what is too large to be read is the manifest's to name.
    return [path for path in found if not fault(path, MOST_BYTES)]


def _stat_key(name: str) -> list[int]:
    stat = os.stat(name)
    return [stat.st_size, stat.st_mtime_ns]
