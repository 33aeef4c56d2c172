"""Recipe files: a job's dependencies besides its input files, with an mtime that triggers a rerun only if they changed."""

import json
import os
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from goldfold.base.files import read_json, write_if_changed
from goldfold.lineage import contents, dates, records

FOLDER = Path(".goldfold/recipes")
DAY_SECONDS = 86400

Recipe = dict[str, Any]


def keep(record: str, recipe: Recipe, found: "State | None" = None) -> str:
    """Write the recipe of the job that writes ``record``; return the file's path.

    Its mtime is long ago if the outputs were made by the same recipe according to the record, otherwise later than theirs:
    Snakemake, which compares mtimes, then runs the right jobs, also in a fresh clone.

    Args:
        recipe: settings, digests of code and of raw data, as plain builtins.
        found: state of its outputs, if known.
    """
    text = json.dumps(recipe, sort_keys=True, indent=1)
    # Each recipe has its own file: a dry run with other settings does not touch that of a run in progress.
    # Each record has its own folder: Snakemake lists a folder once, and would not see a file that is written later.
    path = FOLDER / record.removesuffix(".json") / f"{sha256(text.encode()).hexdigest()[:16]}.json"
    write_if_changed(path, text)  # also replaces a truncated file
    when = _time(record, os.stat(path).st_mtime_ns, found or state(record, recipe))
    if os.stat(path).st_mtime_ns != when:
        os.utime(path, ns=(when, when))
    return os.fspath(path)


def _time(record: str, now_ns: int, found: "State") -> int:
    """Mtime of a recipe in ns: long ago if its job is up to date, later than all outputs if it must run.

    Outputs may have mtimes in the future. Without a record, Snakemake compares the recipe with files made from the missing
    outputs.
    """
    if found.is_fresh:
        return dates.LONG_AGO_NS
    made = records.read(record)
    if made is None:
        return max(time.time_ns(), dates.latest([record]) + dates.STEP_NS)
    return max(now_ns, dates.latest([*made["outputs"], *made["logs"], record]) + dates.STEP_NS)


@dataclass(frozen=True)
class State:
    """State of a job's outputs according to its record: made by the present recipe and intact, or the reason why not."""

    is_recorded: bool = True
    is_readable: bool = True
    is_same: bool = True
    damage: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Files that changed after the job wrote them, see `goldfold.lineage.contents.damage`."""
    unlisted: list[str] = field(default_factory=list)
    """Files that the job would write now, and that its readable record does not list, as after a change of the folds."""

    @property
    def is_fresh(self) -> bool:
        """Return whether the job is up to date."""
        return self.is_recorded and self.is_readable and self.is_same and not self.damage and not self.unlisted


def state(
    record: str, recipe: Recipe, versions: dict[str, str | None] | None = None, expected: Collection[str] = ()
) -> State:
    """State of the outputs of the job that writes ``record``, compared with the present recipe.

    Args:
        versions: versions of libraries that must be the same too.
        expected: outputs, and lists besides them, that the record must list.
    """
    if not os.path.lexists(record):
        return State(is_recorded=False)
    made = records.read(record)
    if made is None:
        return State(is_readable=False)
    unlisted = sorted({*expected} - {record, *made["outputs"], *made["files"]})
    is_same = same(made["recipe"], recipe) and not (versions and any(records.version_changes(made, versions)))
    return State(is_same=is_same, damage=contents.damage(made) if is_same and not unlisted else {}, unlisted=unlisted)


def forget(results: str) -> None:
    """Remove recipes of a folder of results that are older than a day; recipes that are needed are written again."""
    for path in (FOLDER / results).rglob("*.json"):
        if os.stat(path).st_ctime < time.time() - DAY_SECONDS:
            path.unlink(missing_ok=True)


def same(one: Recipe, other: Recipe) -> bool:
    """Return whether two recipes are equal when written; of the code only the digest is compared, not the names."""
    return _placeless(one) == json.loads(json.dumps(_placeless(other)))


def _placeless(recipe: Recipe) -> Recipe:
    code = recipe.get("code")
    return {**recipe, "code": {**code, "of": None}} if isinstance(code, dict) else recipe


def read(path: str | Path) -> Recipe:
    """Read the recipe at ``path``."""
    return dict(read_json(path))


def differences(old: Any, new: Any, where: str = "") -> dict[str, tuple[Any, Any]]:
    """Key path -> (old value, new value), with None for a missing value."""
    old, new = _by_name(old), _by_name(new)
    if isinstance(old, dict) and isinstance(new, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in dict.fromkeys([*old, *new]):
            found |= differences(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
        return found
    return {} if old == new else {where: (old, new)}


def _by_name(value: Any) -> Any:
    """Convert a list of named objects (models) to a dict, so that differences are reported by name, not by index."""
    if isinstance(value, list) and value and all(isinstance(e, dict) and isinstance(e.get("name"), str) for e in value):
        return {entry["name"]: {key: part for key, part in entry.items() if key != "name"} for entry in value}
    return value
