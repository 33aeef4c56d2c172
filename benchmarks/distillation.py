"""Out-of-fold accuracy of a small network on the digits, with and without a teacher: trains benchmarks/distillation.yaml.

python benchmarks/distillation.py [--labelled 300] [--epochs 120] [--students alone taught]

The stages run one after the other in this process, without Snakemake, in a temporary folder. Prints the accuracy of each model
per seed, at the network's resolution, without test-time augmentation.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from digit_subsets import few  # noqa: E402

from goldfold.config import Config, parse, slices  # noqa: E402
from goldfold.config.dependencies import recipe  # noqa: E402
from goldfold.planning.jobs import Job  # noqa: E402
from goldfold.planning.plan import Plan, plan_of  # noqa: E402
from goldfold.stages import cache, demo, folds, manifest, teach, train  # noqa: E402
from goldfold.tables import read_table  # noqa: E402


def prepare(config: Config, plan: Plan, labelled: int | None) -> None:
    """Write data, manifest, folds and cache."""
    root = plan.results
    demo.run(**slices.demo(config))
    if labelled is not None:
        path = plan.demo[0]
        few(read_table(path), labelled, np.random.default_rng(0)).to_csv(path, index=False, lineterminator="\n")
    manifest.run(folder=f"{root}/manifest", workers=1, **slices.manifest(config))
    folds.run(f"{root}/manifest", f"{root}/folds", **slices.folds(config))
    for job in plan.jobs("cache"):
        size, resize = job.spec.split("-")
        into = f"{root}/cache/{job.spec}/{job.shard}"
        cache.run(
            f"{root}/folds/shards/{job.shard}.csv",
            into,
            [int(side) for side in size.split("x")],
            config.data.channels,
            resize,
        )


def run(config: Config, plan: Plan, job: Job) -> dict[str, Any]:
    """Run a training or the predictions of a teacher; return the facts of a training."""
    settings: dict[str, Any] = recipe(config, job)["settings"]
    lists = {"fold_file": f"{plan.results}/folds/fold{job.fold}.csv", "classes": f"{plan.results}/folds/classes.json"}
    shared = {**lists, "folder": plan.folder(job.stage, job.run), "caches": plan.cache_folders(job)}
    if job.stage == "teach":
        teach.run(**shared, weights=f"{plan.folder('train', job.run)}/model.safetensors", **settings)
        return {}
    runtime = {**settings["runtime"], "loader_workers": 0}
    return train.run(**shared, pseudo=None, lessons=plan.lesson_files(job), **{**settings, "runtime": runtime})


def depth(plan: Plan, job: Job) -> int:
    """Number of jobs in the longest chain that ends with a job."""
    return 1 + max((depth(plan, other) for other in plan.above(job)), default=0)


def mean(folds: Sequence[tuple[float, int]]) -> float:
    """Mean over the folds by their numbers of images."""
    return sum(score * n for score, n in folds) / sum(n for _, n in folds)


def main() -> None:
    """Train all models, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelled", type=int, help="number of labelled images; all by default")
    parser.add_argument(
        "--epochs", type=int, help="epochs of each network, the teacher's too; those of the config by default"
    )
    parser.add_argument("--students", nargs="+", help="students to train besides the teacher; all by default")
    asked = parser.parse_args()
    settings = yaml.safe_load((ROOT / "benchmarks/distillation.yaml").read_text())
    if asked.epochs is not None:
        for trained in (settings, settings["models"][0]):
            trained["train"] |= {"epochs": asked.epochs, "validate_every": asked.epochs}
    if asked.students:
        settings["models"] = [model for model in settings["models"] if model["name"] in ("big", *asked.students)]
    config = parse(settings)
    plan, begun = plan_of(config), time.process_time()
    scores: dict[tuple[str, int], list[tuple[float, int]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        with contextlib.redirect_stdout(io.StringIO()):
            prepare(config, plan, asked.labelled)
        jobs = [job for stage in ("train", "teach") for job in plan.jobs(stage)]
        for job in sorted(jobs, key=lambda job: depth(plan, job)):
            os.makedirs(plan.folder(job.stage, job.run), exist_ok=True)
            with contextlib.redirect_stdout(io.StringIO()):
                facts = run(config, plan, job)
            if facts:
                scores[job.model, job.seed].append((facts["final"]["accuracy"], facts["n_val"]))
                print(f"{job.name}: {facts['final']['accuracy']:.4f}", file=sys.stderr, flush=True)
    print("| model | seeds | mean |\n|---|---|---|")
    for model in config.models:
        of_seeds = [mean(scores[model.name, seed]) for seed in config.seeds]
        print(f"| {model.name} | {', '.join(f'{value:.4f}' for value in of_seeds)} | {np.mean(of_seeds):.4f} |")
    print(f"{time.process_time() - begun:.0f} s of processor time")


if __name__ == "__main__":
    main()
