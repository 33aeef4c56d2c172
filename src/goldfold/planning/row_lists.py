"""Lists of the cases of a fold whose training rows are external or own ones alone, as `train.rows` says."""

from typing import TYPE_CHECKING

from goldfold.planning.outputs import part_of

if TYPE_CHECKING:
    from goldfold.config import Config
    from goldfold.planning.jobs import Job
    from goldfold.planning.plan import Plan

ALL, OWN, EXTERNAL = "all", "own", "external"
"""Training rows that a model may use: all, those that are not marked as train-only, or those that are."""
STAGES = ("train", "derive", "generate", "full_train")
"""Stages with jobs that read the training rows that their model uses; those of others read all."""


def chosen_rows(config: "Config") -> dict[tuple[str, int], str]:
    """Rows by model and round, of the trainings that do not use all."""
    trained = dict.fromkeys((run.model, run.round) for run in config.grid.trained_runs())
    found = {place: config.model(*place).train.rows for place in trained}
    return {place: rows for place, rows in found.items() if rows != ALL}


def case_list(fold: int, rows: str = ALL) -> str:
    """Name of the list of the cases of a fold, or of all labelled cases, with some of the training rows.

    >>> case_list(0), case_list(0, EXTERNAL)
    ('fold0.csv', 'rows/fold0-external.csv')
    """
    return f"{part_of(fold)}.csv" if rows == ALL else f"rows/{part_of(fold)}-{rows}.csv"


def list_of(plan: "Plan", job: "Job") -> str:
    """Name of the list of the cases that a job of a run reads, below ``folds/``."""
    return case_list(job.fold, _rows(plan, job) if job.stage in STAGES else ALL)


def lists(plan: "Plan") -> list[str]:
    """Names of the lists that the folds stage writes besides those of all rows."""
    return [case_list(fold, rows) for fold in plan.folds for rows in sorted({*plan.rows.values()})]


def _rows(plan: "Plan", job: "Job") -> str:
    """Rows of the training that a job is, or, of a soup or a snapshot, of the first whose weights it is made from."""
    if job.stage != "derive":
        return plan.rows.get((job.model, job.round), ALL)
    trained = (run for run in plan.grid.ancestry(job.run) if run.model not in plan.grid.origins)
    return next((plan.rows.get((run.model, run.round), ALL) for run in trained), ALL)
