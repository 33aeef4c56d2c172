"""Parts of the data that a job of a run reads: splits whose cached images, and parts whose metadata."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from goldfold.planning.outputs import part_of

if TYPE_CHECKING:
    from goldfold.planning.jobs import Job
    from goldfold.planning.plan import Plan


def cached_splits(plan: "Plan", job: "Job") -> Sequence[str]:
    """Splits whose cached images a job reads; empty for jobs without images."""
    if job.work == "train":
        labels = plan.labels_of(job)
        return ["train", *dict.fromkeys([*(labels.sources if labels else ()), *plan.unlabeled_of(job)])]
    if job.part or job.stage in ("derive", "generate"):
        return ["train"]
    return {"predict": plan.splits, "teach": plan.splits[:1], "full_predict": plan.predicted}.get(job.stage, ())


def metadata_parts(plan: "Plan", job: "Job") -> list[str]:
    """Parts of the data whose metadata a job reads; empty if its model, or no step of the ensemble, uses any."""
    if job.stage in ("ensemble", "report"):
        return [*map(part_of, range(plan.grid.n_folds)), *plan.predicted] if plan.stacks_metadata else []
    users = {*plan.with_metadata, *(plan.by_metadata if job.work == "train" else ())}
    if job.model not in users:
        return []
    if job.stage == "full_predict":
        return plan.predicted
    labels = plan.labels_of(job)
    others = plan.splits[1:] if job.stage == "predict" else labels.sources if labels else ()
    return [part_of(job.fold), *others]
