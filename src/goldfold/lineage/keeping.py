"""Backup of results during a run, since Snakemake deletes a job's outputs when the job starts."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from goldfold.lineage import contents
from goldfold.lineage.records import Record, is_cache, paths, read, read_all

FOLDER = ".kept"


def keep(results: str | Path) -> None:
    """Make a hard link to every result with a record, except cache shards; nothing is copied.

    Files are always replaced as a whole, never written in place, so the links keep the earlier content.
    """
    root = Path(results)
    forget(root)
    for name, record in read_all(root).items():
        if record["rule"] != "cache":
            for path in _inside(root, name, record):
                _link(path, root / FOLDER / path.relative_to(root))


def put_back(results: str | Path) -> list[str]:
    """Restore the earlier outputs of jobs that did not finish; return the paths of their records.

    A job that did not finish has no record, since Snakemake deleted it when the job started.
    """
    root = Path(results)
    kept, returned = root / FOLDER, []
    for copy in map(Path, paths(kept)):
        name, record = root / copy.relative_to(kept), read(copy)
        if record is not None and not os.path.lexists(name):
            for path in _inside(root, os.fspath(name), record):
                _restore(kept / path.relative_to(root), path)
            returned.append(os.fspath(name))
    forget(root)
    return sorted(returned)


def forget(results: str | Path) -> None:
    """Remove the backup links."""
    shutil.rmtree(Path(results) / FOLDER, ignore_errors=True)


def _inside(root: Path, name: str, record: Record) -> Iterator[Path]:
    """Files and folders of a job below the results; its record is last, so that it implies all others."""
    for path in map(Path, (*contents.written(record), name)):
        if path.is_relative_to(root) and not is_cache(path):
            yield path


def _link(path: Path, copy: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.copytree(path, copy, copy_function=_link_file, dirs_exist_ok=True)
    elif os.path.lexists(path):
        copy.parent.mkdir(parents=True, exist_ok=True)
        _link_file(path, copy)


def _link_file(path: str | Path, copy: str | Path) -> None:
    try:
        os.link(path, copy, follow_symlinks=False)
    except OSError:  # the file system has no hard links
        shutil.copy2(path, copy, follow_symlinks=False)


def _restore(copy: Path, path: Path) -> None:
    if not os.path.lexists(copy):
        return
    if copy.is_dir() and not copy.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.replace(copy, path)
