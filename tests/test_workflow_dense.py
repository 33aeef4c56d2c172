"""The workflow on masks and boxes as a user runs it, on a handful of generated images."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import COCO, MASKS, NETS, SCENE_PX, SHAPES, write_scenes
from goldfold.targets import rle
from goldfold.targets.masks import decode_mask, write_mask
from made_run import make_folds, would_run
from test_reruns import LATE, labels, runs
from test_workflow import jobs_of, snakemake

SHARED: dict[str, Any] = {
    "folds": {"n_folds": 2},
    "train": {"epochs": 1, "batch_size": 4, "warmup_epochs": 0, "flips": "horizontal"},
    "tta": ["identity", "hflip"],
    "report": {"gallery": 3},
}
CONFIGS: dict[str, dict[str, Any]] = {
    "segmentation": {
        "name": "t",
        "task": "segmentation",
        "data": {**MASKS, "test_answers": "raw/test_masks", "shards": 2},
        "models": [{"name": "net", **NETS["segmentation"], "resize": "pad"}],
        "rounds": [{}, {"start": "previous", "teacher": {"threshold": 0.3, "weight": 0.5}}],
        "ensemble": [
            "average",
            {"components": {"smallest": [0, 6], "holes": 9, "largest": [False, True]}},
            {"instances": {"distance": 2, "neck": [0, 0.8], "smallest": 3}},
        ],
        **SHARED,
    },
    "detection": {
        "name": "t",
        "task": "detection",
        "data": {**COCO, "test_answers": "raw/test_answers.json", "shards": 1},
        "models": [
            {"name": "net", **NETS["detection"], "train": {"mix": ["mixup"], "loss_weights": {"classification": 2}}}
        ],
        "task_params": {"yolo": "scores"},
        **SHARED,
    },
}
N_ROUNDS = {"segmentation": 2, "detection": 1}
TESTS = [f"te{number:02d}" for number in range(4)]
METRICS = {"segmentation": "dice", "detection": "ap"}
every = pytest.mark.parametrize("task", CONFIGS)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder of each task in which all has been run."""
    folders = {}
    for task, config in CONFIGS.items():
        folders[task] = tmp_path_factory.mktemp(task)
        write_scenes(folders[task])
        (folders[task] / "tiny.yaml").write_text(yaml.safe_dump(config))
        result = snakemake(folders[task])
        assert result.returncode == 0, result.stdout + result.stderr
        said = re.search(
            r"^Score: (\w+) \d\.\d{4} out of fold \(95 % interval \d\.\d{4} to \d\.\d{4}\)$", result.stdout, re.M
        )
        assert said
        assert said[1] == METRICS[task]
    return folders


@every
def test_everything_is_made_in_all_rounds_and_folds(task: str, finished: dict[str, Path]) -> None:
    results = finished[task] / "results/t"
    metrics = json.loads((results / "metrics.json").read_text())
    assert (metrics["task"], metrics["metric"]) == (task, METRICS[task])
    score = metrics["oof"][metrics["metric"]]
    assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1
    assert list(metrics["classes"]) == SHAPES
    last = f"round{N_ROUNDS[task] - 1}"
    ids = [id for fold in (0, 1) for id in np.load(results / f"predict/net/{last}/fold{fold}/seed0/oof.npz")["ids"]]
    assert sorted(ids) == [f"im{number:02d}" for number in range(12)]
    record = json.loads((results / f"train/net/{last}/fold0/seed0/run.json").read_text())
    assert record["recipe"]["settings"]["task"]["name"] == task
    if N_ROUNDS[task] == 2:
        assert record["n_pseudo"] == len(pd.read_csv(results / "pseudo/round1/fold0.csv")) > 0
    weights, log = "train/net/round0/fold0/seed0/model.safetensors", results / f"logs/train/net/{last}/fold0/seed0.log"
    starts = [f"results/t/{weights}"] * (N_ROUNDS[task] - 1)
    assert [path for path in record["inputs"] if path.endswith(".safetensors")] == starts
    assert (f"starts from results/t/{weights}" in log.read_text()) == bool(starts)
    assert len(pd.read_csv(results / "ensemble/rounds.csv")) == 2 * N_ROUNDS[task]
    assert not list((results / ".status").glob("*"))
    page = (results / "report/report.html").read_text()
    assert "dim" in page
    assert len(list((results / "report/figures").glob("*.png"))) >= 3


def test_masks_are_submitted_as_run_lengths_and_as_pictures_that_agree(finished: dict[str, Path]) -> None:
    results = finished["segmentation"] / "results/t"
    fitted = json.loads((results / "ensemble/fitted.json").read_text())
    assert fitted["steps"][1]["fitted"]["holes"] == dict.fromkeys(SHAPES, 9)
    assert "smallest.dim" in (results / "report/report.html").read_text()
    submission = pd.read_csv(results / "submission.csv", dtype=str, keep_default_na=False)
    assert list(submission.columns) == ["id", "class", "rle"]
    assert list(zip(submission["id"], submission["class"], strict=True)) == [
        (id, name) for id in TESTS for name in SHAPES
    ]
    assert sorted(path.stem for path in (results / "masks").glob("*.png")) == TESTS
    assert fitted["steps"][2]["fitted"]["smallest"] == dict.fromkeys(SHAPES, 3)
    assert "<h2>Instances</h2>" in (results / "report/report.html").read_text()
    for id, name, text in submission.itertuples(index=False):
        mask = decode_mask(results / f"masks/{id}.png")
        labels = cv2.imread(str(results / f"instances/{id}.png"), cv2.IMREAD_UNCHANGED)
        assert (labels.dtype, labels.shape) == (np.uint16, SCENE_PX)
        assert (mask[labels > 0] > 0).all()
        assert mask.shape == SCENE_PX
        assert np.array_equal(rle.decode(text, *SCENE_PX), mask == 1 + SHAPES.index(name))


def test_boxes_are_submitted_as_texts_and_as_coco_results_that_agree(finished: dict[str, Path]) -> None:
    results = finished["detection"] / "results/t"
    submission = pd.read_csv(results / "submission.csv", dtype=str, keep_default_na=False)
    assert list(submission["id"]) == TESTS
    rows = json.loads((results / "submission.json").read_text())
    assert len(rows) == sum(len(text.split()) // 6 for text in submission["PredictionString"]) > 0
    assert {row["image_id"] for row in rows} <= {7, 8, 9, 10}, "the ids of the competition's own file"
    assert {row["category_id"] for row in rows} <= {1, 2}
    of_yolo = [(results / f"yolo/labels/{id}.txt").read_text().splitlines() for id in submission["id"]]
    assert [len(text.split()) // 6 for text in submission["PredictionString"]] == [len(image) for image in of_yolo]
    assert (results / "yolo/data.yaml").read_text() == 'names:\n  0: "dim"\n  1: "lit"\n'
    for row in rows:
        x, y, width, height = row["bbox"]
        assert min(x, y) >= 0
        assert x + width <= SCENE_PX[1] + 0.01
        assert y + height <= SCENE_PX[0] + 0.01


@every
def test_an_untouched_tree_has_nothing_to_do(task: str, finished: dict[str, Path]) -> None:
    assert jobs_of(snakemake(finished[task], "-n")) == {}


@pytest.fixture
def copy_of(finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A finished run to edit, by task."""
    monkeypatch.chdir(tmp_path)  # and back again after the test
    return lambda task: Path(shutil.copytree(finished[task], tmp_path / task, symlinks=True))


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("segmentation", {"task_params": {"threshold": 0.4}}),
        ("segmentation", {"task_params": {"true_instances": "components"}}),
        ("segmentation", {"ensemble": {"method": "geometric"}}),
        ("detection", {"task_params": {"box_fields": ["label", "score"], "yolo": "boxes"}}),
        ("detection", {"task_params": {}}),
        ("detection", {"ensemble": {"iou_threshold": 0.4}}),
    ],
)
def test_settings_that_matter_late_retrain_nothing_but_what_they_teach(
    task: str, changes: dict[str, Any], copy_of: Callable[[str], Path]
) -> None:
    jobs = {job for job in would_run(copy_of(task), **changes) if not job.startswith("cache")}
    # how members are fused is how they teach: a round of pseudo labels follows
    taught = labels() | runs(models="net", rounds=[1]) if (task, *changes) == ("segmentation", "ensemble") else set()
    assert jobs == LATE | taught


def after_folds(folder: Path) -> set[str]:
    """What is left to do once the manifest and the folds have been looked at again: before that, no one can tell."""
    assert would_run(folder) >= {"manifest", "folds"}
    make_folds()
    return would_run(folder)


def test_a_corrected_box_trains_all_folds_again_and_caches_no_image_again(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("detection")
    file = folder / "raw/train.json"
    text = file.read_text()
    content = json.loads(text)
    content["annotations"][0]["bbox"][2] += 2
    file.write_text(json.dumps(content))
    assert after_folds(folder) == runs(models="net", rounds=[0]) | LATE
    file.write_text(json.dumps(json.loads(text), indent=1))
    assert after_folds(folder) == set(), "the same boxes in other bytes"


def test_a_corrected_mask_makes_one_piece_of_cache_and_all_folds_again(copy_of: Callable[[str], Path]) -> None:
    folder = copy_of("segmentation")
    path = folder / "raw/masks/im02.png"
    changed = decode_mask(path).copy()
    changed[:2, :2] = 1
    write_mask(path, changed)
    jobs = after_folds(folder)
    assert len([job for job in jobs if job.startswith("cache")]) == 1
    assert {job for job in jobs if not job.startswith("cache")} == runs(models="net") | labels() | LATE
