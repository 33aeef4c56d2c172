"""Times of files, by which Snakemake decides what runs, made to agree with the records, by which goldfold does.

``git``, ``dvc``, archives and clocks set times as they please; contents against records say what is up to date.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from time import time_ns

from goldfold.lineage import contents
from goldfold.lineage.records import Record, is_cache, read

LONG_AGO_NS = 946684800 * 10**9
"""2000-01-01: the time of a recipe that its outputs were made by. Outputs that are older are dated again."""
STEP_NS = 1_000_000
"""Snakemake takes an input of the very time of an output for newer."""


def settle(records: dict[str, Record]) -> None:
    """Give outputs times no older than those of inputs that still hold what their job read, and younger than of others.

    After ``git clone`` and ``dvc pull``, or a ``touch``, an input may look newer than what was made from it. Only such
    inputs are read, and only once: their outputs are dated again, the oldest job's first. (Snakemake takes the file of
    a benchmark for an output, too.) An input that its own job has written again since looks newer, whatever its time.
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
    """Date all files before now, in the order of their jobs, where one is dated after it or before all recipes.

    The former comes of a clock that was set back: whatever is written from now on would look older than that file. The
    latter comes of archives and builds that know no time (zip, ``SOURCE_DATE_EPOCH=0``): every recipe would look newer.
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
    """Inputs of which their own job's record has another digest than this one read are newer than what it made."""
    for path, time in _times_of_inputs(record).items():
        if made.get(path, record["inputs"][path]) != record["inputs"][path] and time <= max(times.values()):
            contents.memory().redate(_dated(path), max(times.values()) + STEP_NS)


def is_fresh(name: str, recipe: str | Path, outputs: Iterable[str]) -> bool:
    """Whether all of ``outputs`` of the job that wrote the record ``name`` are there, and none is older than an input."""
    record = read(name)
    times = None if record is None else _times_of_outputs(name, record)
    if record is None or times is None or not {*outputs} <= {*record["outputs"], name}:
        return False
    newest = max([*_times_of_inputs(record).values(), os.stat(recipe).st_mtime_ns])
    return newest <= min(times.values())


def latest(paths: Iterable[str]) -> int:
    """The latest time, in ns, of those of ``paths`` that are there; 0 where none is."""
    return max((time for path in paths if (time := _mtime_ns(_dated(path))) is not None), default=0)


def _times_of_outputs(name: str, record: Record) -> dict[str, int] | None:
    """Times of what Snakemake takes for a job's outputs; None where one is missing."""
    found = {path: _mtime_ns(path) for path in map(_dated, (*record["outputs"], name))}
    times = {path: time for path, time in found.items() if time is not None}
    if len(times) < len(found):
        return None
    return times | {path: time for path in record["logs"] if (time := _mtime_ns(path)) is not None}


def _times_of_inputs(record: Record) -> dict[str, int]:
    """Times of the inputs that are there; a piece of cache may be deleted and made again, and matters to no other job."""
    paths = (path for path in record["inputs"] if not is_cache(path))
    return {path: time for path in paths if (time := _mtime_ns(_dated(path))) is not None}


def _dated(path: str) -> str:
    """The file from which Snakemake takes the time of ``path``."""
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
