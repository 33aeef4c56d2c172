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
from goldfold.planning.jobs import CROPPING, DETECTOR, stage_of
from goldfold.planning.plan import STAGES, UPSTREAM


@dataclass
class Job:
    """A job that would run."""

    rule: str
    """Its stage."""
    wildcards: dict[str, str]
    causes: list[Cause] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    """Stages that run before it and give it new files."""
    seconds: float | None = None
    """Duration of its last run, or of similar jobs; None if none has run."""
    is_certain: bool = True
    """True if it runs regardless of the new folds."""
    is_detector: bool = False
    """True if it is a job of the detector by whose boxes images are cropped."""


def jobs(words: Sequence[str]) -> list[Job]:
    """Jobs that ``snakemake`` with these arguments would run, each with its causes; nothing is run.

    Raises:
        GoldfoldError: Snakemake fails; its own text follows.
    """
    planned = sorted(_planned(words), key=lambda entry: (*_place(entry["rule"]), entry["record"]))
    made_by = {path: entry["rule"] for entry in planned for path in entry["outputs"]}
    takes = _durations({str(Path(*Path(entry["record"]).parts[:2])) for entry in planned})
    found = [_explained(entry, made_by, takes) for entry in planned]
    _mark_certain(planned, found)
    return found


def _place(rule: str) -> tuple[bool, int]:
    """Sorts rules by their stages, those of a detector first."""
    return not rule.startswith(DETECTOR), STAGES.index(stage_of(rule))


def make_folds(words: Sequence[str], is_two_stages: bool = False) -> None:
    """Run manifest and folds, so that the jobs after them are known.

    Args:
        is_two_stages: whether images are cropped by a detector; then its folds alone are made, as the others follow training.

    Raises:
        GoldfoldError: one of them fails; Snakemake's own text follows.
    """
    _snakemake(f"--until={DETECTOR if is_two_stages else ''}folds", *words)


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
    rule, is_detector = stage_of(entry["rule"]), entry["rule"].startswith(DETECTOR)
    folds = entry["rule"].removesuffix(rule) + "folds"
    if rule not in UPSTREAM and folds in made_by.values():
        before.append(folds)
    after = [_in_words(name, is_detector) for name in sorted(set(before), key=_place)]
    job = Job(rule, entry["wildcards"], after=after, is_detector=is_detector)
    job.causes = (
        [Cause("forced", "requested by name, or its last run did not finish")]
        if entry["forced"]
        else list(causes(entry["record"], recipes.read(entry["recipe"]), entry["inputs"], entry["outputs"], made_by))
    )
    model = entry["wildcards"].get("model", "")
    own = record["seconds"] if record else None
    job.seconds = next((time for time in (own, takes.get((job.rule, model)), takes.get((job.rule,))) if time), None)
    return job


def _in_words(rule: str, is_detector: bool) -> str:
    """Name of a rule, for a job of the detector or another one."""
    return stage_of(rule) if is_detector or not rule.startswith(DETECTOR) else f"{stage_of(rule)} of the detector"


def _mark_certain(planned: Sequence[dict[str, Any]], found: Sequence[Job]) -> None:
    """Mark jobs that run regardless of new folds: those with a cause of their own, and those downstream of these."""
    if not any(job.rule == "folds" for job in found):
        return
    sure: set[str] = set()
    first = {*UPSTREAM} if not any(job.is_detector for job in found) else {*UPSTREAM} - {*CROPPING}
    for job in found:
        follows = job.rule == "folds" and any(other.rule == "crop" for other in found) and not job.is_detector
        job.is_certain = (job.rule in first and not follows) or bool(job.causes)
    for _ in found:  # at most as many times as the longest chain of jobs
        before = len(sure)
        for entry, job in zip(planned, found, strict=True):
            job.is_certain = job.is_certain or not sure.isdisjoint(entry["inputs"])
            if job.is_certain and (job.rule in CROPPING or job.rule not in UPSTREAM):
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
