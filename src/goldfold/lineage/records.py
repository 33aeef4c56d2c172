"""What each job left behind, beside its outputs: its recipe, digests of what it read and wrote, code, versions, machine.

Records say what is up to date; times of files do not (`goldfold.lineage.dates`).
"""

import functools
import math
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from goldfold.base.errors import DataError
from goldfold.base.files import is_intact, read_json
from goldfold.base.words import count
from goldfold.lineage import contents

SCHEMA = 1
"""Version of what records hold; those without one are of version 1."""
SUFFIX = "run.json"
HIDDEN = "."
"""First character of folders of goldfold's own below the results, in which no record is looked for."""
TEXT_BY_NAME = ("wildcards", "inputs", "outputs", "files", "code")
"""Parts of a record that are objects of text by name."""
KINDS: dict[str, type | tuple[type, ...]] = {
    "rule": str, "recipe": dict, "logs": list, "git": dict, "versions": dict, "hardware": dict,
    "started": (int, float), "finished": (int, float), "seconds": (int, float),
    **dict.fromkeys(TEXT_BY_NAME, dict),
}  # fmt: skip
NOTED_NS = 60 * 10**9
"""Snakemake dates a job's outputs once it has seen the job's end, up to so long after the record was written."""
OPTIONAL: dict[str, type] = {"sizes": dict, "times": dict, "images": dict}
"""Parts that not every job writes: sizes in bytes and times in ns of outputs, images by split (folds), or a number (cache)."""

Record = dict[str, Any]


def read(path: str | Path) -> Record | None:
    """The record at ``path``; None where there is none that can be read."""
    try:
        return _read(os.fspath(path), os.stat(path).st_mtime_ns)
    except (OSError, ValueError, RecursionError):  # its digest may take one level more than it could be read with
        return None


@functools.cache
def _read(path: str, mtime_ns: int) -> Record | None:
    record = read_json(path)
    return record if _is_sound(record) else None


def _is_sound(record: Any) -> bool:
    """Whether a record is as it was written, and all parts that goldfold reads are there and of their kind."""
    if not isinstance(record, dict) or not all(isinstance(record.get(name), kind) for name, kind in KINDS.items()):
        return False
    if not is_intact(record):
        return False
    if not all(map(math.isfinite, (record["started"], record["finished"], record["seconds"]))):
        return False
    recipe, optional = record["recipe"], {name: kind for name, kind in OPTIONAL.items() if name in record}
    if record["rule"] == "cache":
        optional.pop("images", None)
    return (
        all(isinstance(value, str) for name in TEXT_BY_NAME for value in record[name].values())
        and all(isinstance(recipe.get(name), dict) for name in ("settings", "data", "code"))
        and all(isinstance(path, str) for path in record["logs"])
        and all(_is_path(path) for name in ("inputs", "outputs", "files", "logs") for path in record[name])
        and all(isinstance(record[name], kind) for name, kind in optional.items())
        and all(isinstance(value, int) for name in optional for value in record[name].values())
    )


def _is_path(text: str) -> bool:
    """Whether a file may be called so."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def read_all(results: str | Path) -> dict[str, Record]:
    """Records below a folder of results by path, the oldest job first."""
    records = {path: record for path in paths(results) if (record := read(path)) is not None}
    return dict(sorted(records.items(), key=lambda item: (item[1]["finished"], item[0])))


def paths(results: str | Path) -> list[str]:
    """Files below a folder of results that are records by their names, those that cannot be read included."""
    found, seen = [], set[str]()
    for folder, folders, names in os.walk(results, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            folders[:] = []  # a link back into what was walked
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(HIDDEN)]
        found += [os.path.join(folder, name) for name in names if _is_record(name)]
    return sorted(found)


def refuse_links_to_nothing(results: str | Path, known: dict[str, Record]) -> None:
    """Look for results that are links to what is not there, which Snakemake takes for files and cannot date.

    They are not removed: the disk that they lead to may only be missing for the time.

    Raises:
        DataError: there are some.
    """
    names = (name for record in known.values() for name in contents.written(record))
    lost = [name for name in (*paths(results), *names) if os.path.islink(name) and not os.path.exists(name)]
    if lost:
        n = count(len(lost), "such result")
        raise DataError(
            f"{lost[0]} is a link to {os.readlink(lost[0])}, which is not there ({n}). Bring the files back (mount their disk, "
            "dvc checkout), or remove the links: the jobs that write them then run again."
        )


def refuse_newer(known: dict[str, Record]) -> None:
    """Look for records of a later version of goldfold, whose results this one would make again.

    Raises:
        DataError: there are some.
    """
    for path, record in known.items():
        if (schema := record.get("schema", SCHEMA)) != SCHEMA:
            raise DataError(
                f"{path} was written by another version of goldfold (schema {schema!r}; this one knows {SCHEMA}). Update "
                f"goldfold, or give the run another name."
            )


def _is_record(name: str) -> bool:
    return name == SUFFIX or name.endswith(f".{SUFFIX}")


def is_cache(path: str | Path) -> bool:
    """Whether ``path`` is a piece of cache: results/<name>/cache/..."""
    return Path(path).parts[2:3] == ("cache",)


def maker(path: str | Path) -> tuple[str, Record] | None:
    """The record, and its path, of the job that wrote ``path``; None where no record has it."""
    place = Path(path)
    beside = (place.with_suffix(f".{SUFFIX}"), place.parent / SUFFIX)
    for name in (*beside, place.parent.parent / SUFFIX, place.parent / "ensemble" / SUFFIX):
        record = read(name)
        if record is not None and os.fspath(path) in contents.written(record):
            return os.fspath(name), record
    return None


def input_digests(paths: Iterable[str]) -> dict[str, str]:
    """sha256, by path, of files and folders that a job is about to read.

    A piece of cache is large and read by many jobs: one of the size and time that its own record has is not read here.

    Raises:
        DataError: a file is not what the job that wrote it recorded, or a record is torn or edited.
    """
    found = {}
    for path in paths:
        made = maker(path)
        known = contents.as_written(made[1], path) if made and made[1]["rule"] == "cache" else None
        found[path] = known[2] if known and _is_as_left(path, known) else _digest(path)
        if made and found[path] != (expected := contents.written(made[1])[path]):
            Path(path).touch()  # seen by the next start, which looks at contents where a time is new
            raise DataError(
                f"{path} is not what its job wrote: {expected[:12]} in {made[0]}, {found[path][:12]} now. Something changed "
                "or damaged it. Run the same command again: the job that writes it runs first."
            )
    return found


def _is_as_left(path: str, known: tuple[int, int, str]) -> bool:
    """Whether size and time are those of the record, or the time is that at which Snakemake took note of the job's end."""
    now = contents.stamp(path)
    return now is not None and now[0] == known[0] and 0 <= now[1] - known[1] <= NOTED_NS


def _digest(path: str) -> str:
    is_torn = _is_record(os.path.basename(path)) and read(path) is None
    if is_torn or contents.stamp(path) is None:
        raise DataError(
            f"{path} is no {'record' if is_torn else 'file'} that can be read. Run the same command again: the job that "
            "writes it runs first."
        )
    return contents.digest(path)


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
