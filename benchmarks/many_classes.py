"""Time and peak memory of each stage beside training, for a run of many classes of few images.

    python benchmarks/many_classes.py FOLDER [--classes 10000] [--images 2] [--test 10000] [--members 2] [--only ensemble report]
        [--metric gap] [--format auto] [--unknown]

Makes up a run of 2 folds in FOLDER: images of 8 px of random pixels, and predictions of members that are random logits around
the truth, written as `predict` writes them. Training is left out, see `benchmarks/retrieval.py`. Each stage runs in a process
of its own, as its job does. Prints seconds and the peak memory of the process (``resource.getrusage``), of which 0.3 to 0.5 GB
are Python and the libraries; for `predict`, of writing one file of predictions. A stage whose files are in FOLDER can be
repeated with --only.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

PIXELS, N_FOLDS = 8, 2
RESULTS = Path("results/many")
UNKNOWN = "c00000"
STRENGTH = (9.0, 4.0)
"""Added to the logit of the true class: the highest of 10,000 others is about 3.9; halves of the images are easy and hard."""


def write_data(classes: int, images: int, test: int) -> None:
    """Write images and tables into the working folder."""
    import cv2
    import pandas as pd

    drawn = np.random.default_rng(0)
    Path("images").mkdir(exist_ok=True)
    labels = [f"c{number:05d}" for number in range(classes)]
    train = pd.DataFrame({"label": np.repeat(labels, images)})
    asked = pd.DataFrame({"label": drawn.choice(labels, test)})
    for name, table in (("train", train), ("test", asked)):
        table.insert(0, "id", [f"{name}{number:06d}" for number in range(len(table))])
        for id in table["id"]:
            cv2.imwrite(f"images/{id}.png", drawn.integers(0, 256, (PIXELS, PIXELS, 3), dtype=np.uint8))
    train.to_csv("train.csv", index=False)
    asked[["id"]].to_csv("test.csv", index=False)
    asked.to_csv("test_answers.csv", index=False)


def config(members: int, metric: str, form: str, has_unknown: bool = False) -> Any:
    """Config of the run; with a threshold for one class if there are unknown images."""
    from goldfold.config import parse

    model = {"network": "small_resnet", "params": {"widths": [8, 8]}, "image_size_px": PIXELS}
    data = {name: f"{name}.csv" for name in ("train", "test", "test_answers")}
    columns = {"id_column": "id", "label_column": "label"}
    return parse(
        {
            "name": "many",
            "data": {**data, **columns, "source": "csv", "images": "images", "duplicates": "ignore"},
            "metric": metric,
            "folds": {"n_folds": N_FOLDS, "splitter": "stratified"},
            "models": [{"name": f"m{number}", **model} for number in range(members)],
            "ensemble": ["average", *[{"unknown": {"label": UNKNOWN}}] * has_unknown],
            "submission": {"format": form},
            "report": {"shift": False},
        }
    )


def manifest(made: Any) -> None:
    """Run the stage manifest."""
    from goldfold.config import slices
    from goldfold.stages import manifest as stage

    stage.run(folder=str(RESULTS / "manifest"), workers=1, **slices.manifest(made))


def folds(made: Any) -> None:
    """Run the stage folds."""
    from goldfold.config import slices
    from goldfold.stages import folds as stage

    stage.run(str(RESULTS / "manifest"), str(RESULTS / "folds"), **slices.folds(made))


def predict(made: Any) -> None:
    """Write the predictions of all members, as the stage predict does, from batches of random logits."""
    import pandas as pd

    from goldfold.base.files import read_json
    from goldfold.predictions.arrays import save
    from goldfold.tables import read_table
    from goldfold.tasks.logits import packed

    classes = read_json(RESULTS / "folds/classes.json")
    number = {name: place for place, name in enumerate(classes)}
    train, test = read_table(RESULTS / "folds/train.csv"), read_table(RESULTS / "folds/answers.csv")

    def batches(table: pd.DataFrame, drawn: np.random.Generator) -> Any:
        for start in range(0, len(table), 256):
            labels = table["label"].iloc[start : start + 256].map(number).to_numpy()
            logits = drawn.standard_normal((len(labels), len(classes)), dtype=np.float32)
            logits[np.arange(len(labels)), labels] += np.where(np.arange(len(labels)) % 2, *STRENGTH).astype(np.float32)
            yield {"logits": logits}

    for place, model in enumerate(made.models):
        for fold in range(N_FOLDS):
            drawn = np.random.default_rng([place, fold])
            folder = RESULTS / f"predict/{model.name}/round0/fold{fold}/seed0"
            own = train[train["fold"] == str(fold)].reset_index(drop=True)
            for name, table in (("oof", own), ("test", test)):
                save(folder / f"{name}.npz", packed(table["id"], batches(table, drawn), classes))


def ensemble(made: Any) -> None:
    """Run the stage ensemble."""
    from goldfold.config.dependencies import SETTINGS
    from goldfold.planning.plan import Job
    from goldfold.stages import ensemble as stage

    lists = RESULTS / "folds"
    stage.run(
        predictions=str(RESULTS / "predict"), train=str(lists / "train.csv"), classes=str(lists / "classes.json"),
        folder=str(RESULTS / "ensemble"), leaderboard=str(RESULTS / "leaderboard.csv"),
        metrics=str(RESULTS / "metrics.json"), workers=2, answers=str(lists / "answers.csv"), test=str(lists / "test.csv"),
        **SETTINGS["ensemble"](made, Job("ensemble")),
    )  # fmt: skip


def submit(made: Any) -> None:
    """Run the stage submit."""
    from goldfold.config.dependencies import SETTINGS
    from goldfold.planning.plan import Job
    from goldfold.stages import submit as stage

    lists = RESULTS / "folds"
    stage.run(
        predictions=str(RESULTS / "ensemble/test.npz"), test=str(lists / "test.csv"), classes=str(lists / "classes.json"),
        class_ids=str(lists / "class_ids.json"), out=str(RESULTS / "submission.csv"), **SETTINGS["submit"](made, Job("submit")),
    )  # fmt: skip


def report(made: Any) -> None:
    """Run the stage report."""
    from goldfold.config import slices
    from goldfold.stages import report as stage

    stage.run(results=str(RESULTS), out=str(RESULTS / "report/report.html"), workers=2, **slices.report(made))


STAGES = {stage.__name__: stage for stage in (manifest, folds, predict, ensemble, submit, report)}


def main() -> None:
    """Print a line per stage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    for name, default in (("classes", 10_000), ("images", 2), ("test", 10_000), ("members", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--metric", default="gap")
    parser.add_argument("--format", default="auto", help="submission.format")
    parser.add_argument("--unknown", action="store_true", help="fit a threshold for a class of unknown images")
    parser.add_argument("--only", nargs="*", default=list(STAGES), choices=list(STAGES))
    parser.add_argument("--alone", choices=list(STAGES), help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    os.chdir(given.folder)
    if given.alone:
        began = time.perf_counter(), time.process_time()
        STAGES[given.alone](config(given.members, given.metric, given.format, given.unknown))
        taken = {"seconds": time.perf_counter() - began[0], "cpu": time.process_time() - began[1]}
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
        Path(f"{given.alone}.json").write_text(json.dumps(taken | {"gb": peak}))
        return
    if not Path("test_answers.csv").exists():
        write_data(given.classes, given.images, given.test)
    for name in given.only:
        words = [str(Path(__file__).resolve()), *sys.argv[1:], "--alone", name]
        words[1] = str(Path.cwd())
        with open(f"{name}.log", "w") as log:
            done = subprocess.run([sys.executable, *words], stdout=log, stderr=subprocess.STDOUT)
        if done.returncode:
            sys.exit(f"{name} failed: {Path.cwd()}/{name}.log")
        found = json.loads(Path(f"{name}.json").read_text())
        print(
            f"{name}: {found['seconds']:.0f} s ({found['cpu']:.0f} s of processor time), {found['gb']:.2f} GB",
            flush=True,
        )


if __name__ == "__main__":
    main()
