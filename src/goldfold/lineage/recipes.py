"""All that a job depends on besides its input files, as a file that looks new only where the job must run again."""

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

    Its time is long ago where the record says that the outputs were made by this very recipe, and later than theirs where
    not: so Snakemake, which looks at times, runs what must run, in a fresh clone too.

    Args:
        recipe: settings, digests of code and of raw data, as plain builtins.
        found: how its outputs stand, where that is known.
    """
    text = json.dumps(recipe, sort_keys=True, indent=1)
    # Each recipe has a file of its own: a dry run with other settings leaves that of a run that goes on as it is.
    # Each record has a folder of its own: Snakemake looks into a folder once, and would not see a file that is written later.
    path = FOLDER / record.removesuffix(".json") / f"{sha256(text.encode()).hexdigest()[:16]}.json"
    write_if_changed(path, text)  # one that is torn too
    when = _time(record, os.stat(path).st_mtime_ns, found or state(record, recipe))
    if os.stat(path).st_mtime_ns != when:
        os.utime(path, ns=(when, when))
    return os.fspath(path)


def _time(record: str, now_ns: int, found: "State") -> int:
    """Time of a recipe, in ns: long ago where its job is up to date, later than all outputs where it must run.

    Whatever the clock said then: outputs may be dated in the future. Where the record is missing, Snakemake compares the
    recipe with what was made from the missing outputs.
    """
    if found.is_fresh:
        return dates.LONG_AGO_NS
    made = records.read(record)
    if made is None:
        return max(time.time_ns(), dates.latest([record]) + dates.STEP_NS)
    return max(now_ns, dates.latest([*made["outputs"], *made["logs"], record]) + dates.STEP_NS)


@dataclass(frozen=True)
class State:
    """What the record of a job says of its outputs: made by the present recipe and whole, or else why not."""

    is_recorded: bool = True
    is_readable: bool = True
    is_same: bool = True
    damage: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    """Files that are not what the job wrote, see `goldfold.lineage.contents.damage`."""

    @property
    def is_fresh(self) -> bool:
        """Whether the job has nothing to do."""
        return self.is_recorded and self.is_readable and self.is_same and not self.damage


def state(
    record: str, recipe: Recipe, versions: dict[str, str | None] | None = None, expected: Collection[str] = ()
) -> State:
    """How the outputs of the job that writes ``record`` stand to the present recipe.

    Args:
        versions: libraries that must be the same as well.
        expected: outputs, and lists beside them, that the record must know.
    """
    if not os.path.lexists(record):
        return State(is_recorded=False)
    made = records.read(record)
    if made is None or not {*expected} - {record} <= {*made["outputs"], *made["files"]}:
        return State(is_readable=False)
    is_same = same(made["recipe"], recipe) and not (versions and any(records.version_changes(made, versions)))
    return State(is_same=is_same, damage=contents.damage(made) if is_same else {})


def forget(results: str) -> None:
    """Remove recipes of a folder of results that were written more than a day ago; one that is needed is written anew."""
    for path in (FOLDER / results).rglob("*.json"):
        if os.stat(path).st_ctime < time.time() - DAY_SECONDS:
            path.unlink(missing_ok=True)


def same(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes are the same once written, wherever the code that they name lies: its digest decides."""
    return _placeless(one) == json.loads(json.dumps(_placeless(other)))


def _placeless(recipe: Recipe) -> Recipe:
    code = recipe.get("code")
    return {**recipe, "code": {**code, "of": None}} if isinstance(code, dict) else recipe


def read(path: str | Path) -> Recipe:
    """The recipe at ``path``."""
    return dict(read_json(path))


def differences(old: Any, new: Any, where: str = "") -> dict[str, tuple[Any, Any]]:
    """Key path -> (old value, new value), None where there was or is none."""
    old, new = _by_name(old), _by_name(new)
    if isinstance(old, dict) and isinstance(new, dict):
        found: dict[str, tuple[Any, Any]] = {}
        for key in dict.fromkeys([*old, *new]):
            found |= differences(old.get(key), new.get(key), f"{where}.{key}" if where else str(key))
        return found
    return {} if old == new else {where: (old, new)}


def _by_name(value: Any) -> Any:
    """A list of things with names (models) as a dict, so that what differs is told by name, not by place."""
    if isinstance(value, list) and value and all(isinstance(e, dict) and isinstance(e.get("name"), str) for e in value):
        return {entry["name"]: {key: part for key, part in entry.items() if key != "name"} for entry in value}
    return value
