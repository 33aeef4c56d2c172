"""What each job left behind, beside its outputs: its recipe, digests of what it read and wrote, code, versions, machine.

Records say what is up to date; times of files, which ``git`` and ``dvc`` set as they please, do not.
"""

import functools
import os
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from time import time_ns
from typing import Any

from goldfold.runtime.files import read_json
from goldfold.runtime.fingerprint import sha256_of

SUFFIX = "run.json"
TIMESTAMP = ".snakemake_timestamp"
"""Snakemake takes the time of a folder from this file in it."""

STEP_NS = 1_000_000
"""Snakemake takes an input of the very time of an output for newer."""

Record = dict[str, Any]


def read(path: str | Path) -> Record | None:
    """The record at ``path``; None where there is none that can be read."""
    try:
        return _read(os.fspath(path), os.stat(path).st_mtime_ns)
    except (OSError, ValueError):
        return None


@functools.cache
def _read(path: str, mtime_ns: int) -> Record | None:
    record = read_json(path)
    return record if isinstance(record, dict) and {"rule", "recipe", "inputs", "outputs"} <= record.keys() else None


def read_all(results: str | Path) -> dict[str, Record]:
    """Records below a folder of results by path, the oldest job first."""
    found = {os.path.join(folder, name) for folder, _, names in os.walk(results) for name in names if _is_record(name)}
    records = {path: record for path in found if (record := read(path)) is not None}
    return dict(sorted(records.items(), key=lambda item: (item[1]["finished"], item[0])))


def _is_record(name: str) -> bool:
    return name == SUFFIX or name.endswith(f".{SUFFIX}")


def is_cache(path: str | Path) -> bool:
    """Whether ``path`` is a piece of cache: results/<name>/cache/..."""
    return Path(path).parts[2:3] == ("cache",)


def digests(paths: Iterable[str | Path]) -> dict[str, str]:
    """sha256 of files and folders by path; what a record nearby already knows is not read again."""
    return {os.fspath(path): _known(Path(path)) or digest(path) for path in paths}


def digest(path: str | Path) -> str:
    """sha256 of a file's bytes, or of the names and bytes of all files of a folder."""
    path = Path(path)
    if not path.is_dir():
        return sha256_of(path)
    total = sha256()
    for file in sorted(file for file in path.rglob("*") if file.is_file() and file.name != TIMESTAMP):
        total.update(f"{file.relative_to(path)}\0{sha256_of(file)}\0".encode())
    return total.hexdigest()


def _known(path: Path) -> str | None:
    """Digest of a piece of cache as its own record has it: it is large, and read by many jobs."""
    record = read(path.parent / SUFFIX)
    return record["outputs"].get(os.fspath(path)) if record and record["rule"] == "cache" else None


def settle(records: dict[str, Record]) -> None:
    """Give outputs times no older than those of inputs that still hold what their job read, and younger than of others.

    After ``git clone`` and ``dvc pull``, or a ``touch``, an input may look newer than what was made from it. Only such
    inputs are read, and only once: their outputs are dated anew, the oldest job's first. (Snakemake takes the file of
    a benchmark for an output, too.) An input that its own job has made anew since looks newer, whatever its time.
    """
    _bring_back_from_the_future(records)
    made = {path: digest for record in records.values() for path, digest in _made(record)}
    for name, record in records.items():
        if (times := _times_of_outputs(name, record)) is not None:
            _date_what_was_made_anew(record, made, times)
    for name, record in records.items():
        if (times := _times_of_outputs(name, record)) is None:
            continue  # something is missing: the job runs anew
        newer = {path: time for path, time in _times_of_inputs(record).items() if time >= min(times.values())}
        if newer and all(digest(path) == record["inputs"][path] for path in newer):
            latest = max(newer.values()) + STEP_NS
            for path, time in times.items():
                if time < latest:
                    os.utime(path, ns=(latest, latest))


def _bring_back_from_the_future(records: dict[str, Record]) -> None:
    """Date all files before now, in the order of their jobs, where one is dated after it (a clock that was set back).

    Whatever is written from now on would look older than that file, and Snakemake would take it for out of date.
    """
    files = {name: [*record["outputs"], *record["files"], *record["logs"], name] for name, record in records.items()}
    there = {name: [_dated(path) for path in paths if os.path.exists(path)] for name, paths in files.items()}
    now = time_ns()
    if any(_mtime_ns(path) > now for paths in there.values() for path in paths):
        for number, paths in enumerate(reversed(there.values())):
            for path in paths:
                os.utime(path, ns=(now - (number + 1) * STEP_NS,) * 2)


def _date_what_was_made_anew(record: Record, made: dict[str, str], times: dict[str, int]) -> None:
    """Inputs of which their own job's record has another digest than this one read are newer than what it made."""
    for path, time in _times_of_inputs(record).items():
        if made.get(path, record["inputs"][path]) != record["inputs"][path] and time <= max(times.values()):
            latest = max(times.values()) + STEP_NS
            os.utime(_dated(path), ns=(latest, latest))


def _made(record: Record) -> Iterator[tuple[str, str]]:
    yield from record["outputs"].items()
    yield from record["files"].items()


def is_fresh(name: str, recipe: str | Path, outputs: Iterable[str]) -> bool:
    """Whether all of ``outputs`` of the job that wrote the record ``name`` are there, and none is older than an input."""
    record = read(name)
    times = None if record is None else _times_of_outputs(name, record)
    if record is None or times is None or not {*outputs} <= {*record["outputs"], name}:
        return False
    newest = max([*_times_of_inputs(record).values(), _mtime_ns(os.fspath(recipe))])
    return newest <= min(times.values())


def is_whole(record: Record) -> bool:
    """Whether what is there of a job's outputs has the size that it had, and the lists of the folds are there.

    Snakemake does not miss these, since the checkpoint does not declare them.
    """
    sizes = record.get("sizes", {})
    return all(os.path.getsize(path) == size for path, size in sizes.items() if os.path.isfile(path)) and (
        record["rule"] != "folds" or all(map(os.path.exists, record["files"]))
    )


def time_of_outputs(name: str, record: Record) -> int:
    """The latest time of the record ``name`` and of those of its outputs that are there, in ns."""
    paths = map(_dated, (path for path in (*record["outputs"], name) if os.path.exists(path)))
    return max(map(_mtime_ns, (*paths, *record["logs"])))


def _times_of_outputs(name: str, record: Record) -> dict[str, int] | None:
    """Times of what Snakemake takes for a job's outputs; None where one is missing."""
    times = {path: _mtime_ns(path) for path in map(_dated, (*record["outputs"], name))}
    if not all(times.values()):
        return None
    return times | {path: time for path in record["logs"] if (time := _mtime_ns(path))}


def _times_of_inputs(record: Record) -> dict[str, int]:
    """Times of the inputs that are there; a piece of cache may be deleted and made again, and matters to no other job."""
    paths = (path for path in record["inputs"] if not is_cache(path))
    return {path: time for path in paths if (time := _mtime_ns(_dated(path)))}


def _dated(path: str) -> str:
    """The file from which Snakemake takes the time of ``path``."""
    if not os.path.isdir(path):
        return path
    stamp = os.path.join(path, TIMESTAMP)
    Path(stamp).touch(exist_ok=True) if not os.path.exists(stamp) else None
    return stamp


def _mtime_ns(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def changed_versions(records: dict[str, Record], installed: dict[str, str | None]) -> dict[tuple[str, str, str], int]:
    """(library, old version, new version) -> number of records made with the old one."""
    counts: dict[tuple[str, str, str], int] = {}
    for record in records.values():
        for change in version_changes(record, installed):
            counts[change] = counts.get(change, 0) + 1
    return counts


def version_changes(record: Record, installed: dict[str, str | None]) -> Iterator[tuple[str, str, str]]:
    """Libraries that are installed in another version than the one a record was made with."""
    for name, version in installed.items():
        if name in record["versions"] and record["versions"][name] != version:
            yield name, str(record["versions"][name]), str(version)


def overview(records: dict[str, Record]) -> dict[str, Any]:
    """The run as a whole: what all was made from, by which code and versions, on what, and what came out."""
    made = {path for record in records.values() for path in (*record["outputs"], *record["files"], *records)}
    data: dict[str, Any] = {}
    for record in records.values():
        data |= record["recipe"]["data"] if record["rule"] == "manifest" else {}
    last = next(reversed(records.values()))
    return {
        "jobs": len(records),
        "records": list(records),
        "trainings": sum(record["rule"] == "train" for record in records.values()),
        "seconds": round(sum(record["seconds"] for record in records.values()), 1),
        "started": min(record["started"] for record in records.values()),
        "finished": last["finished"],
        "git": last["git"],
        "versions": _told("versions", records),
        "hardware": _told("hardware", records),
        "code": _told("code", records),
        "data": data,
        "inputs": {p: d for record in records.values() for p, d in record["inputs"].items() if p not in made},
        "outputs": {p: d for record in records.values() for p, d in {**record["outputs"], **record["files"]}.items()},
    }


def _told(key: str, records: dict[str, Record]) -> dict[str, list[Any]]:
    """Each value that the records have of each part of ``key``; more than one where they differ."""
    values: dict[str, list[Any]] = {}
    for record in records.values():
        for name, value in record[key].items():
            if value not in values.setdefault(name, []):
                values[name].append(value)
    return values
