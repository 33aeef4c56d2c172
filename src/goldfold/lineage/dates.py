"""Synchronisation of mtimes, by which Snakemake decides what runs, with the records, by which goldfold does.

``git``, ``dvc``, archives and clocks set arbitrary mtimes; contents compared with records show what is up to date.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from time import time_ns

from goldfold.lineage import contents
from goldfold.lineage.records import Record, is_cache, read

LONG_AGO_NS = 946684800 * 10**9
"""2000-01-01: mtime of a recipe whose outputs are up to date. Older outputs get a new mtime."""
STEP_NS = 1_000_000
"""Smallest difference of mtimes: Snakemake treats an input with the same mtime as its output as newer."""


def settle(records: dict[str, Record]) -> None:
    """Make outputs newer than inputs that are unchanged since their job read them, and older than changed ones.

    After ``git clone`` and ``dvc pull``, or a ``touch``, an input may look newer than its outputs. Only such inputs are
    read, and only once: their outputs get new mtimes, oldest job first. (Snakemake treats the benchmark file as an output
    too.) An input that its own job has written again since is made newer.
    """
    _bring_into_range(records)
    made = {path: digest for record in records.values() for path, digest in contents.written(record).items()}
    for name, record in records.items():
        if (times := _times_of_outputs(name, record)) is not None:
            _date_what_was_made_again(record, made, times)
    for name, record in records.items():
        if (times := _times_of_outputs(name, record)) is None:
            continue  # something is missing: the job runs again
        newer = {path: time for path, time in _times_of_inputs(record).items() if time >= min(times.values())}
        if newer and all(contents.memory().digest(path) == record["inputs"][path] for path in newer):
            latest = max(newer.values()) + STEP_NS
            for path, time in times.items():
                if time < latest:
                    contents.memory().redate(path, latest)


def _bring_into_range(records: dict[str, Record]) -> None:
    """Set all mtimes to before now, in the order of the jobs, if any is in the future or before all recipes.

    The former is caused by a clock that was set back: all files written from now on would look older than that file. The
    latter is caused by archives and builds without times (zip, ``SOURCE_DATE_EPOCH=0``): every recipe would look newer.
    """
    files = {name: [*record["outputs"], *record["files"], *record["logs"], name] for name, record in records.items()}
    there = {name: [_dated(path) for path in paths if os.path.exists(path)] for name, paths in files.items()}
    now = time_ns()
    times = [time for paths in there.values() for path in paths if (time := _mtime_ns(path)) is not None]
    if any(not LONG_AGO_NS < time <= now for time in times):
        for number, paths in enumerate(reversed(there.values())):
            for path in paths:
                contents.memory().redate(path, now - (number + 1) * STEP_NS)


def _date_what_was_made_again(record: Record, made: dict[str, str], times: dict[str, int]) -> None:
    """Make inputs newer than the outputs if they were written again, with another digest than the job read."""
    for path, time in _times_of_inputs(record).items():
        if made.get(path, record["inputs"][path]) != record["inputs"][path] and time <= max(times.values()):
            contents.memory().redate(_dated(path), max(times.values()) + STEP_NS)


def is_fresh(name: str, recipe: str | Path, outputs: Iterable[str]) -> bool:
    """Return whether all ``outputs`` of the job that wrote the record ``name`` exist, and none is older than an input."""
    record = read(name)
    times = None if record is None else _times_of_outputs(name, record)
    if record is None or times is None or not {*outputs} <= {*record["outputs"], name}:
        return False
    newest = max([*_times_of_inputs(record).values(), os.stat(recipe).st_mtime_ns])
    return newest <= min(times.values())


def latest(paths: Iterable[str]) -> int:
    """The latest mtime in ns of existing ``paths``; 0 if none exists."""
    return max((time for path in paths if (time := _mtime_ns(_dated(path))) is not None), default=0)


def _times_of_outputs(name: str, record: Record) -> dict[str, int] | None:
    """Mtimes of all files that Snakemake treats as a job's outputs; None if one is missing."""
    found = {path: _mtime_ns(path) for path in map(_dated, (*record["outputs"], name))}
    times = {path: time for path, time in found.items() if time is not None}
    if len(times) < len(found):
        return None
    return times | {path: time for path in record["logs"] if (time := _mtime_ns(path)) is not None}


def _times_of_inputs(record: Record) -> dict[str, int]:
    """Mtimes of existing inputs, without cache shards, which may be deleted and made again."""
    paths = (path for path in record["inputs"] if not is_cache(path))
    return {path: time for path in paths if (time := _mtime_ns(_dated(path))) is not None}


def _dated(path: str) -> str:
    """The file whose mtime Snakemake uses for ``path``."""
    if not os.path.isdir(path):
        return path
    stamp = os.path.join(path, contents.TIMESTAMP)
    Path(stamp).touch(exist_ok=True) if not os.path.exists(stamp) else None
    return stamp


def _mtime_ns(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None
