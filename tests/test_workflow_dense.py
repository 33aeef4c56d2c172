"""The workflow on masks and boxes as a user runs it, on a handful of generated images."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from conftest import COCO, MASKS, NETS, SCENE_PX, SHAPES, write_scenes
from goldfold.targets import rle
from goldfold.targets.masks import decode_mask, write_mask
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
        **SHARED,
    },
    "detection": {
        "name": "t",
        "task": "detection",
        "data": {**COCO, "test_answers": "raw/test_answers.json", "shards": 1},
        "models": [{"name": "net", **NETS["detection"]}],
        "pseudo_labels": {"rounds": 1, "threshold": 0.05},
        **SHARED,
    },
}
TESTS = [f"te{number:02d}" for number in range(4)]
RETRAINED = {
    "train": 4, "predict": 4, "pseudo_label": 2, "ensemble": 1, "submit": 1, "report": 1, "all": 1,
}  # fmt: skip
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
    return folders


@every
def test_everything_is_made_in_all_rounds_and_folds(task: str, finished: dict[str, Path]) -> None:
    results = finished[task] / "results/t"
    metrics = json.loads((results / "metrics.json").read_text())
    assert (metrics["task"], metrics["metric"]) == (task, {"segmentation": "dice", "detection": "ap"}[task])
    score = metrics["oof"][metrics["metric"]]
    assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1
    assert list(metrics["classes"]) == SHAPES
    ids = [id for fold in (0, 1) for id in np.load(results / f"predict/net/round1/fold{fold}/seed0/oof.npz")["ids"]]
    assert sorted(ids) == [f"im{number:02d}" for number in range(12)]
    record = json.loads((results / "train/net/round1/fold0/seed0/run.json").read_text())
    assert record["n_pseudo"] == len(pd.read_csv(results / "pseudo/round1/fold0.csv")) > 0
    assert record["recipe"]["settings"]["task"]["name"] == task
    weights, log = "train/net/round0/fold0/seed0/model.safetensors", results / "logs/train/net/round1/fold0/seed0.log"
    starts = [f"results/t/{weights}"] if "rounds" in CONFIGS[task] else []
    assert [path for path in record["inputs"] if path.endswith(".safetensors")] == starts
    assert (f"starts from results/t/{weights}" in log.read_text()) == bool(starts)
    assert len(pd.read_csv(results / "ensemble/rounds.csv")) == 4
    assert not list((results / ".status").glob("*"))
    page = (results / "report/report.html").read_text()
    assert "dim" in page
    assert len(list((results / "report/figures").glob("*.png"))) >= 3


def test_masks_are_submitted_as_run_lengths_and_as_pictures_that_agree(finished: dict[str, Path]) -> None:
    results = finished["segmentation"] / "results/t"
    submission = pd.read_csv(results / "submission.csv", dtype=str, keep_default_na=False)
    assert list(submission.columns) == ["id", "class", "rle"]
    assert list(zip(submission["id"], submission["class"], strict=True)) == [
        (id, name) for id in TESTS for name in SHAPES
    ]
    assert sorted(path.stem for path in (results / "masks").glob("*.png")) == TESTS
    for id, name, text in submission.itertuples(index=False):
        mask = decode_mask(results / f"masks/{id}.png")
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
    for row in rows:
        x, y, width, height = row["bbox"]
        assert min(x, y) >= 0
        assert x + width <= SCENE_PX[1] + 0.01
        assert y + height <= SCENE_PX[0] + 0.01


@every
def test_an_untouched_tree_has_nothing_to_do(task: str, finished: dict[str, Path]) -> None:
    assert jobs_of(snakemake(finished[task], "-n")) == {}


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("segmentation", {"task_params": {"threshold": 0.4}}),
        ("segmentation", {"ensemble": {"method": "geometric"}}),
        ("detection", {"task_params": {"box_fields": ["label", "score"]}}),
        ("detection", {"ensemble": {"iou_threshold": 0.4}}),
    ],
)
def test_settings_that_matter_late_retrain_nothing_but_what_they_teach(
    task: str, changes: dict[str, Any], finished: dict[str, Path]
) -> None:
    (finished[task] / "edited.yaml").write_text(yaml.safe_dump({**CONFIGS[task], **changes}))
    jobs = jobs_of(snakemake(finished[task], "-n", config="edited.yaml"))
    late = {"ensemble": 1, "submit": 1, "report": 1, "all": 1}
    # how members are fused is how they teach: a round of pseudo labels follows
    taught = {"pseudo_label": 2, "train": 2, "predict": 2} if "ensemble" in changes else {}
    assert {job: n for job, n in jobs.items() if job not in ("cache", "total")} == late | taught


def jobs_after_folds(folder: Path) -> dict[str, int]:
    """What is left to do once the manifest and the folds have been looked at anew: before that, no one can tell."""
    result = snakemake(folder, "results/t/folds/run.json")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "Rule: folds" in result.stdout + result.stderr
    jobs = jobs_of(snakemake(folder, "-n"))
    assert jobs.pop("total", 0) == sum(jobs.values())
    return jobs


def test_a_corrected_box_trains_all_folds_anew_and_caches_no_image_again(finished: dict[str, Path]) -> None:
    file = finished["detection"] / "raw/train.json"
    text = file.read_text()
    content = json.loads(text)
    content["annotations"][0]["bbox"][2] += 2
    file.write_text(json.dumps(content))
    assert jobs_after_folds(finished["detection"]) == RETRAINED
    file.write_text(json.dumps(json.loads(text), indent=1))
    assert jobs_after_folds(finished["detection"]) == {}, "the same boxes in other bytes"
    file.write_text(text)


def test_a_corrected_mask_makes_one_piece_of_cache_and_all_folds_anew(finished: dict[str, Path]) -> None:
    path = finished["segmentation"] / "raw/masks/im02.png"
    before, mask = path.read_bytes(), decode_mask(path)
    changed = mask.copy()
    changed[:2, :2] = 1
    write_mask(path, changed)
    assert jobs_after_folds(finished["segmentation"]) == {"cache": 1, **RETRAINED}
    path.write_bytes(before)
