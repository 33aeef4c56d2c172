"""Find why each job would run: the setting, code, data or file that changed, old -> new, and its cost."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

from goldfold.base import scheduled
from goldfold.base.errors import GoldfoldError
from goldfold.base.files import read_json
from goldfold.lineage import provenance, recipes, records
from goldfold.lineage.staleness import Cause, causes
from goldfold.planning.plan import STAGES, UPSTREAM


@dataclass
class Job:
    """A job that would run."""

    rule: str
    wildcards: dict[str, str]
    causes: list[Cause] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    """Stages that run before it and give it new files."""
    seconds: float | None = None
    """Duration of its last run, or of similar jobs; None if none has run."""
    is_certain: bool = True
    """True if it runs regardless of the new folds."""


def jobs(words: Sequence[str]) -> list[Job]:
    """Jobs that ``snakemake`` with these arguments would run, each with its causes; nothing is run.

    Raises:
        GoldfoldError: Snakemake fails; its own text follows.
    """
    planned = sorted(_planned(words), key=lambda entry: (STAGES.index(entry["rule"]), entry["record"]))
    made_by = {path: entry["rule"] for entry in planned for path in entry["outputs"]}
    takes = _durations({str(Path(*Path(entry["record"]).parts[:2])) for entry in planned})
    found = [_explained(entry, made_by, takes) for entry in planned]
    _mark_certain(planned, found)
    return found


def make_folds(words: Sequence[str]) -> None:
    """Run manifest and folds, so that the jobs after them are known.

    Raises:
        GoldfoldError: one of them fails; Snakemake's own text follows.
    """
    _snakemake("--until=folds", *words)


def _planned(words: Sequence[str]) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "plan.json"
        _snakemake("--dry-run", *words, environment={scheduled.VARIABLE: str(path)})
        return list(read_json(path))


def _snakemake(*words: str, environment: dict[str, str] | None = None) -> None:
    snakefile = [] if Path("Snakefile").exists() else ["--snakefile", str(provenance.ROOT / "Snakefile")]
    command = [sys.executable, "-m", "snakemake", *snakefile, *words]
    run = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **(environment or {})})
    if run.returncode:
        raise GoldfoldError(f"snakemake failed:\n{run.stdout}{run.stderr}".rstrip())


def _explained(entry: dict[str, Any], made_by: dict[str, str], takes: dict[tuple[str, ...], float]) -> Job:
    record = records.read(entry["record"])
    before = [made_by[path] for path in entry["inputs"] if path in made_by]
    if entry["rule"] not in UPSTREAM and "folds" in made_by.values():
        before.append("folds")
    job = Job(entry["rule"], entry["wildcards"], after=sorted(set(before), key=STAGES.index))
    job.causes = (
        [Cause("forced", "requested by name, or its last run did not finish")]
        if entry["forced"]
        else list(causes(entry["record"], recipes.read(entry["recipe"]), entry["inputs"], entry["outputs"], made_by))
    )
    model = entry["wildcards"].get("model", "")
    own = record["seconds"] if record else None
    job.seconds = next((time for time in (own, takes.get((job.rule, model)), takes.get((job.rule,))) if time), None)
    return job


def _mark_certain(planned: Sequence[dict[str, Any]], found: Sequence[Job]) -> None:
    """Mark jobs that run regardless of new folds: those with a cause of their own, and those downstream of these."""
    if not any(job.rule == "folds" for job in found):
        return
    sure: set[str] = set()
    for job in found:
        job.is_certain = job.rule in UPSTREAM or bool(job.causes)
    for _ in found:  # at most as many times as the longest chain of jobs
        before = len(sure)
        for entry, job in zip(planned, found, strict=True):
            job.is_certain = job.is_certain or not sure.isdisjoint(entry["inputs"])
            if job.is_certain and job.rule not in UPSTREAM:
                sure.update(entry["outputs"])
        if len(sure) == before:
            return


def _durations(folders: set[str]) -> dict[tuple[str, ...], float]:
    """Mean seconds by stage and model, and by stage, of all records below ``folders``."""
    times: dict[tuple[str, ...], list[float]] = {}
    for folder in folders:
        for record in records.read_all(folder).values():
            for key in ((record["rule"],), (record["rule"], record["wildcards"].get("model", ""))):
                times.setdefault(key, []).append(record["seconds"])
    return {key: mean(values) for key, values in times.items()}
