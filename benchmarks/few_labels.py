"""Test accuracy on the digits with few labels per class: supervised, pseudo-label rounds, Noisy Student, FixMatch.

python benchmarks/few_labels.py [--labels 4 25 100] [--seeds 0 1 2] [--methods supervised hard soft noisy_student fixmatch]
                                [--into few_labels.jsonl]

Each seed draws its own labelled images; all other training images have no label. A method trains networks of one fold on
exactly these labels, and the network of its last round is scored on the 360 test images, which are the same in all cells.
The stages run one after the other in this process, without Snakemake, in a temporary folder; trainings that methods share
are made once. A line of JSON per finished cell is appended to the file, and cells found in it are not made again. Prints a
table of mean accuracies over the seeds with 95 % t-intervals, and of the gains over supervised, paired by seed.
"""

import argparse
import contextlib
import io
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT / "benchmarks")]

from goldfold.config import Config, parse, slices  # noqa: E402
from goldfold.config.dependencies import recipe  # noqa: E402
from goldfold.demo import digits  # noqa: E402
from goldfold.planning.jobs import Job  # noqa: E402
from goldfold.planning.plan import Plan, plan_of  # noqa: E402
from goldfold.predictions.arrays import load  # noqa: E402
from goldfold.stages import cache, folds, manifest, predict, pseudo_label, train  # noqa: E402

DATA, N_VALIDATED = "data/digits", 2
"""Folder of the data; labelled images per class that fold 0 validates, which no network of it is trained on."""
STEPS, BATCH = 1000, 32
"""Steps of every training, whatever its number of images, and images per step."""
SMALL: dict[str, Any] = {
    "network": "small_resnet",
    "params": {"widths": [16, 32], "kernel_size_px": 3},
    "image_size_px": 16,
}
LARGE: dict[str, Any] = {
    "network": "small_resnet", "params": {"widths": [24, 48], "kernel_size_px": 3}, "image_size_px": 16, "dropout": 0.3,
}  # fmt: skip


def supervised() -> dict[str, Any]:
    """Labelled images alone."""
    return {"models": [{"name": "net", **SMALL}], "rounds": [{}]}


def taught(**teacher: Any) -> dict[str, Any]:
    """A round of pseudo labels after it, from scratch."""
    return {
        "models": [{"name": "net", **SMALL}],
        "rounds": [{}, {"teacher": {"sources": ["unlabeled"], **teacher}}],
    }


def noisy_student() -> dict[str, Any]:
    """A larger student with dropout and more augmentation, taught by soft labels."""
    teacher = {"sources": ["unlabeled"], "labels": "soft", "threshold": 0.5}
    return {
        "models": [{"name": "net", **SMALL}, {"name": "student", **LARGE}],
        "rounds": [{"models": ["net"]}, {"models": ["student"], "teacher": teacher, "train": {"augment": "medium"}}],
    }


def fixmatch() -> dict[str, Any]:
    """FixMatch on all unlabelled images."""
    strong = [
        {"shift_scale_rotate": {"shift": 0.12, "scale": 0.2, "rotate": 20, "shear": 15, "border": "replicate", "p": 1.0}},
        {"RandomBrightnessContrast": {"brightness_limit": 0.3, "contrast_limit": 0.3, "p": 0.8}},
        {
            "CoarseDropout": {
                "num_holes_range": [1, 1], "hole_height_range": [0.15, 0.35], "hole_width_range": [0.15, 0.35], "p": 0.8,
            }
        },
    ]  # fmt: skip
    learns = {"ema_decay": 0.99, "fixmatch": {"mu": 2, "threshold": 0.9, "sources": ["unlabeled"], "strong": strong}}
    return {"models": [{"name": "net", **SMALL, "train": learns}], "rounds": [{}]}


METHODS: dict[str, Callable[[], dict[str, Any]]] = {
    "supervised": supervised,
    "hard": lambda: taught(threshold=0.95),
    "soft": lambda: taught(labels="soft", threshold=0.5),
    "noisy_student": noisy_student,
    "fixmatch": fixmatch,
}
"""Keys of the config by method."""


def config_of(method: str, labels: int, seed: int) -> Config:
    """Config of a method; the epochs are those of a training on the labelled images alone."""
    epochs = epochs_for(10 * labels)
    data = {
        "source": "csv", "train": f"{DATA}/train.csv", "images": f"{DATA}/images", "test": f"{DATA}/test.csv",
        "unlabeled": f"{DATA}/unlabeled", "fold_column": "fold", "channels": 1, "shards": 1,
    }  # fmt: skip
    settings = {"epochs": epochs, "batch_size": BATCH, "lr": 3e-3, "warmup_epochs": 1, "augment": "light"}
    return parse(
        {
            "name": method,
            "data": data,
            "metric": "accuracy",
            "folds": {"splitter": "predefined", "n_folds": 2},
            "seeds": [seed],
            "train": {**settings, "validate_every": 1000, "flips": "none"},
            "runtime": {"torch_threads": 1, "device": "cpu", "loader_workers": 0},
            **METHODS[method](),
        }
    )


def epochs_for(n_images: int) -> int:
    """Epochs of about `STEPS` steps."""
    return max(1, round(STEPS / max(1, n_images // BATCH)))


def write_data(labels: int, seed: int) -> pd.DataFrame:
    """Write the digits: labelled images in two folds, all others of training without a label; return the test answers."""
    root = Path(DATA)
    digits.write(root)
    table, draw = pd.read_csv(root / "train.csv"), np.random.default_rng(seed)
    fold = np.full(len(table), -1)
    for one in sorted(table["label"].unique()):
        rows = draw.permutation(np.flatnonzero(table["label"] == one))
        fold[rows[:N_VALIDATED]], fold[rows[N_VALIDATED : N_VALIDATED + labels]] = 0, 1
    (root / "unlabeled").mkdir()
    for id in table["id"][fold < 0]:
        os.replace(root / "images" / f"{id}.png", root / "unlabeled" / f"{id}.png")
    table.assign(fold=fold)[fold >= 0].to_csv(root / "train.csv", index=False)
    return pd.read_csv(root / "test_answers.csv", dtype=str)


def prepare(config: Config, plan: Plan) -> None:
    """Write manifest and folds, or link those of an earlier method, and the cache of sizes that are not there yet."""
    root, shared = Path(plan.results), Path("shared")
    root.mkdir(parents=True)
    if not shared.exists():
        shared.mkdir()
        manifest.run(folder="shared/manifest", workers=1, **slices.manifest(config))
        folds.run("shared/manifest", "shared/folds", **slices.folds(config))
    for name in ("manifest", "folds", "cache"):
        (shared / name).mkdir(exist_ok=True)
        (root / name).symlink_to((shared / name).resolve())
    for job in plan.jobs("cache"):
        size, resize = job.spec.split("-")
        into = f"{root}/cache/{job.spec}/{job.shard}"
        if not Path(into).exists():
            sides = [int(side) for side in size.split("x")]
            cache.run(f"{root}/folds/shards/{job.shard}.csv", into, sides, config.data.channels, resize)


def run(config: Config, plan: Plan, job: Job) -> dict[str, Any]:
    """Run a job of fold 0; return its facts."""
    settings, root = recipe(config, job)["settings"], plan.results
    classes = f"{root}/folds/classes.json"
    if job.stage == "pseudo_label":
        labels = plan.labels[job.round, job.fold]
        files = {source: plan.predictions(source, labels.teachers) for source in labels.sources}
        out = plan.outputs(job)[0]
        return pseudo_label.run(files, classes, out, fold=job.fold, workers=1, **settings)
    shared = {
        "fold_file": f"{root}/folds/fold{job.fold}.csv", "classes": classes, "folder": plan.folder(job.stage, job.run),
        "caches": plan.cache_folders(job),
    }  # fmt: skip
    if job.stage == "predict":
        lists = {split: f"{root}/folds/{split}.csv" for split in plan.splits[1:]}
        predict.run(**shared, weights=f"{plan.folder('train', job.run)}/model.safetensors", lists=lists, **settings)
        return {}
    labelled = plan.jobs_of_labels(job)
    pseudo = plan.outputs(labelled[0])[0] if labelled else None
    runtime = {**settings["runtime"], "loader_workers": 0}
    if pseudo:  # as many steps as without these images
        n_images = (pd.read_csv(shared["fold_file"])["split"] == "train").sum() + len(pd.read_csv(pseudo))
        learning = settings["model"]["train"]
        settings["model"] = {**settings["model"], "train": {**learning, "epochs": epochs_for(int(n_images))}}
    files = {
        "pseudo": pseudo, "lessons": plan.lesson_files(job),
        "unlabeled": [f"{root}/folds/{split}.csv" for split in plan.unlabeled_of(job)],
    }  # fmt: skip
    return train.run(**shared, **files, **{**settings, "runtime": runtime})


def key_of(config: Config, plan: Plan, job: Job) -> str:
    """All that the result of a job depends on, as text."""
    above = [key_of(config, plan, other) for other in plan.above(job) if other.stage not in ("manifest", "folds")]
    return json.dumps([job, recipe(config, job)["settings"], sorted(above)], sort_keys=True)


def depth(plan: Plan, job: Job) -> int:
    """Number of jobs in the longest chain that ends with a job."""
    return 1 + max((depth(plan, other) for other in plan.above(job)), default=0)


def accuracy(config: Config, plan: Plan, answers: pd.DataFrame) -> float:
    """Test accuracy of the networks of the last round on fold 0, averaged if there are several."""
    last = [job.run for job in plan.jobs("train") if (job.round, job.fold) == (config.grid.last, 0)]
    every = [load(path) for path in plan.predictions("test", last)]
    logits = np.mean([np.asarray(one["logits"], float) for one in every], axis=0)
    found = dict(zip(every[0]["ids"], np.asarray(every[0]["classes"])[logits.argmax(axis=1)], strict=True))
    return float(np.mean([found[id] == label for id, label in zip(answers["id"], answers["label"], strict=True)]))


def cell(method: str, labels: int, seed: int, answers: pd.DataFrame, made: dict[str, Path]) -> dict[str, Any]:
    """Train and score a method on the data in the current folder.

    Args:
        made: outputs of earlier jobs by their key; extended.
    """
    begun = time.process_time()
    config = config_of(method, labels, seed)
    plan = plan_of(config)
    prepare(config, plan)
    jobs = [job for stage in ("train", "predict", "pseudo_label") for job in plan.jobs(stage) if job.fold == 0]
    found: dict[str, Any] = {}
    for job in sorted(jobs, key=lambda job: depth(plan, job)):
        key, out = key_of(config, plan, job), Path(plan.outputs(job)[0]).parent
        if key in made and job.stage != "pseudo_label":
            shutil.copytree(made[key], out)
            continue
        out.mkdir(parents=True, exist_ok=True)
        facts = run(config, plan, job)
        made[key] = out.resolve()
        found |= {"pseudo": facts["pseudo_labels"]["kept"]} if "pseudo_labels" in facts else {}
    seconds = round(time.process_time() - begun, 1)
    value = accuracy(config, plan, answers)
    return {"method": method, "labels": labels, "seed": seed, "accuracy": value, "seconds": seconds, **found}


def table(lines: pd.DataFrame, methods: Sequence[str]) -> str:
    """Markdown table of accuracy and of the gain over supervised, means over the seeds with 95 % intervals."""
    rows = ["| labels per class | method | seeds | accuracy | gain over supervised |", "|---|---|---|---|---|"]
    for labels, of_labels in lines.groupby("labels"):
        wide = of_labels.pivot(index="seed", columns="method", values="accuracy")
        for method in (name for name in methods if name in wide):
            own = wide[method].dropna()
            gain = (own - wide["supervised"]).dropna() if "supervised" in wide and method != "supervised" else []
            rows.append(f"| {labels} | {method} | {len(own)} | {_interval(own)} | {_interval(gain)} |")
    return "\n".join(rows)


def _interval(values: Any) -> str:
    if not len(values):
        return "–"
    half = (
        stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else np.nan
    )
    return f"{np.mean(values):.4f} ± {half:.4f}"


def main() -> None:
    """Make the cells that are asked for, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=int, nargs="+", default=[4, 25, 100], help="labelled images per class")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=[*METHODS])
    parser.add_argument(
        "--into", type=Path, default=Path("few_labels.jsonl"), help="file that finished cells are added to"
    )
    asked = parser.parse_args()
    into = asked.into.resolve()
    done = pd.read_json(into, lines=True).to_dict("records") if into.exists() else []
    for labels in asked.labels:
        for seed in asked.seeds:
            have = {line["method"] for line in done if (line["labels"], line["seed"]) == (labels, seed)}
            left = [method for method in asked.methods if method not in have]
            with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
                answers, made = write_data(labels, seed) if left else pd.DataFrame(), dict[str, Path]()
                for method in left:
                    with contextlib.redirect_stdout(io.StringIO()):
                        line = cell(method, labels, seed, answers, made)
                    done.append(line)
                    with into.open("a") as file:
                        file.write(json.dumps(line) + "\n")
                    print(json.dumps(line), file=sys.stderr, flush=True)
    print(table(pd.DataFrame(done), [*METHODS]))


if __name__ == "__main__":
    main()
