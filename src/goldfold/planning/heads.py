"""Heads on frozen backbones: embeddings are made once, then one job fits all folds and seeds of a head.

Embeddings depend on a backbone, its weights, its images and its views, and on neither labels nor folds, so that models with
the same of these share them. A head has its runs in the first round; its predictions lie where those of trained networks do.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from goldfold.planning.jobs import Job, job_of
from goldfold.planning.outputs import HEADS
from goldfold.planning.runs import Run

if TYPE_CHECKING:
    from goldfold.planning.plan import Plan

STAGES = ("embed", *HEADS)


def stage_of(plan: "Plan", model: str) -> str:
    """The stage that fits a head: ``heads_once`` if it has one run per fold, ``heads`` if it has one per seed too."""
    return "heads_once" if plan.grid.origins[model].has_one_seed else "heads"


def jobs(plan: "Plan", stage: str) -> list[Job]:
    """Jobs of one of `STAGES`."""
    if stage == "embed":
        names = sorted({*plan.embeddings.values()})
        return [job for name in names for job in embedding_jobs(plan, name)]
    return [Job(stage, model) for model in sorted(plan.embeddings) if stage_of(plan, model) == stage]


def embedding_jobs(plan: "Plan", embedding: str, splits: tuple[str, ...] = ()) -> list[Job]:
    """Jobs that make an embedding of some splits, of all by default."""
    shards = [f"{split}-{piece}" for split in splits or plan.splits for piece in range(plan.n_shards)]
    return [Job("embed", embedding=embedding, shard=shard) for shard in shards]


def above(plan: "Plan", job: Job) -> list[Job]:
    """Jobs whose files a job of `STAGES` reads, besides cached images."""
    return [] if job.stage == "embed" else embedding_jobs(plan, plan.embeddings[job.model])


def features(plan: "Plan", job: Job) -> list[str]:
    """Files of embeddings that a job reads."""
    return [plan.outputs(other)[0] for other in plan.above(job) if other.stage == "embed"]


def stacked(plan: "Plan") -> list[Job]:
    """Jobs that make the embeddings of the cases that the ensemble predicts, where its steps take them."""
    return [job for name in plan.stacked for job in embedding_jobs(plan, name, ("train", *plan.predicted))]


def cache(plan: "Plan", job: Job) -> list[Job]:
    """The cache shard whose images a job of ``embed`` embeds."""
    return [Job("cache", spec=spec_of(plan, job), shard=job.shard)]


def spec_of(plan: "Plan", job: Job) -> str:
    """Name of the cache that a job reads."""
    model = next(name for name, own in plan.embeddings.items() if own == job.embedding) if job.embedding else job.model
    return plan.specs[model]


def network_runs(plan: "Plan", **of: Any) -> list[Run]:
    """Runs that have a network of their own: all but those of heads; see `goldfold.planning.grid.Grid.runs`."""
    return [run for run in plan.grid.runs(**of) if run.model not in plan.embeddings]


def predicting(plan: "Plan", runs: Iterable[Run]) -> list[Job]:
    """Jobs whose files are the predictions of some runs."""
    found = (
        Job(stage_of(plan, run.model), run.model) if run.model in plan.embeddings else job_of("predict", run)
        for run in runs
    )
    return list(dict.fromkeys(found))
