"""Records that jobs write next to their outputs: recipe, digests of inputs and outputs, code, versions, machine.

Records determine what is up to date; mtimes do not (`goldfold.lineage.dates`).
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
"""Version of the format of records; records without a version have version 1."""
SUFFIX = "run.json"
HIDDEN = "."
"""First character of goldfold's internal folders below the results, which have no records."""
TEXT_BY_NAME = ("wildcards", "inputs", "outputs", "files", "code")
"""Parts of a record that map names to text."""
KINDS: dict[str, type | tuple[type, ...]] = {
    "rule": str, "recipe": dict, "logs": list, "git": dict, "versions": dict, "hardware": dict,
    "started": (int, float), "finished": (int, float), "seconds": (int, float),
    **dict.fromkeys(TEXT_BY_NAME, dict),
}  # fmt: skip
NOTED_NS = 60 * 10**9
"""Longest time between writing a record and Snakemake setting the mtimes of the job's outputs."""
OPTIONAL: dict[str, type] = {"sizes": dict, "times": dict, "images": dict}
"""Optional parts: sizes in bytes and mtimes in ns of outputs; number of images, by split (folds) or in total (cache)."""

Record = dict[str, Any]


def read(path: str | Path) -> Record | None:
    """Read the record at ``path``; None if it is missing or cannot be read."""
    try:
        return _read(os.fspath(path), os.stat(path).st_mtime_ns)
    except (OSError, ValueError, RecursionError):  # computing its digest may need one more level of recursion
        return None


@functools.cache
def _read(path: str, mtime_ns: int) -> Record | None:
    record = read_json(path)
    return record if _is_sound(record) else None


def _is_sound(record: Any) -> bool:
    """Return whether a record is unmodified, and all parts that goldfold reads are present and have the right type."""
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
    """Return whether a text is a valid path."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


def read_all(results: str | Path) -> dict[str, Record]:
    """Records below a folder of results by path, oldest job first."""
    records = {path: record for path in paths(results) if (record := read(path)) is not None}
    return dict(sorted(records.items(), key=lambda item: (item[1]["finished"], item[0])))


def paths(results: str | Path) -> list[str]:
    """Files below a folder of results that are named like records, including unreadable ones."""
    found, seen = [], set[str]()
    for folder, folders, names in os.walk(results, followlinks=True):
        if (real := os.path.realpath(folder)) in seen:
            folders[:] = []  # a link back to a visited folder
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(HIDDEN)]
        found += [os.path.join(folder, name) for name in names if _is_record(name)]
    return sorted(found)


def refuse_links_to_nothing(results: str | Path, known: dict[str, Record]) -> None:
    """Refuse broken links among the results, which Snakemake treats as files and whose mtime it cannot set.

    They are not removed, since the disk that they point to may only be missing temporarily.

    Raises:
        DataError: there are broken links.
    """
    names = (name for record in known.values() for name in contents.written(record))
    lost = [name for name in (*paths(results), *names) if os.path.islink(name) and not os.path.exists(name)]
    if lost:
        n = count(len(lost), "such result")
        raise DataError(
            f"{lost[0]} is a link to {os.readlink(lost[0])}, which does not exist ({n}). Restore the files (mount their disk, "
            "dvc checkout), or remove the links: the jobs that write them then run again."
        )


def refuse_newer(known: dict[str, Record]) -> None:
    """Refuse records with another schema, whose results this version of goldfold would make again.

    Raises:
        DataError: there are such records.
    """
    for path, record in known.items():
        if (schema := record.get("schema", SCHEMA)) != SCHEMA:
            raise DataError(
                f"{path} was written by another version of goldfold (schema {schema!r}; this version has {SCHEMA}). Update "
                f"goldfold, or give the run another name."
            )


def _is_record(name: str) -> bool:
    return name == SUFFIX or name.endswith(f".{SUFFIX}")


def is_cache(path: str | Path) -> bool:
    """Return whether ``path`` is part of the cache: results/<name>/cache/..."""
    return Path(path).parts[2:3] == ("cache",)


def maker(path: str | Path) -> tuple[str, Record] | None:
    """The path and content of the record of the job that wrote ``path``; None if no record lists it."""
    place = Path(path)
    beside = (place.with_suffix(f".{SUFFIX}"), place.parent / SUFFIX)
    for name in (*beside, place.parent.parent / SUFFIX, place.parent / "ensemble" / SUFFIX):
        record = read(name)
        if record is not None and os.fspath(path) in contents.written(record):
            return os.fspath(name), record
    return None


def input_digests(paths: Iterable[str]) -> dict[str, str]:
    """sha256 by path of files and folders that a job is about to read.

    Cache shards are large and read by many jobs, so they are not read here if size and mtime are those of their record.

    Raises:
        DataError: a file differs from the record of the job that wrote it, or a record is truncated or edited.
    """
    found = {}
    for path in paths:
        made = maker(path)
        known = contents.as_written(made[1], path) if made and made[1]["rule"] == "cache" else None
        found[path] = known[2] if known and _is_as_left(path, known) else _digest(path)
        if made and found[path] != (expected := contents.written(made[1])[path]):
            Path(path).touch()  # the next start checks the content of files with a new mtime
            raise DataError(
                f"{path} is not what its job wrote: {expected[:12]} in {made[0]}, {found[path][:12]} now. Something changed "
                "or damaged it. Run the same command again: the job that writes it runs first."
            )
    return found


def _is_as_left(path: str, known: tuple[int, int, str]) -> bool:
    """Return whether size and mtime match the record; the mtime may be up to `NOTED_NS` later, as set by Snakemake."""
    now = contents.stamp(path)
    return now is not None and now[0] == known[0] and 0 <= now[1] - known[1] <= NOTED_NS


def _digest(path: str) -> str:
    is_torn = _is_record(os.path.basename(path)) and read(path) is None
    if is_torn or contents.stamp(path) is None:
        raise DataError(
            f"{path} is not a readable {'record' if is_torn else 'file'}. Run the same command again: the job that writes it "
            "runs first."
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
    """Libraries whose installed version differs from that in a record."""
    for name, version in installed.items():
        if name in record["versions"] and record["versions"][name] != version:
            yield name, str(record["versions"][name]), str(version)


def overview(records: dict[str, Record]) -> dict[str, Any]:
    """Summary of the whole run: data, code, versions, hardware, inputs and outputs."""
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
        "versions": _distinct("versions", records),
        "hardware": _distinct("hardware", records),
        "code": _distinct("code", records),
        "data": data,
        "inputs": {p: d for record in records.values() for p, d in record["inputs"].items() if p not in made},
        "outputs": {p: d for record in records.values() for p, d in {**record["outputs"], **record["files"]}.items()},
    }


def _distinct(key: str, records: dict[str, Record]) -> dict[str, list[Any]]:
    """Distinct values of each part of ``key`` over all records."""
    values: dict[str, list[Any]] = {}
    for record in records.values():
        for name, value in record[key].items():
            if value not in values.setdefault(name, []):
                values[name].append(value)
    return values
