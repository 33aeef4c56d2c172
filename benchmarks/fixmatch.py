"""Test accuracy of a small network on few labelled digits, with and without FixMatch: trains benchmarks/fixmatch.yaml.

python benchmarks/fixmatch.py [--labelled 250]

The labelled images are drawn in equal numbers per class, with each seed others; all remaining training images are unlabelled,
and the 360 test digits are validated: fold 0, the only one that is trained. All models take the same number of steps. The
stages run one after the other in this process, without Snakemake, in a temporary folder. Prints the accuracy of each model per
seed on the test images and on the unlabelled ones, and the difference to the first model with a bootstrap interval over seeds
and images.
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
N_DRAWS = 2_000
PARTS = {"test": "oof", "unlabeled": "unlabeled"}
"""Predicted images, and the files of their predictions."""


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


def is_right(config: Config, plan: Plan, job: Job, truth: pd.Series) -> tuple[dict[str, pd.Series], dict[str, float]]:
    """Train a run and predict; return which images are right, by id, for each part of `PARTS`, and the end of the history.

    Args:
        truth: digit by id.
    """
    lists = f"{plan.results}/folds"
    shared = {"fold_file": f"{lists}/fold{job.fold}.csv", "classes": f"{lists}/classes.json"}
    settings: dict[str, Any] = recipe(config, job)["settings"]
    settings["runtime"] = {**settings["runtime"], "loader_workers": 0}
    into, out = plan.folder("train", job.run), plan.folder("predict", job.run)
    os.makedirs(into, exist_ok=True)
    unlabeled = [f"{lists}/{split}.csv" for split in plan.unlabeled_of(job)]
    caches = {"caches": plan.cache_folders(job)}
    facts = train.run(**shared, **caches, folder=into, pseudo=None, unlabeled=unlabeled, **settings)
    asked = job._replace(stage="predict")
    caches, others = {"caches": plan.cache_folders(asked)}, {"unlabeled": f"{lists}/unlabeled.csv"}
    how = recipe(config, asked)["settings"]
    predict.run(**shared, **caches, folder=out, weights=f"{into}/model.safetensors", lists=others, **how)
    found = {part: load(f"{out}/{file}.npz") for part, file in PARTS.items()}
    return {part: _right(one, truth) for part, one in found.items()}, facts["final"]


def _right(found: Any, truth: pd.Series) -> pd.Series:
    classes = found["classes"][found["logits"].argmax(axis=1)]
    return pd.Series(classes == truth[found["ids"]].to_numpy(), index=found["ids"], dtype=float)


def interval(differences: np.ndarray) -> tuple[float, float]:
    """Bootstrap interval of the mean of differences (seeds, images), NaN where a seed has no such image.

    Seeds and images are drawn with replacement.
    """
    drawn, (n_seeds, n) = np.random.default_rng(0), differences.shape
    means = [
        np.nanmean(differences[drawn.integers(0, n_seeds, n_seeds)][:, drawn.integers(0, n, n)]) for _ in range(N_DRAWS)
    ]
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def table(right: dict[str, list[dict[str, pd.Series]]]) -> None:
    """Print the accuracy of each model by seed, and the difference to the first."""
    first = next(iter(right))
    print(f"| images | model | seeds | mean | difference, {LEVEL:.0%} interval |\n|---|---|---|---|---|")
    for part in PARTS:
        values = {name: pd.DataFrame([one[part] for one in found]).to_numpy() for name, found in right.items()}
        for name, own in values.items():
            by, against = ", ".join(f"{value:.4f}" for value in np.nanmean(own, axis=1)), "-"
            if name != first:
                difference = own - values[first]
                low, high = interval(difference)
                against = f"{np.nanmean(difference):+.4f} ({low:+.4f} to {high:+.4f})"
            print(f"| {part} | {name} | {by} | {np.nanmean(own):.4f} | {against} |")


def main() -> None:
    """Train all models, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labelled", type=int, default=250, help="number of labelled images")
    asked = parser.parse_args()
    config = parse(yaml.safe_load((ROOT / "benchmarks/fixmatch.yaml").read_text()))
    plan, begun = plan_of(config), time.process_time()
    truth = pd.Series([str(digit) for digit in digits.embedded()[1]])
    truth.index = pd.Index([f"digit_{number:04d}" for number in truth.index])
    right: dict[str, list[dict[str, pd.Series]]] = {model.name: [] for model in config.models}
    for seed in config.seeds:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            with contextlib.redirect_stdout(io.StringIO()):
                prepare(config, plan, asked.labelled, seed)
            for name, found in right.items():
                with contextlib.redirect_stdout(io.StringIO()):
                    made, last = is_right(config, plan, Job("train", name, 0, 0, seed), truth)
                found.append(made)
                rate = f", mask rate {last['mask_rate']:.3f}" if "mask_rate" in last else ""
                print(f"{name}, seed {seed}: {made['test'].mean():.4f}{rate}", file=sys.stderr, flush=True)
    table(right)
    print(f"{time.process_time() - begun:.0f} s of processor time")


if __name__ == "__main__":
    main()
