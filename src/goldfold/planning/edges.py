"""Edges of the graph of jobs: whose files a job reads."""

from functools import partial
from typing import TYPE_CHECKING

from goldfold.planning import full, heads, inner
from goldfold.planning.jobs import Job, job_of

if TYPE_CHECKING:
    from goldfold.planning.plan import Plan

UPSTREAM_OF = {"match": (), "crop": ("match",), "folds": ("crop",)}
"""Stages besides the manifest whose files these read, where images are cropped by a detector."""
OF_DETECTOR = {"match": "folds", "crop": "ensemble"}
"""Stage of the detector whose files a stage reads."""


def above(plan: "Plan", job: Job) -> list[Job]:
    """Jobs whose files a job reads, except the cache and the lists of the folds.

    A job requests the cache only when it runs, and the lists are written only when their content changes.
    """
    if job.stage == "manifest":
        return plan.jobs("demo")
    if job.stage in ("match", "crop", "folds"):
        return [Job("manifest"), *(other for stage in UPSTREAM_OF[job.stage] for other in plan.jobs(stage))]
    if job.stage == "train":
        return [
            *plan.jobs_of_labels(job), *plan.start_of(job), *plan.jobs_of_lesson(job), *inner.cleaning_of(plan.grid, job),
            *plan.images_of(job),
        ]  # fmt: skip
    if job.stage == "derive":
        return [job_of(plan.maker(run), run) for run in plan.grid.sources(job.run)]
    if job.stage in ("predict", "teach"):
        return [job._replace(stage=plan.maker(job.run))]
    if job.stage in inner.STAGES:
        return inner.above(plan.grid, job)
    if job.stage in full.STAGES:
        return full.above(plan.grid, plan.full, job, partial(heads.predicting, plan))
    if job.stage in heads.STAGES:
        return heads.above(plan, job)
    if job.stage == "pseudo_label":
        teachers = heads.predicting(plan, plan.labels[job.round, job.fold].teachers)
        return [*teachers, *inner.measuring_of(plan.grid, job.round, job.fold)]
    if job.stage == "ensemble":
        predicting = ("predict", *heads.STAGES[1:], "full_predict", "external")
        return [*heads.stacked(plan), *(other for stage in predicting for other in plan.jobs(stage))]
    if job.stage == "submit":
        return [Job("ensemble")]
    makers = ("train", "derive", *heads.STAGES[1:], "full_train")
    networks = [other for stage in makers for other in plan.jobs(stage)]
    return [Job("ensemble"), *plan.jobs("submit"), *networks] if job.stage == "report" else []


def above_of_detector(job: Job) -> list[Job]:
    """Jobs of the detector whose files a job reads."""
    return [Job(OF_DETECTOR[job.stage])] if job.stage in OF_DETECTOR else []


def boxes(detector: "Plan") -> list[str]:
    """Files of a detector that crops depend on: networks, and predictions of these and of the ensemble."""
    jobs = [Job("ensemble"), *above(detector, Job("ensemble")), *above(detector, Job("report"))]
    made = [path for job in dict.fromkeys(jobs) if job.stage != "submit" for path in detector.outputs(job)]
    return [path for path in dict.fromkeys(made) if not path.endswith("run.json")]
