"""Write the jobs that Snakemake is about to run to a file, for ``goldfold why``."""

import os
from pathlib import Path
from typing import Any

from goldfold.base.files import write_json

VARIABLE = "GOLDFOLD_PLAN"
"""Environment variable that names the file to write."""


def write(workflow: Any, path: str | Path) -> None:
    """Write the jobs that ``workflow`` will run, each with its files and whether it is forced."""
    if workflow.dag is None:
        return
    jobs = [job for job in workflow.dag.needrun_jobs(exclude_finished=False) if not job.is_norun]
    write_json(path, [_entry(job, workflow.dag.reason(job)) for job in jobs])


def _entry(job: Any, reason: Any) -> dict[str, Any]:
    return {
        "rule": job.rule.name,
        "wildcards": dict(job.wildcards_dict),
        "record": _name(job.output, "record"),
        "recipe": _name(job.input, "recipe"),
        "inputs": sorted(os.fspath(path) for path in job.input),
        "outputs": sorted(os.fspath(path) for path in job.output),
        "forced": bool(reason.forced),
    }


def _name(files: Any, name: str) -> str:
    return os.fspath(files.get(name))
