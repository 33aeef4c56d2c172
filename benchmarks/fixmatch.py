"""Test accuracy of a small network on few labelled digits, with and without FixMatch: trains benchmarks/fixmatch.yaml.

python benchmarks/fixmatch.py [--labelled 250]

The labelled images are drawn in equal numbers per class, with each seed others; all remaining training images are unlabelled,
and the 360 test digits are validated: fold 0, the only one that is trained. All models take the same number of steps. The
stages run one after the other in this process, without Snakemake, in a temporary folder. Prints the accuracy of each model per
seed, and the difference to the first model with a bootstrap interval over seeds and images.
"""

import argparse
import contextlib
import io
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from digit_subsets import few  # noqa: E402

from goldfold.config import Config, parse, slices  # noqa: E402
from goldfold.config.dependencies import recipe  # noqa: E402
from goldfold.demo import digits  # noqa: E402
from goldfold.planning.jobs import Job  # noqa: E402
from goldfold.planning.plan import Plan, plan_of  # noqa: E402
from goldfold.predictions.arrays import load  # noqa: E402
from goldfold.stages import cache, folds, manifest, predict, train  # noqa: E402

LEVEL = 0.95
N_DRAWS = 10_000


def prepare(config: Config, plan: Plan, labelled: int, seed: int) -> None:
    """Write data, manifest, folds and cache: labelled images in fold 1, test images in fold 0."""
    digits.write(Path("digits"))
    own = few(pd.read_csv("digits/train.csv"), labelled, np.random.default_rng(seed))
    rows = pd.concat([own.assign(fold=1), pd.read_csv("digits/test_answers.csv").assign(fold=0)])
    rows.to_csv("digits/train.csv", index=False, lineterminator="\n")
    manifest.run(folder=f"{plan.results}/manifest", workers=1, **slices.manifest(config))
    folds.run(f"{plan.results}/manifest", f"{plan.results}/folds", **slices.folds(config))
    for job in plan.jobs("cache"):
        size, resize = job.spec.split("-")
        lists, into = f"{plan.results}/folds/shards/{job.shard}.csv", f"{plan.results}/cache/{job.spec}/{job.shard}"
        cache.run(lists, into, [int(side) for side in size.split("x")], config.data.channels, resize)


def is_right(config: Config, plan: Plan, job: Job) -> tuple[list[bool], dict[str, float]]:
    """Train a run, predict its validation images; return which are right, by id, and the last row of the history."""
    made: dict[str, Any] = recipe(config, job)["settings"]
    fold_file = f"{plan.results}/folds/fold{job.fold}.csv"
    shared = {
        "fold_file": fold_file,
        "classes": f"{plan.results}/folds/classes.json",
        "caches": plan.cache_folders(job),
    }
    lists = [f"{plan.results}/folds/{split}.csv" for split in plan.unlabeled_of(job)]
    settings = {**made, "runtime": {**made["runtime"], "loader_workers": 0}}
    into = plan.folder("train", job.run)
    os.makedirs(into, exist_ok=True)
    facts = train.run(**shared, folder=into, pseudo=None, unlabeled=lists, **settings)
    asked = job._replace(stage="predict")
    settings = recipe(config, asked)["settings"]
    shared["caches"] = plan.cache_folders(asked)
    out = plan.folder("predict", job.run)
    predict.run(**shared, folder=out, weights=f"{into}/model.safetensors", lists={}, **settings)
    found = load(f"{out}/oof.npz")
    truth = pd.read_csv(fold_file, dtype=str).set_index("id")["label"][found["ids"]].to_numpy()
    return (found["classes"][found["logits"].argmax(axis=1)] == truth).tolist(), facts["final"]


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Bootstrap interval of the mean of differences (seeds, images): seeds and images are drawn with replacement."""
    drawn, (n_seeds, n) = np.random.default_rng(0), differences.shape
    means = [
        differences[drawn.integers(0, n_seeds, n_seeds)][:, drawn.integers(0, n, n)].mean() for _ in range(N_DRAWS)
    ]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def main() -> None:
    """Train all models, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelled", type=int, default=250, help="number of labelled images")
    parser.add_argument("--config", type=Path, default=ROOT / "benchmarks/fixmatch.yaml")
    asked = parser.parse_args()
    config = parse(yaml.safe_load(asked.config.read_text()))
    plan, begun = plan_of(config), time.process_time()
    right: dict[str, list[list[bool]]] = {model.name: [] for model in config.models}
    for seed in config.seeds:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            with contextlib.redirect_stdout(io.StringIO()):
                prepare(config, plan, asked.labelled, seed)
            for name, found in right.items():
                with contextlib.redirect_stdout(io.StringIO()):
                    made, last = is_right(config, plan, Job("train", name, 0, 0, seed))
                found.append(made)
                rate = f", mask rate {last['mask_rate']:.3f}" if "mask_rate" in last else ""
                print(f"{name}, seed {seed}: {np.mean(made):.4f}{rate}", file=sys.stderr, flush=True)
    first = np.array(next(iter(right.values())), float)
    print(f"| model | seeds | mean | difference, {LEVEL:.0%} interval |\n|---|---|---|---|")
    for name, found in right.items():
        values = np.array(found, float)
        low, high = interval(values - first)
        by = ", ".join(f"{value:.4f}" for value in values.mean(axis=1))
        print(f"| {name} | {by} | {values.mean():.4f} | {(values - first).mean():+.4f} ({low:+.4f} to {high:+.4f}) |")
    print(f"{time.process_time() - begun:.0f} s of processor time")


if __name__ == "__main__":
    main()
