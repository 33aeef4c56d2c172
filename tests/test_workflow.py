"""The workflow as a user runs it: snakemake and dvc in a folder of their own, on generated images."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

import forks
from goldfold.lineage import source
from goldfold.metrics.bootstrap import quantiles
from goldfold.predictions import resampled

ROOT = Path(__file__).parents[1]
N_TRAIN, N_TEST = 40, 10
TINY = {
    "name": "tiny",
    "data": {
        "source": "csv", "train": "raw/train.csv", "images": "raw/images", "test": "raw/test.csv", "channels": 1, "shards": 2,
    },
    "folds": {"n_folds": 2},
    "train": {"epochs": 1, "batch_size": 8, "warmup_epochs": 0},
    "models": [
        {"name": "wide", "network": "small_resnet", "params": {"widths": [8, 8]}, "image_size_px": 12},
        {"name": "slim", "network": "small_resnet", "params": {"widths": [4, 4]}, "image_size_px": 12},
    ],
    "pseudo_labels": {"rounds": 1, "threshold": 0.0},
    "tta": ["identity", "hflip"],
    "report": {"gallery": 4},
}  # fmt: skip


def write_images(folder: Path) -> None:
    generator = np.random.default_rng(0)
    (folder / "raw/images").mkdir(parents=True)
    labels = ["dark" if index % 2 else "light" for index in range(N_TRAIN + N_TEST)]
    for index, label in enumerate(labels):
        image = generator.integers(0, 120, (16, 16)) + (0 if label == "dark" else 130)
        cv2.imwrite(str(folder / f"raw/images/{index:02d}.png"), image.astype(np.uint8))
    table = pd.DataFrame({"id": [f"{index:02d}" for index in range(len(labels))], "label": labels})
    table[:N_TRAIN].to_csv(folder / "raw/train.csv", index=False)
    table[["id"]][N_TRAIN:].to_csv(folder / "raw/test.csv", index=False)


def write_config(folder: Path, **changes: object) -> None:
    (folder / "tiny.yaml").write_text(yaml.safe_dump({**TINY, **changes}))


def command(
    folder: Path, *words: str, config: str = "tiny.yaml", code: Path = ROOT, python: str | Path = ""
) -> dict[str, Any]:
    """How snakemake of the checkout ``code`` is started in ``folder``: arguments of subprocess.run.

    A new folder gets the outlines of the code that an earlier run has made: they take most of the time until the first job.

    Args:
        python: which starts it and its jobs; without one, that of `forks`.
    """
    line = [
        str(python or forks.folder() / "python"), "-m", "snakemake", "--snakefile", str(code / "Snakefile"),
        "--directory", str(folder),
        "--workflow-profile", str(code / "profiles/default"), "--cores", "2", *words,
    ]  # fmt: skip
    if config:
        line += ["--configfile", str(folder / config)]
    known = outlines_of(code)
    if known.exists() and not (folder / source.MEMORY).exists():
        (folder / source.MEMORY).parent.mkdir(exist_ok=True)
        shutil.copy(known, folder / source.MEMORY)
    paths = [str(code / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    return {"args": line, "text": True, "cwd": code, "env": environment}


def snakemake(
    folder: Path, *words: str, config: str = "tiny.yaml", code: Path = ROOT
) -> subprocess.CompletedProcess[str]:
    result = subprocess.run(**command(folder, *words, config=config, code=code), capture_output=True)
    if not outlines_of(code).exists() and (folder / source.MEMORY).exists():
        shutil.copy(folder / source.MEMORY, outlines_of(code))
    return result


def outlines_of(code: Path) -> Path:
    """Outlines of the files of a checkout, kept for the tests of this process."""
    return forks.folder() / f"{str(code).replace('/', '-')}.json"


def jobs_of(dry_run: subprocess.CompletedProcess[str]) -> dict[str, int]:
    output = dry_run.stdout + dry_run.stderr
    assert dry_run.returncode == 0, output
    table = re.search(r"Job stats:\njob +count\n[- ]+\n((?:\w+ +\d+\n)+)", output)
    return {name: int(n) for name, n in (line.split() for line in table[1].splitlines())} if table else {}


def test_dry_run_shows_the_whole_dag_without_torch(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "snakemake", "-n", "--cores", "8", "--resources", "gpu=2",
         "--directory", str(tmp_path), "--configfile", str(ROOT / "config.yaml")],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    jobs = jobs_of(
        subprocess.CompletedProcess([], result.returncode, result.stdout, _without_import_times(result.stderr))
    )
    assert jobs == {
        "demo": 1, "manifest": 1, "folds": 1, "cache": 4, "train": 12, "predict": 12, "pseudo_label": 3, "ensemble": 1,
        "submit": 1, "report": 1, "all": 1, "total": 38,
    }  # fmt: skip
    imported = set(re.findall(r"\| +(\w+)$", result.stderr, re.MULTILINE))
    assert "pydantic" in imported
    assert not imported & {"torch", "timm", "cv2", "sklearn", "albumentations", "matplotlib"}


def _without_import_times(text: str) -> str:
    return "".join(line for line in text.splitlines(keepends=True) if not line.startswith("import time:"))


def test_everything_is_made(tiny_run: Path) -> None:
    results = tiny_run / "results/tiny"
    submission = pd.read_csv(results / "submission.csv", dtype=str)
    assert list(submission["id"]) == [f"{index:02d}" for index in range(N_TRAIN, N_TRAIN + N_TEST)]
    assert set(submission["label"]) <= {"dark", "light"}
    metrics = json.loads((results / "metrics.json").read_text())
    score = metrics["oof"]["accuracy"]
    assert score["low"] <= score["value"] <= score["high"]
    assert set(metrics["members"]) == {"wide-seed0", "slim-seed0"}
    drawn = resampled.read(results / "ensemble")
    assert {*drawn} == {"wide-seed0", "slim-seed0", "ensemble"}
    assert quantiles(drawn["ensemble"], N_TRAIN) == pytest.approx((score["low"], score["high"]), abs=1e-12)
    assert {*pd.read_csv(results / "report/pairs.csv").loc[0, ["better", "other"]]} == {"wide-seed0", "slim-seed0"}
    runs = sorted(results.glob("train/*/round*/fold*/seed*/run.json"))
    assert len(runs) == 8
    record = json.loads(runs[-1].read_text())
    assert record["member"] == {"model": "wide", "round": 1, "fold": 1, "seed": 0}
    assert record["n_pseudo"] == N_TEST
    assert {"versions", "git", "hardware", "inputs", "outputs", "code", "seconds"} <= set(record)
    assert record["recipe"]["settings"]["model"]["name"] == "wide"
    assert len(list((results / "benchmarks").rglob("*.tsv"))) == len(list((results / "logs").rglob("*.log"))) == 27
    assert not list((results / ".status").glob("*"))


def test_out_of_fold_predictions_cover_every_training_image_once(tiny_run: Path) -> None:
    for model in ("wide", "slim"):
        for number in (0, 1):
            parts = [
                np.load(tiny_run / f"results/tiny/predict/{model}/round{number}/fold{fold}/seed0/oof.npz")
                for fold in (0, 1)
            ]
            ids = [str(id) for part in parts for id in part["ids"]]
            assert sorted(ids) == [f"{index:02d}" for index in range(N_TRAIN)]


def test_config_on_the_command_line_replaces_the_default(tmp_path: Path) -> None:
    write_images(tmp_path)
    write_config(tmp_path, models=TINY["models"][:1], pseudo_labels={"rounds": 0})
    assert jobs_of(snakemake(tmp_path, "-n"))["train"] == 2  # the default's two models are not added
    named = snakemake(tmp_path, "-n", "--config", "name=other")
    assert "results/other/metrics.json" in named.stdout + named.stderr


def test_bad_config_ends_before_any_job_with_one_clear_error(tmp_path: Path) -> None:
    write_config(tmp_path, models=[{**TINY["models"][0], "backbone": "resnet19", "network": "timm"}])
    result = snakemake(tmp_path)
    output = result.stdout + result.stderr
    assert result.returncode != 0
    assert "models[0] (wide).backbone = 'resnet19': nearest are 'resnet18'" in output
    assert "Traceback" not in output
    assert not (tmp_path / "results").exists()


def test_bad_data_ends_before_training_with_the_error_on_the_screen(tmp_path: Path) -> None:
    write_images(tmp_path)
    write_config(tmp_path, data={**TINY["data"], "label_column": "lable"})
    result = snakemake(tmp_path)
    output = result.stdout + result.stderr
    assert result.returncode != 0
    assert "raw/train.csv has no column 'lable': nearest is 'label'" in output
    assert "Traceback" not in (tmp_path / "results/tiny/logs/manifest.log").read_text()
    assert not (tmp_path / "results/tiny/train").exists()
