"""Reasons why a config does not ask for a job."""

from goldfold.planning.full import STAGES
from goldfold.planning.grid import Grid
from goldfold.planning.jobs import Job


def why_unplanned(grid: Grid, job: Job) -> str:
    """Say why a job of a run is not planned, though its round and its model are known."""
    if job.stage in STAGES:
        return "full_data does not ask for it"
    stage = grid.rounds[job.round]
    if job.model not in stage.models:
        return f"round {job.round} trains {', '.join(stage.models)}, not {job.model}"
    return f"no model learns from {job.model} of round {job.round}"
