"""A finished run, made up in a moment: manifest and folds are real, every other file holds one byte beside its record.

What goldfold looks at (paths, times, recipes, records) is what a real run leaves; tests/test_reruns.py compares the
inputs, and the jobs that would run after an edit, with Snakemake's own.
"""

import logging
import os
import random
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from goldfold.base.files import sealed, write_json
from goldfold.config import Config, parse, slices
from goldfold.config.dependencies import recipe
from goldfold.lineage import contents, provenance, records
from goldfold.planning import full, inner, row_lists
from goldfold.planning.heads import stacked
from goldfold.planning.inner import inner_list
from goldfold.planning.origins import snapshot_file, weight_files
from goldfold.planning.outputs import HEADS
from goldfold.planning.plan import Job, Plan, plan_of
from goldfold.session import Session
from goldfold.stages import folds, manifest
from test_workflow import TINY, write_config, write_images

CONFIG = "tiny.yaml"


def write_metadata(folder: Path) -> None:
    """Images and tables with two more columns, of which `METADATA` makes metadata."""
    write_images(folder)
    for name in ("train", "test"):
        path = folder / f"raw/{name}.csv"
        rows = pd.read_csv(path, dtype=str)
        sites = ["north" if row % 3 else "south" for row in range(len(rows))]
        rows.assign(age=range(30, 30 + len(rows)), site=sites).to_csv(path, index=False)


_TINY: Any = TINY
METADATA: dict[str, Any] = {
    "data": {**_TINY["data"], "metadata": {"numeric": ["age"], "categorical": ["site"]}},
    "models": [_TINY["models"][0], {**_TINY["models"][1], "metadata": True}],
}
"""Changes of TINY with which `slim` takes the columns of `write_metadata`."""


def enter(folder: Path) -> None:
    """Work in ``folder``, with nothing remembered of the one before."""
    os.chdir(folder)
    contents.memory.cache_clear()
    records._read.cache_clear()


def config() -> Config:
    return parse(yaml.safe_load(Path(CONFIG).read_text()))


def finish(folder: Path, prepare: Callable[[Path], object] = write_images, **changes: object) -> None:
    """TINY with ``changes``, as if it had been run in ``folder`` to its end on the data that ``prepare`` writes."""
    folder.mkdir(exist_ok=True)
    prepare(folder)
    write_config(folder, **changes)
    enter(folder)
    made, plan = config(), plan_of(config())
    make_folds()
    of_members = (
        "embed", *HEADS, "inner_train", "inner_predict", "clean", "generate", "pseudo_label", "train", "derive", "predict",
        "teach", *full.STAGES,
    )  # fmt: skip
    jobs = [job for stage in plan.stages()[2:] for job in plan.jobs(stage)]
    members = [job for job in jobs if job.stage in of_members]
    first, last = ([job for job in jobs if (job.stage == "cache") == is_cache] for is_cache in (True, False))
    members.sort(key=lambda job: depth(plan, job))
    for job in [*first, *members, *(job for job in last if job.stage not in of_members)]:
        write_job(made, plan, job)
    write_json(f"{plan.results}/provenance.json", {"records": records.paths(plan.results)})


def depth(plan: Plan, job: Job) -> int:
    """The longest chain of jobs that a job comes after."""
    return 1 + max((depth(plan, other) for other in plan.above(job)), default=0)


def make_folds() -> None:
    """Run the manifest and the folds stage in the working folder, and write their records, as their jobs do."""
    made, plan = config(), plan_of(config())
    manifest.run(folder=f"{plan.results}/manifest", workers=1, **slices.manifest(made))
    write_record(made, plan, Job("manifest"), [])
    facts = folds.run(f"{plan.results}/manifest", f"{plan.results}/folds", **slices.folds(made))
    inputs = [path for path in plan.outputs(Job("manifest")) if not path.endswith("run.json")]
    write_record(made, plan, Job("folds"), inputs, facts["files"])


def write_job(made: Config, plan: Plan, job: Job) -> None:
    """One byte into each of a job's outputs, and its record."""
    n = (made.model(job.model, job.round).train.snapshots or 1) if job.stage == "train" else 1
    snapshots = [f"{plan.folder('train', job.run)}/{snapshot_file(number)}" for number in range(1, n)]
    for path in [*plan.outputs(job)[:-1], *snapshots]:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_text(f"{job.name} {Path(path).name}")
    write_record(made, plan, job, inputs_of(plan, job), snapshots)


def write_record(made: Config, plan: Plan, job: Job, inputs: Iterable[str], files: Iterable[str] = ()) -> None:
    outputs, now, made_by = plan.outputs(job)[:-1], time.time(), recipe(made, job)
    record = {
        "rule": job.stage, "wildcards": {}, "recipe": made_by, "inputs": {path: contents.digest(path) for path in inputs},
        "outputs": {path: contents.digest(path) for path in outputs}, "logs": [],
        "files": {path: contents.digest(path) for path in files}, **contents.stamps([*outputs, *files]),
        "code": provenance.code_of(made_by), "git": {}, "versions": provenance.versions(), "hardware": {},
        "started": now, "finished": now, "seconds": 1.0,
    }  # fmt: skip
    write_json(plan.record(job), sealed(record))


def inputs_of(plan: Plan, job: Job) -> list[str]:
    """Files that a job reads besides its recipe, as its rule declares them."""
    lists, shard = f"{plan.results}/folds", f"shards/{job.shard}.csv"
    names = {
        "cache": [shard],
        **{stage: [row_lists.list_of(plan, job), "classes.json"] for stage in row_lists.STAGES},
        "embed": [],
        **{
            stage: [
                *(f"fold{fold}.csv" for fold in range(plan.grid.n_folds)), *(f"{split}.csv" for split in plan.splits[1:]),
                "train.csv", "classes.json",
            ]
            for stage in HEADS
        },
        "predict": [f"fold{job.fold}.csv", "classes.json", *(f"{split}.csv" for split in plan.splits[1:])],
        "teach": [f"fold{job.fold}.csv", "classes.json"],
        "inner_train": [inner_list(job.fold, job.part), "classes.json"],
        "inner_predict": [inner_list(job.fold, job.part), "classes.json"],
        "clean": [*sorted({inner_list(job.fold, judge.part) for judge in plan.above(job)}), "classes.json"],
        "pseudo_label": [
            *sorted({inner_list(job.fold, judge.part) for judge in plan.above(job) if judge.part}), "classes.json",
        ],
        "full_label": ["classes.json"],
        "full_predict": ["test.csv", "classes.json"],
        "external": [*(f"{split}.csv" for split in plan.splits if split in ("train", "test")), "classes.json", "class_ids.json"],
        "ensemble": ["train.csv", "classes.json", *["answers.csv", "test.csv"] * ("answers" in plan.tables)],
        "submit": ["test.csv", "classes.json", "class_ids.json"],
        "report": [
            "train.csv", *(f"{split}.csv" for split in plan.splits[1:]), "summary.csv", "test_groups.json", "quarantine.csv",
            "duplicates.csv", "classes.json", *["answers.csv"] * ("answers" in plan.tables),
        ],
    }  # fmt: skip
    return [
        *_made_by_others(plan, job),
        *(f"{lists}/{name}" for name in [*names[job.stage], *plan.metadata_lists(job), *plan.group_lists(job)]),
        *(f"{lists}/{split}.csv" for split in plan.unlabeled_of(job)),
    ]


def _made_by_others(plan: Plan, job: Job) -> list[str]:
    above, root = plan.above(job), plan.results
    weights = [plan.outputs(other)[0] for other in above]
    of = {
        "cache": plan.made_data,
        "generate": [],
        "train": [
            *(plan.outputs(other)[0] for other in [*plan.jobs_of_labels(job), *plan.start_of(job)]), *plan.lesson_files(job),
            *(plan.outputs(other)[0] for other in [*inner.cleaning_of(plan.grid, job), *plan.images_of(job)]),
        ] if job.stage == "train" else [],
        "derive": [*weights, *weight_files(weights, plan.grid.origins[job.model].snapshot)]
        if job.stage == "derive"
        else [],
        **dict.fromkeys(inner.STAGES, weights),
        "embed": [],
        **dict.fromkeys(HEADS, weights),
        "predict": [plan.outputs(train)[0] for train in above],
        "teach": [plan.outputs(train)[0] for train in above],
        "pseudo_label": [
            path
            for labels in [plan.labels.get((job.round, job.fold))]
            if labels
            for source in labels.sources
            for path in plan.predictions(source, labels.teachers)
        ] + [plan.outputs(other)[0] for other in above if other.part and job.stage == "pseudo_label"],
        "full_label": [
            path
            for labels in [plan.labels_of(job) if job.stage == "full_label" else None]
            if labels
            for source in labels.sources
            for path in plan.predictions(source, labels.teachers)
        ],
        "full_train": [*(path for path in weights if "/train/" not in path), *plan.histories(job)],
        "full_predict": weights,
        "external": [],
        "ensemble": [
            *(path for job in plan.jobs("external") for path in plan.outputs(job)),
            *(plan.outputs(job)[0] for job in stacked(plan)),
            *plan.predictions("oof", plan.runs),
            *(path for job in plan.jobs("full_predict") for path in plan.outputs(job) if path.endswith(".npz")),
            *(path for split in plan.predicted for path in plan.predictions(split, plan.grid.final_runs())),
        ],
        "submit": [f"{root}/ensemble/test.npz", *plan.made_data],
        "report": [
            *(path for path in plan.outputs(Job("ensemble")) if not path.endswith(("headline.json", "run.json"))),
            *(path for stage in ("train", "derive", "full_train") for job in plan.jobs(stage) for path in plan.outputs(job)[1:]),
            *(plan.record(job) for stage in HEADS for job in plan.jobs(stage)),
            *(plan.outputs(job)[0] for job in plan.jobs("embed")),
            *[f"{root}/submission.csv"] * plan.has_test,
            *plan.made_data,
        ],
    }  # fmt: skip
    caches = [path for piece in plan.caches(job) for path in plan.outputs(piece)]
    return [*of[job.stage], *caches]


def run(folder: Path) -> set[str]:
    """Make all that would run in ``folder``; names of the jobs."""
    enter(folder)
    made, plan = config(), plan_of(config())
    jobs = session().standing().stale()
    for job in jobs:
        write_job(made, plan, job)
    return {job.name for job in jobs}


UNVERSIONED = (".snakemake", ".goldfold", "cache", "logs", "benchmarks", ".status", ".lock")
"""What ``git clone`` and ``dvc pull`` do not bring."""


def clone(folder: Path, to: Path) -> Path:
    """A run as someone else has it: no cache, no memory, and times of files as they happen to be."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns(*UNVERSIONED))
    generator = random.Random(0)
    files = sorted(path for path in to.rglob("*") if path.is_file())
    assert len(files) > 40
    for path in files:
        when = generator.uniform(1.4e9, 1.7e9)
        os.utime(path, (when, when))
    return to


def session(**changes: object) -> Session:
    """What Snakemake starts in the working folder; ``changes`` are those of ``--config``."""
    values = yaml.safe_load(Path(CONFIG).read_text())
    made = Session(parse({**values, **changes}), logging.getLogger("goldfold.tests"), is_main=True)
    made.bring_up_to_date()
    return made


def would_run(folder: Path, targets: list[Job] | None = None, **changes: object) -> set[str]:
    """Jobs that would run in ``folder``, without Snakemake."""
    enter(folder)
    return {job.name for job in session(**changes).standing().stale(targets)}
