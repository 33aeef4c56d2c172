"""Digests of raw files and results, remembered by size and mtime, and detection of changed results."""

import json
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Any

from goldfold.base.files import read_json, write_text
from goldfold.base.fingerprint import sha256_of
from goldfold.base.regular import MOST_BYTES, fault
from goldfold.planning.origins import is_snapshot

MEMORY = Path(".goldfold/contents.json")
TIMESTAMP = ".snakemake_timestamp"
"""File in a folder whose mtime Snakemake uses as that of the folder."""


def digest(path: str | Path) -> str:
    """sha256 of a file's bytes, or of the names and bytes of all files of a folder."""
    path = Path(path)
    if not path.is_dir():
        return sha256_of(path)
    total = sha256()
    for file in _files(path):
        total.update(f"{file.relative_to(path)}\0{sha256_of(file)}\0".encode())
    return total.hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and file.name != TIMESTAMP)


def stamp(path: str | Path) -> tuple[int, int] | None:
    """Size in bytes and mtime in ns of a file, or sum and maximum over a folder's files; None if it does not exist."""
    try:
        if not os.path.isdir(path):
            found = os.stat(path)
            return (found.st_size, found.st_mtime_ns) if S_ISREG(found.st_mode) else None
        stats = [os.stat(file) for file in _files(Path(path))]
    except (OSError, ValueError):
        return None
    return sum(stat.st_size for stat in stats), max((stat.st_mtime_ns for stat in stats), default=0)


class Memory:
    """Digests by path, each valid as long as size and mtime of the file stay the same (like git's index)."""

    def __init__(self, path: Path = MEMORY) -> None:
        self.path, self.is_new = path, False
        try:
            known = read_json(path)
        except (OSError, ValueError):
            known = {}
        self.known: dict[str, Any] = {
            name: entry
            for name, entry in (known.items() if isinstance(known, dict) else ())
            if isinstance(entry, list) and [type(part) for part in entry] == [int, int, str]
        }

    def digest(self, path: str, written: tuple[int, int, str] | None = None) -> str | None:
        """Current digest of ``path``; None if it does not exist.

        Args:
            written: size, mtime and digest recorded by the job that wrote the file.
        """
        now = stamp(path)
        if now is None:
            return None
        if written is not None and now == written[:2]:
            self._remember(path, now, written[2])
        elif self.known.get(path, [])[:2] != [*now]:
            self._remember(path, now, digest(path))
        return str(self.known[path][2])

    def digests(self, paths: Iterable[str | Path]) -> dict[str, str]:
        """Digests of existing files; unknown ones are read, in threads (hashing releases the GIL)."""
        found = {os.fspath(path): stamp(path) or (0, 0) for path in paths}
        unknown = [name for name, now in found.items() if self.known.get(name, [])[:2] != [*now]]
        if unknown:
            with ThreadPoolExecutor() as pool:
                for name, sha256sum in zip(unknown, pool.map(sha256_of, unknown), strict=True):
                    self._remember(name, found[name], sha256sum)
            self.save()
        return {name: str(self.known[name][2]) for name in found}

    def adopt(self, record: Mapping[str, Any]) -> None:
        """Remember recorded digests of outputs of this run's jobs, since Snakemake changes mtimes after the record."""
        for path, found in written(record).items():
            if (now := stamp(path)) is not None and now[0] == record.get("sizes", {}).get(path):
                self._remember(path, now, found)

    def redate(self, path: str, time_ns: int) -> None:
        """Set the mtime of a file; its digest stays known."""
        before = stamp(path)
        os.utime(path, ns=(time_ns, time_ns))
        after, entry = stamp(path), self.known.get(path)
        if before and after and entry and entry[:2] == [*before]:
            self._remember(path, after, entry[2])

    def _remember(self, path: str, now: tuple[int, int], found: str) -> None:
        if self.known.get(path) != [*now, found]:
            self.known[path] = [*now, found]
            self.is_new = True

    def save(self) -> None:
        """Write the memory, without files that no longer exist."""
        if self.is_new:
            self.known = {path: entry for path, entry in self.known.items() if os.path.exists(path)}
            with suppress(OSError):  # a full disk must not end the run
                write_text(self.path, json.dumps(self.known))
            self.is_new = False


@cache
def memory() -> Memory:
    """The memory of the working directory."""
    return Memory()


def fingerprint(paths: Iterable[str | Path]) -> str:
    """One digest over files and folders by content and relative name; touching a file does not change it.

    A path that does not exist or is not a readable regular file does not raise, so that the stage which reads it can
    report the problem.
    """
    total = sha256()
    for root in paths:
        files = sorted(_walk(Path(root)))
        digests = memory().digests(files)
        total.update(f"{os.fspath(root)}\0{len(files)}\0".encode())
        for file in files:
            total.update(f"{os.path.relpath(file, root)}\0{digests[os.fspath(file)]}\0".encode())
    return total.hexdigest()


def _walk(root: Path) -> list[Path]:
    if not fault(root):
        return [root]
    found = [Path(folder) / name for folder, _, names in os.walk(root, followlinks=True) for name in names]
    # The manifest stage reports broken links, pipes, and files that are too large.
    return [path for path in found if not fault(path, MOST_BYTES)]


def written(record: Mapping[str, Any]) -> dict[str, str]:
    """Digests by path of all files that a job wrote for other jobs: its outputs, and lists and snapshots besides them.

    The epoch that a training did not choose is left out, since it may be deleted.
    """
    files = record["files"].items()
    return {**record["outputs"], **{p: digest for p, digest in files if record["rule"] != "train" or is_snapshot(p)}}


def as_written(record: Mapping[str, Any], path: str) -> tuple[int, int, str] | None:
    """Size, mtime and digest of a job's file from its record; None if the record has no size or mtime."""
    size, time = (record.get(name, {}).get(path) for name in ("sizes", "times"))
    return None if size is None or time is None else (size, time, written(record)[path])


def damage(record: Mapping[str, Any]) -> dict[str, tuple[str, str | None]]:
    """Files of a job that have changed since it wrote them: path -> (digest in the record, current digest or None)."""
    now = {path: memory().digest(path, as_written(record, path)) for path in written(record)}
    return {path: (old, now[path]) for path, old in written(record).items() if now[path] != old}


def stamps(paths: Iterable[str]) -> dict[str, dict[str, int]]:
    """Sizes in bytes and mtimes in ns of files and folders, as stored in a record."""
    found = {path: place for path in paths if (place := stamp(path))}
    return {
        "sizes": {path: size for path, (size, _) in found.items()},
        "times": {path: time for path, (_, time) in found.items()},
    }
