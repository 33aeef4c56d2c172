"""Does pretraining on external digits help 100 labelled ones? Training on own rows, on both, and on external, then own rows.

python benchmarks/digit_subsets.py data/digits_turned --labelled 100 --external turned
python benchmarks/external_rows.py data/digits_turned

All jobs of the plan below, in one process and without prediction of the training images: 2 folds, 3 seeds; accuracy of the two
folds' mean on the 360 test images.
"""

import argparse
import contextlib
import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from goldfold.config import Config, parse, slices  # noqa: E402
from goldfold.config.dependencies import recipe  # noqa: E402
from goldfold.planning.plan import Job, Plan, plan_of  # noqa: E402
from goldfold.planning.row_lists import list_of  # noqa: E402
from goldfold.predictions.arrays import load  # noqa: E402
from goldfold.stages import cache, folds, manifest, predict, train  # noqa: E402

SEEDS, EPOCHS = [0, 1, 2], 150
LONGER = 402
"""As many steps as the chain takes."""
NETWORK = {"network": "small_resnet", "params": {"widths": [8, 16, 32], "kernel_size_px": 3}, "image_size_px": 16}


def config_of(data: Path) -> Config:
    """Models by the rows that they use; `pretrained` is the chain. An epoch of own rows is one batch, one of external rows 42."""
    files = {"train": "train.csv", "test": "test.csv", "images": "images", "extra_train": "external.csv"}
    files |= {"extra_images": "external", "test_answers": "test_answers.csv"}
    train = {"batch_size": 32, "lr": 3e-3, "warmup_epochs": 1, "flips": "none"}
    own = {"rows": "own", "epochs": EPOCHS, "validate_every": EPOCHS}
    models = [
        {"name": "own", **NETWORK, "train": own},
        {"name": "longer", **NETWORK, "train": {**own, "epochs": LONGER, "validate_every": LONGER}},
        {"name": "both", **NETWORK, "train": {"epochs": 7, "validate_every": 7}},
        {"name": "pretrained", **NETWORK, "train": {"rows": "external", "epochs": 6, "validate_every": 6}},
    ]
    return parse({
        "name": "external", "seeds": SEEDS, "folds": {"n_folds": 2}, "runtime": {"torch_threads": 1},
        "train": train, "models": models,
        "data": {"source": "csv", **{key: str(data / name) for key, name in files.items()}, "channels": 1, "shards": 1},
        "rounds": [{}, {"models": ["pretrained"], "start": "previous", "train": own}],
    })  # fmt: skip


def prepare(config: Config, plan: Plan) -> None:
    """Make manifest, folds and cache."""
    manifest.run(folder=f"{plan.results}/manifest", workers=1, **slices.manifest(config))
    folds.run(f"{plan.results}/manifest", f"{plan.results}/folds", **slices.folds(config))
    for job in plan.jobs("cache"):
        size, mode = job.spec.split("-", 1)
        folder = str(Path(plan.outputs(job)[0]).parent)
        cache.run(f"{plan.results}/folds/shards/{job.shard}.csv", folder, [*map(int, size.split("x"))], 1, mode)


def run(config: Config, plan: Plan, job: Job) -> None:
    """Train a network and let it predict the test images."""
    lists, folder = f"{plan.results}/folds", str(Path(plan.outputs(job)[0]).parent)
    shared: dict[str, Any] = {
        "classes": f"{lists}/classes.json",
        "caches": plan.cache_folders(job._replace(stage="predict")),
    }
    settings, start = recipe(config, job)["settings"], plan.start_of(job)
    runtime = {**settings["runtime"], **slices.work(config)}
    begun = {"start": plan.outputs(start[0])[0] if start else None, "pseudo": None}
    train.run(
        folder=folder, fold_file=f"{lists}/{list_of(plan, job)}", **shared, **{**settings, "runtime": runtime, **begun}
    )
    predicting = job._replace(stage="predict")
    out = str(Path(plan.outputs(predicting)[0]).parent)
    settings, tests = recipe(config, predicting)["settings"], {"test": f"{lists}/test.csv"}
    predict.run(folder=out, fold_file=None, lists=tests, weights=f"{folder}/model.safetensors", **shared, **settings)


def correct(config: Config, plan: Plan, name: str, number: int) -> np.ndarray:
    """(seeds, test images), whether the mean over the folds predicts the true class."""
    truth = pd.read_csv(config.data.test_answers, dtype=str).set_index("id")["label"]  # type: ignore[union-attr]
    classes, found = np.array(sorted(truth.unique())), []
    for seed in SEEDS:
        runs = [one for one in plan.grid.runs([number], [name]) if one.seed == seed]
        parts = [load(path) for path in plan.predictions("test", runs)]
        logs = [part["logits"] - np.logaddexp.reduce(part["logits"], 1, keepdims=True) for part in parts]
        ids = [str(id).rpartition("/")[2] for id in parts[0]["ids"]]
        found.append(truth.reindex(ids).to_numpy() == classes[np.mean(logs, axis=0).argmax(1)])
    return np.stack(found)


def gain(of: np.ndarray, base: np.ndarray) -> str:
    """Difference of the accuracies, mean over the seeds, with its 95 % interval over resampled test images."""
    by_image = of.mean(axis=0) - base.mean(axis=0)
    draws = np.random.default_rng(0).integers(0, len(by_image), (10_000, len(by_image)))
    low, high = np.quantile(by_image[draws].mean(axis=1), [0.025, 0.975])
    return f"{by_image.mean():+.3f} ({low:+.3f} to {high:+.3f})"


def main() -> None:
    """Train, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder that digit_subsets.py wrote with --external")
    config = config_of(parser.parse_args().data.resolve())
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        plan = plan_of(config)
        with contextlib.redirect_stdout(io.StringIO()):
            prepare(config, plan)
        for job in sorted(plan.jobs("train"), key=lambda job: (job.round, job.model)):
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                run(config, plan, job)
            print(job.name, file=sys.stderr, flush=True)
        own = correct(config, plan, "own", 0)
        for name, number in (("own", 0), ("longer", 0), ("both", 0), ("pretrained", 0), ("pretrained", 1)):
            found = correct(config, plan, name, number)
            by_seed = " | ".join(f"{one:.3f}" for one in found.mean(axis=1))
            print(f"| `{name}`, round {number} | {by_seed} | {found.mean():.3f} | {gain(found, own)} |", flush=True)


if __name__ == "__main__":
    main()
