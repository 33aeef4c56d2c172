"""A fourth task in one file of the user's, through the whole workflow: nothing of goldfold knows of it."""

import json
import os
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import yaml

import keypoint_task
from conftest import FORM
from goldfold.base.errors import ConfigError, DataError
from goldfold.cache.images import CachedImages, build
from goldfold.cases import Inputs
from goldfold.config import parse
from goldfold.drawing.blocks import Text
from goldfold.images.geometry import MODES
from goldfold.inference import views
from goldfold.inference.loading import Loader
from goldfold.lineage import provenance
from goldfold.planning.full import NOTHING
from goldfold.report import ensemble
from goldfold.samples.dataset import TrainingSet
from goldfold.samples.transforms import Augment
from goldfold.stages import manifest, pseudo_label, train
from goldfold.tasks.optional import compose_params
from keypoint_task import Keypoints
from test_workflow import ROOT, jobs_of, snakemake
from whole_task import whole

N_TRAIN, N_TEST = 24, 6
OWN = "keypoint_task:Keypoints"
CONFIG: dict[str, Any] = {
    "name": "points",
    "task": OWN,
    "data": {
        "source": "csv", "train": "raw/train.csv", "images": "raw/images", "test": "raw/test.csv", "label_column": "point",
        "shards": 1, "test_answers": "raw/answers.csv",
    },
    "folds": {"n_folds": 2},
    "train": {"epochs": 20, "batch_size": 8, "warmup_epochs": 1, "lr": 0.01, "flips": "both"},
    "models": [{"name": "net", "network": "small_resnet", "params": {"widths": [8, 16, 16]}, "image_size_px": 24}],
    "pseudo_labels": {"rounds": 1, "threshold": 0.9},
    "tta": ["identity", "hflip", "rot90"],
    "submission": {"sample": "raw/sample.csv"},
    "task_params": {"decimals": 1},
    "report": {"gallery": 4},
}  # fmt: skip


WHOLE: dict[str, Any] = {**CONFIG, "pseudo_labels": {"rounds": 0}}
"""The run of all stages but the one of pseudo labels, which is run by itself."""


def write_points(folder: Path) -> pd.DataFrame:
    """Dark images of 36 x 48 with a bright spot each, and where it is."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(N_TRAIN + N_TEST):
        x, y = int(generator.integers(4, 44)), int(generator.integers(4, 32))
        image = generator.integers(0, 40, (36, 48, 3)).astype(np.uint8)
        cv2.circle(image, (x, y), 4, (255, 255, 255), -1)
        (folder / "raw/images").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"raw/images/{number:02d}.png"), image)
        rows.append((f"{number:02d}", f"{x + 0.5} {y + 0.5}"))
    table = pd.DataFrame(rows, columns=["id", "point"])
    table[:N_TRAIN].to_csv(folder / "raw/train.csv", index=False)
    table[["id"]][N_TRAIN:].to_csv(folder / "raw/test.csv", index=False)
    table[N_TRAIN:].to_csv(folder / "raw/answers.csv", index=False)
    table[["id"]][N_TRAIN:][::-1].assign(px=0, py=0).to_csv(folder / "raw/sample.csv", index=False)
    return table


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("own")
    write_points(folder)
    shutil.copy(keypoint_task.__file__, folder)
    (folder / "tiny.yaml").write_text(yaml.safe_dump(WHOLE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        result = snakemake(folder)
    assert result.returncode == 0, result.stdout + result.stderr
    return folder


@pytest.fixture
def run(finished: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PYTHONPATH", f"{finished}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return lambda config="tiny.yaml": jobs_of(snakemake(finished, "-n", config=config))


def test_nothing_outside_the_file_knows_of_it() -> None:
    files = [
        path for folder in ("src", "workflow") for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".smk")
    ]
    assert len(files) > 100
    assert [path for path in files if re.search("keypoint_?task", path.read_text(), re.IGNORECASE)] == []


def test_the_whole_workflow_runs_with_a_task_of_the_user_s(finished: Path) -> None:
    results = finished / "results/points"
    metrics = json.loads((results / "metrics.json").read_text())
    assert (metrics["task"], metrics["metric"]) == (OWN, "distance")
    assert metrics["oof"]["distance"]["value"] < 0.2, "a guess at the middle is about 0.25 away"
    assert metrics["oof"]["distance"]["low"] < metrics["oof"]["distance"]["value"] < metrics["oof"]["distance"]["high"]
    assert set(metrics["classes"]) == {"point"}
    submission = pd.read_csv(results / "submission.csv", dtype=str)
    assert list(submission.columns) == ["id", "px", "py"]
    assert list(submission["id"]) == [f"{number:02d}" for number in reversed(range(N_TRAIN, N_TRAIN + N_TEST))]
    assert submission["px"].str.fullmatch(r"\d+\.\d").all()
    page = (results / "report/report.html").read_text()
    for words in ("Distances", "90 % of the images", "The farthest first", "test images"):
        assert words in page
    assert not list((results / ".status").glob("*"))


def test_its_pseudo_labels_are_learnt_from(finished: Path, tmp_path: Path) -> None:
    results, first = finished / "results/points", finished / "results/points/predict/net/round0/fold0/seed0"
    record = json.loads((results / "train/net/round0/fold0/seed0/run.json").read_text())
    classes, out, settings = (
        str(results / "folds/classes.json"),
        str(tmp_path / "pseudo.csv"),
        record["recipe"]["settings"],
    )
    teach = {"threshold": 0.9, "fold": 0, "weights": {}, "settings": {"method": "mean"}, "workers": 1}
    pseudo_label.run({"test": [str(first / "test.npz")]}, classes, out, settings["task"], **teach)
    pseudo = pd.read_csv(out)
    assert list(pseudo.columns) == ["id", "confidence", "height", "width", "label", "source"]
    settings["model"]["train"]["epochs"] = 1
    settings["runtime"] |= {"loader_workers": 0, "save_minutes": 5.0}
    facts = train.run(
        folder=str(tmp_path),
        fold_file=str(results / "folds/fold0.csv"),
        classes=classes,
        caches=[str(path) for path in (results / "cache").glob("*/*-0")],
        pseudo=out,
        **{**settings, "place": {"round": 1, "fold": 0, "seed": 0}},
    )
    assert facts["n_pseudo"] == len(pseudo) > 0


def test_a_second_run_has_nothing_to_do(run: Any) -> None:
    assert run() == {}


def test_a_late_setting_retrains_nothing(finished: Path, run: Any) -> None:
    (finished / "late.yaml").write_text(yaml.safe_dump({**WHOLE, "task_params": {"decimals": 3}}))
    assert run("late.yaml") == {"ensemble": 1, "submit": 1, "report": 1, "all": 1, "total": 4}


def test_an_edit_of_the_file_is_seen_and_a_comment_is_not(finished: Path, run: Any) -> None:
    file = finished / "keypoint_task.py"
    text = file.read_text()
    try:
        file.write_text(text.replace('"""', '"""In other words: ', 1) + "\n# a comment\n")
        assert run() == {}
        file.write_text(text + "\nADDED = 1\n")
        jobs = run()
    finally:
        file.write_text(text)
    assert {"manifest", "folds", "train", "predict", "ensemble", "submit", "report"} <= set(jobs)


def test_a_module_where_the_run_starts_is_found(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PYTHONPATH, as for a user who keeps the file beside the config."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert jobs_of(snakemake(finished, "-n")) == {}


def test_the_config_is_held_to_the_facts_of_the_task() -> None:
    config = parse(without_files(CONFIG))
    assert (config.metric, config.ensemble.method, config.data.on_missing_label) == ("distance", "mean", "quarantine")
    for changes, said in (
        ({"metric": "accuracy"}, r"metric = 'accuracy': allowed with keypoint_task:Keypoints: distance, near"),
        ({"tta": ["zoom_in"]}, r"tta\[0\] = 'zoom_in': allowed with keypoint_task:Keypoints: identity, hflip"),
        (
            {"train": {"mixup_alpha": 0.1}},
            r"train\.mixup_alpha = 0\.1: task 'keypoint_task:Keypoints' cannot use mixup;",
        ),
        ({"task_params": {"decimal": 1}}, r"task_params\.decimal: unknown key; nearest is 'decimals'"),
        ({"task_params": {"decimals": "1"}}, r"task_params\.decimals = '1': .*valid integer"),
        ({"task": "keypoint_task:Keypoint"}, r"task 'keypoint_task:Keypoint': .*has no attribute 'Keypoint'"),
    ):
        with pytest.raises(ConfigError, match=said):
            parse({**without_files(CONFIG), **changes})


def without_files(config: dict[str, Any]) -> dict[str, Any]:
    """The config without what must be there to be named."""
    return {**config, "data": {key: value for key, value in config["data"].items() if key != "test_answers"}}


def test_a_class_that_lacks_what_is_asked_of_a_task_is_told_what(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Keypoints, "join")
    monkeypatch.delattr(Keypoints, "facts")
    said = r"task 'keypoint_task:Keypoints' has no facts, join; goldfold\.tasks\.protocol describes each"
    with pytest.raises(ConfigError, match=said):
        parse(without_files(CONFIG))


def test_rounds_of_pseudo_labels_need_a_task_that_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Keypoints, "pseudo_labels")
    with pytest.raises(
        ConfigError, match=r"pseudo_labels\.rounds: task 'keypoint_task:Keypoints' has no pseudo_labels"
    ):
        parse(without_files(CONFIG))


def test_code_of_pages_counts_for_no_training_of_an_own_task() -> None:
    for stage in ("train", "predict", "folds", "ensemble"):
        files = provenance.code_table(stage, OWN)
        assert len(files) > 10
        assert [name for name in files if "/drawing/" in name or "/report/" in name or "/submission/" in name] == []


def test_members_of_an_own_task_are_compared_in_the_report_by_their_scores(in_tmp: Path) -> None:
    table = write_points(in_tmp)[:12].rename(columns={"point": "label"}).assign(width="48", height="36")
    task, generator = whole({"name": OWN}, ["point"]), np.random.default_rng(0)
    points = {name: [{"points": generator.uniform(0, 36, (12, 2))}] for name in ("net-seed0", "net-seed1")}
    made = {name: dict(task.pack(table, parts, (36, 48), "squash")) for name, parts in points.items()}
    evidence = {name: task.evidence(arrays, table) for name, arrays in made.items()}
    results = SimpleNamespace(
        task={"name": OWN}, classes=["point"], facts=task.facts, metric="distance", truth=table, members=made,
        joined=made.get, member_evidence=evidence, steps=[], row="image", made=[],
        chosen_metric=task.metric("distance"), ensemble={"method": "mean", "weights": dict.fromkeys(made, 0.5)},
        full=NOTHING,
    )  # fmt: skip
    texts = [block.text for block in ensemble.section(results).blocks if isinstance(block, Text)]
    assert any("Scored per image (distance, 12 images)" in text for text in texts)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ("12", "its point '12' is not two numbers, x and y"),
        ("a b", "its point 'a b' is not two numbers, x and y"),
        ("60 10", "its point '60 10' lies outside the 48 x 36 pixels"),
    ],
)
def test_flawed_targets_of_an_own_task_follow_the_policies(label: str, said: str, in_tmp: Path) -> None:
    table = write_points(in_tmp)[:N_TRAIN]
    table.loc[3, "point"] = label
    table.to_csv("raw/train.csv", index=False)
    source = {
        "source": "csv",
        "train": "raw/train.csv",
        "images": "raw/images",
        "test": "raw/test.csv",
        "label_column": "point",
    }
    policies = {"on_bad_image": "fail", "on_missing_image": "fail", "on_missing_label": "quarantine"}
    task = {"name": OWN}
    with pytest.raises(
        DataError, match=f"train: 1 of 24 images .* first '03': {said}. Correct it, or set data.on_bad_label"
    ):
        manifest.run("out", source, task, {**policies, "on_bad_label": "fail"}, None, None, None, FORM, 1)
    manifest.run("out", source, task, {**policies, "on_bad_label": "quarantine"}, None, None, None, FORM, 1)
    assert list(pd.read_csv("out/quarantine.csv")["reason"]) == [said]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flips", ["none", "both"])
def test_points_move_with_the_image_and_come_back_out_of_the_frame(mode: str, flips: str, in_tmp: Path) -> None:
    """The brightest place of each augmented image is its point; what finds it there has no error in the image."""
    table = write_points(in_tmp)[:12].rename(columns={"point": "label"})
    table = table.assign(path=[f"raw/images/{id}.png" for id in table["id"]], sha256="s", width="48", height="36")
    build(table, Path("cache"), (40, 40), 3, mode)
    images, task = CachedImages(["cache"]), whole({"name": OWN}, ["point"])
    targets = task.targets(table, images, mode)
    augment = Augment("none", flips, (40, 40), 3, compose_params(task.learn))
    samples = TrainingSet(list(table["id"]), targets, [1.0] * 12, images, augment, ("k",))
    for row in range(12):
        sample = samples[(0, row)]
        x, y = sample["keypoints"][0]
        if 2 <= x <= 37 and 2 <= y <= 37:  # a crop may have cut the spot
            assert brightest(sample["images"][0]) == pytest.approx((x, y), abs=1.0)
    batch = Loader(images, torch.device("cpu"))(list(table["id"]))
    parts = [task.predict(Brightest(), batch, views.build(list(Keypoints.facts.views)))]
    made = dict(task.pack(table, parts, (40, 40), mode))
    shown = [2 <= x <= 37 and 2 <= y <= 37 for x, y in (target["keypoints"][0] for target in targets)]
    assert task.evidence(made, table).shares[shown] == pytest.approx(0, abs=0.03)
    assert sum(shown) >= 6


def brightest(image: np.ndarray) -> tuple[float, float]:
    ys, xs = np.nonzero(image.min(axis=2) > 150)
    return xs.mean(), ys.mean()


class Brightest(torch.nn.Module):
    """Where the bright pixels of an image are, as the logit of a share of its width and height."""

    def forward(self, inputs: Inputs) -> torch.Tensor:
        found = []
        for image in inputs.single.permute(0, 2, 3, 1).numpy():
            x, y = brightest(image) if (image.min(axis=2) > 150).any() else (0, 0)
            found.append([(x + 0.5) / image.shape[1], (y + 0.5) / image.shape[0]])
        return torch.logit(torch.tensor(found, dtype=torch.float32))
