"""Why each job would run: the setting, code, data or file that changed, old -> new, and what it will cost."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from goldfold.runtime import contents, plan, provenance, recipes, records
from goldfold.runtime.errors import GoldfoldError
from goldfold.runtime.files import read_json

UPSTREAM = ("manifest", "folds")
STAGES = (*UPSTREAM, "cache", "train", "predict", "pseudo_label", "ensemble", "submit", "report")


@dataclass(frozen=True)
class Cause:
    """One thing that changed: its kind, name, old and new value.

    Kinds: setting, code, data (by digest), named (data that the config names), input, output (by digest), missing,
    unreadable (a record), version, forced, new.
    """

    kind: str
    name: str
    old: Any = None
    new: Any = None

    def __str__(self) -> str:
        if self.kind in ("new", "forced"):
            return self.name
        if self.kind == "missing":
            return f"{self.name} is missing"
        if self.kind == "unreadable":
            return f"{self.name} cannot be read as a record"
        if self.kind == "output":
            return f"{self.name} is not what its job wrote ({_short(self.old)[:8]} -> {_short(self.new)[:8]})"
        if self.kind == "named" and None in (self.old, self.new):
            return f"the config {'now' if self.old is None else 'no longer'} names {self.name}"
        if self.kind in ("code", "data", "named", "input"):
            change = "is new" if self.old is None else "is gone" if self.new is None else "changed"
            digests = f" ({self.old[:8]} -> {self.new[:8]})" if self.old and self.new else ""
            return f"{'code of ' if self.kind == 'code' else ''}{self.name} {change}{digests}"
        return f"{self.name}: {_short(self.old)} -> {_short(self.new)}"


@dataclass
class Job:
    """A job that would run."""

    rule: str
    wildcards: dict[str, str]
    causes: list[Cause] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    """Stages that run before it and hand it new files."""
    seconds: float | None = None
    """As long as it took the last time, or others like it; None where none ever ran."""
    is_certain: bool = True
    """Whether it runs whatever the folds will be."""


def jobs(words: Sequence[str]) -> list[Job]:
    """Jobs that ``snakemake`` with these arguments would run, each with its causes; nothing is run.

    Raises:
        GoldfoldError: Snakemake refuses; its own text follows.
    """
    planned = sorted(_planned(words), key=lambda entry: (STAGES.index(entry["rule"]), entry["record"]))
    made_by = {path: entry["rule"] for entry in planned for path in entry["outputs"]}
    takes = _durations({str(Path(*Path(entry["record"]).parts[:2])) for entry in planned})
    found = [_explained(entry, made_by, takes) for entry in planned]
    _mark_what_hangs_on_the_folds(planned, found)
    return found


def make_folds(words: Sequence[str]) -> None:
    """Run manifest and folds, so that what comes after them is known.

    Raises:
        GoldfoldError: one of them fails; Snakemake's own text follows.
    """
    _snakemake("--until=folds", *words)


def _planned(words: Sequence[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        _snakemake("--dry-run", *words, environment={plan.VARIABLE: str(path)})
        return list(read_json(path))


def _snakemake(*words: str, environment: dict[str, str] | None = None) -> None:
    snakefile = [] if Path("Snakefile").exists() else ["--snakefile", str(provenance.ROOT / "Snakefile")]
    command = [sys.executable, "-m", "snakemake", *snakefile, *words]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if run.returncode:
        raise GoldfoldError(f"snakemake refuses:\n{run.stdout}{run.stderr}".rstrip())


def _explained(entry: dict[str, Any], made_by: dict[str, str], takes: dict[tuple[str, ...], float]) -> Job:
    record = records.read(entry["record"])
    before = [made_by[path] for path in entry["inputs"] if path in made_by]
    if entry["rule"] not in UPSTREAM and "folds" in made_by.values():
        before.append("folds")
    job = Job(entry["rule"], entry["wildcards"], after=sorted(set(before), key=STAGES.index))
    job.causes = (
        [Cause("forced", "asked for by name, or its last run did not end")]
        if entry["forced"]
        else list(_causes(entry, record, made_by))
    )
    model = entry["wildcards"].get("model", "")
    own = record["seconds"] if record else None
    job.seconds = next((time for time in (own, takes.get((job.rule, model)), takes.get((job.rule,))) if time), None)
    return job


def _mark_what_hangs_on_the_folds(planned: Sequence[dict[str, Any]], found: Sequence[Job]) -> None:
    """Where the folds are to be made, a job below them is certain for a cause of its own, or below one that is certain."""
    if not any(job.rule == "folds" for job in found):
        return
    sure: set[str] = set()
    for job in found:
        job.is_certain = job.rule in UPSTREAM or bool(job.causes)
    for _ in found:  # as many times as the longest chain of jobs, at most
        before = len(sure)
        for entry, job in zip(planned, found, strict=True):
            job.is_certain = job.is_certain or not sure.isdisjoint(entry["inputs"])
            if job.is_certain and job.rule not in UPSTREAM:
                sure.update(entry["outputs"])
        if len(sure) == before:
            return


def _causes(entry: dict[str, Any], record: records.Record | None, made_by: dict[str, str]) -> Iterator[Cause]:
    missing = [path for path in entry["outputs"] if not os.path.lexists(path)]
    if record is None:
        if os.path.lexists(entry["record"]):
            yield Cause("unreadable", entry["record"])
        elif len(missing) < len(entry["outputs"]) or entry["record"] in _recorded(entry["record"]):
            yield Cause("missing", entry["record"])
        else:
            yield Cause("new", "never made before")
        return
    yield from (Cause("missing", path) for path in missing)
    for path, (old, new) in contents.damage(record).items():
        if path not in missing:
            yield Cause("output", path, old, new) if new else Cause("missing", path)
    yield from _recipe_causes(record, recipes.read(entry["recipe"]))
    if all(record["inputs"].get(path) is None or path in made_by for path in entry["inputs"]):
        return
    for path, old in record["inputs"].items():
        if (
            path not in made_by
            and not records.is_cache(path)
            and os.path.exists(path)
            and (new := contents.digest(path)) != old
        ):
            yield Cause("input", path, old, new)


def _recorded(record: str) -> list[str]:
    """Records of the last finished run in the same folder of results."""
    try:
        return list(read_json(Path(*Path(record).parts[:2]) / "provenance.json")["records"])
    except (OSError, ValueError, TypeError, KeyError):
        return []


def _recipe_causes(record: records.Record, recipe: recipes.Recipe) -> Iterator[Cause]:
    for name, (old, new) in recipes.differences(record["recipe"]["settings"], recipe["settings"]).items():
        yield Cause("setting", name, old, new)
    for name, (old, new) in recipes.differences(record["recipe"]["data"], recipe["data"]).items():
        changed = list(_changed_images(record, name)) if record["rule"] == "manifest" and os.path.isdir(name) else []
        yield from changed or [Cause("named", name, old, new)]
    if record["recipe"]["code"] != recipe["code"]:
        table = provenance.code_of(recipe)
        changes = recipes.differences({"code": record["code"]}, {"code": table})
        files = [Cause("code", name.removeprefix("code."), old, new) for name, (old, new) in changes.items()]
        yield from files or [Cause("code", "data/building.py, by which images are cached,", "-", "-")]
    for name, old, new in records.version_changes(record, provenance.versions(provenance.SHAPING)):
        yield Cause("version", name, old, new)


def _changed_images(record: records.Record, folder: str) -> Iterator[Cause]:
    """Images below ``folder`` that differ from what the manifest's tables have."""
    import csv

    csv.field_size_limit(sys.maxsize)  # run lengths of a large image are longer than the 128 KiB that a field may have
    known: dict[str, str] = {}
    for table in (path for path in record["outputs"] if path.endswith(".csv")):
        with open(table, encoding="utf-8", newline="") as stream:
            known |= {row["path"]: row["sha256"] for row in csv.DictReader(stream) if row.get("sha256")}
    inside = {path: old for path, old in known.items() if Path(path).is_relative_to(folder)}
    there = contents.memory().digests(path for path in inside if os.path.exists(path))
    for path, old in inside.items():
        new = there.get(path)
        if new != old:
            yield Cause("data", path, old, new)


def _durations(folders: set[str]) -> dict[tuple[str, ...], float]:
    """Mean seconds by stage and model, and by stage, of all that is recorded below ``folders``."""
    times: dict[tuple[str, ...], list[float]] = {}
    for folder in folders:
        for record in records.read_all(folder).values():
            for key in ((record["rule"],), (record["rule"], record["wildcards"].get("model", ""))):
                times.setdefault(key, []).append(record["seconds"])
    return {key: mean(values) for key, values in times.items()}


def _short(value: Any) -> str:
    if value is None:
        return "none"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
