"""All that a job depends on besides its input files, as a file that looks new only where the job must run again."""

import json
import os
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

from goldfold.runtime import records
from goldfold.runtime.files import read_json, write_text

FOLDER = Path(".goldfold/recipes")
LONG_AGO_NS = 946684800 * 10**9
"""2000-01-01: older than any output."""
DAY_SECONDS = 86400

Recipe = dict[str, Any]


def keep(record: str, recipe: Recipe, versions: dict[str, str | None] | None = None) -> str:
    """Write the recipe of the job that writes ``record``; return the file's path.

    Its time is long ago where the record says that the outputs were made by this very recipe, and later than theirs where
    not: so Snakemake, which looks at times, runs what must run, in a fresh clone too.

    Args:
        recipe: settings, digests of code and of raw data, as plain builtins.
        versions: libraries that must be the same as well.
    """
    text = json.dumps(recipe, sort_keys=True, indent=1)
    # Each recipe has a file of its own: a dry run with other settings leaves that of a run that goes on as it is.
    path = FOLDER / f"{record.removesuffix('.json')}.{sha256(text.encode()).hexdigest()[:16]}.json"
    if not path.exists():
        write_text(path, text)
    last = _last_made_by_another(record, recipe, versions)
    when = LONG_AGO_NS if last is None else max(os.stat(path).st_mtime_ns, last + records.STEP_NS)
    if os.stat(path).st_mtime_ns != when:
        os.utime(path, ns=(when, when))
    return os.fspath(path)


def _last_made_by_another(record: str, recipe: Recipe, versions: dict[str, str | None] | None) -> int | None:
    """The latest time of what another recipe made, in ns; None where all is of this one, or still to be made.

    Whatever the clock said then: outputs may be dated in the future.
    """
    if not os.path.exists(record):
        return None  # an output that is missing, which Snakemake sees
    made = records.read(record)
    if made is None:
        return os.stat(record).st_mtime_ns  # torn, or of another kind
    is_same = same(made["recipe"], recipe) and not (versions and any(records.version_changes(made, versions)))
    return None if is_same and records.is_whole(made) else records.time_of_outputs(record, made)


def forget(results: str) -> None:
    """Remove recipes of a folder of results that were written more than a day ago; one that is needed is written anew."""
    for path in (FOLDER / results).rglob("*.json"):
        if os.stat(path).st_ctime < time.time() - DAY_SECONDS:
            path.unlink(missing_ok=True)


def same(one: Recipe, other: Recipe) -> bool:
    """Whether two recipes are the same once written."""
    return one == other or one == json.loads(json.dumps(other))


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
    if isinstance(value, list) and value and all(isinstance(entry, dict) and "name" in entry for entry in value):
        return {entry["name"]: {key: part for key, part in entry.items() if key != "name"} for entry in value}
    return value
