"""Lists with the metadata that jobs read."""

from typing import TYPE_CHECKING

from goldfold.planning.outputs import metadata_list

if TYPE_CHECKING:
    from goldfold.planning.jobs import Job
    from goldfold.planning.plan import Plan

OF_ALL = ("ensemble", "report")
"""Stages that read the metadata of all training and test cases, where a step of the ensemble uses them."""


def of(plan: "Plan", job: "Job") -> list[str]:
    """Files below ``folds/`` with the metadata that a job reads."""
    known = [metadata_list(part) for part in plan.metadata_parts]
    if job.stage in OF_ALL:
        return known if plan.stacks_metadata else []
    users = {*plan.with_metadata, *(plan.by_metadata if job.work == "train" else ())}
    if job.model not in users:
        return []
    labels = plan.labels.get((job.round, job.fold)) if job.stage == "train" else None
    others = plan.splits[1:] if job.stage == "predict" else labels.sources if labels else ()
    return [name for part in (f"fold{job.fold}", *others) if (name := metadata_list(part)) in known]
