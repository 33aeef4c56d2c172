"""Shared fixtures: a temporary working folder, generated images, and a tiny prepared experiment."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings

from goldfold.base.run_lock import held
from goldfold.config import parse, slices
from goldfold.drawing.axes import Canvas
from goldfold.lineage import contents

torch.set_num_threads(1)
sys.dont_write_bytecode = False  # else each of some thousand processes compiles the code again
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
settings.register_profile("goldfold", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("goldfold")

REPO = Path(__file__).resolve().parents[1]
FORM = {"format": "auto", "id_column": "id", "label_column": "label"}
TASK = {"name": "classification"}
POLICIES = dict.fromkeys(("on_bad_image", "on_missing_image", "on_missing_label", "on_bad_label"), "fail")
RUNTIME = {
    "device": "cpu",
    "precision": "fp32",
    "torch_threads": 1,
    "loader_workers": 0,
}
PLACE = {"round": 0, "fold": 0, "seed": 0}
OF_PREDICTION = (
    "network", "backbone", "params", "size", "head", "metadata", "views", "max_images", "embedding", "neighbours",
    "windows",
)  # fmt: skip
"""Settings of a model that the stage predict gets."""
CLASSES = ["cat", "dog"]
SHAPES = ["dim", "lit"]
SCENE_PX = (48, 64)
"""Height and width of the images with shapes."""
WORKFLOW = (
    "test_dvc", "test_killed_runs", "test_workflow_dense", "test_ddp", "test_own_task", "test_run_lock",
    "test_back_and_forth", "test_reruns_real", "test_workflow", "test_reruns", "test_resume", "test_benchmarks",
    "test_whole_features", "test_gpu_slots", "test_leak", "test_cache", "test_digits", "test_slurm",
)  # fmt: skip
"""Files marked `workflow`: they start whole runs, or kill processes. The longest first: begun last, one would keep a
single process of pytest busy at the end."""
LONGER = (
    "test_full_data", "test_holdout", "test_windows", "test_check", "test_cleaning", "test_pseudo_labels",
    "test_members_chosen", "test_tta", "test_many_classes", "test_recipes_together", "test_interpolation",
    "test_ensemble_steps", "test_fitted_fusion", "test_stacked_metadata",
    "test_stacked_embeddings", "test_frozen_heads",
    "test_runtime", "test_networks", "test_report", "test_report_tasks", "test_report_data", "test_engine",
    "test_bundle", "test_dense_tasks", "test_imports", "test_preflight", "test_shift", "test_masks_boxes", "test_pretrained",
    "test_contract", "test_honesty", "test_metadata", "test_cache_size", "test_case_tables", "test_demo", "test_earlier_results",
    "test_batch_norm", "test_bad_targets", "test_config", "test_sizes", "test_init", "test_docs", "test_plan",
    "test_properties", "test_train_sizes", "test_contact_sheet", "test_compile", "test_distillation",
)  # fmt: skip
"""Files that train, draw or import for seconds; all others are marked `unit`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their files, and begin with those that take longest; within a file the order stays."""
    places = {name: place for place, name in enumerate((*WORKFLOW, *LONGER))}
    for item in items:
        place = places.get(item.path.stem, len(places))
        if place < len(WORKFLOW):
            item.add_marker("workflow")
        elif place == len(places) and not item.get_closest_marker("slow"):
            item.add_marker("unit")
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO


@pytest.fixture(scope="session")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, so that an edit while tests run, here or by someone at work, is not taken for a result's."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("Snakefile", "config.yaml"):
        shutil.copy2(REPO / name, folder)
    for name in ("src", "workflow", "profiles", "envs"):
        shutil.copytree(REPO / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    return folder


@pytest.fixture(scope="session")
def tiny_run(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which TINY of test_workflow has been run to its end; only to be looked at, or copied.

    All processes of pytest share it: the first that asks for it makes it, the others wait.
    """
    from test_workflow import snakemake, write_config, write_images

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "a folder with spaces"
    done = folder.with_suffix(".done")
    with held(folder, "another process of pytest"):
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            write_images(folder)
            write_config(folder)
            result = snakemake(folder, code=code)
            assert result.returncode == 0, result.stdout + result.stderr
            done.touch()
    return folder


@pytest.fixture(scope="session")
def made_up_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same made up in a moment by `made_run`: ``left``, and a ``clone`` of it; only to be copied."""
    import made_run

    folder = tmp_path_factory.mktemp("a made up run")
    with contextlib.chdir(folder):
        made_run.finish(folder / "left")
        made_run.clone(folder / "left", folder / "clone")
    return folder


@pytest.fixture
def undrawn(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are blank, as drawing takes longer than all else of a report; but for tests marked `drawn`."""
    blanks = {
        "svg": '<svg viewBox="0 0 1 1"></svg>',
        "png": cv2.imencode(".png", np.zeros((1, 1), np.uint8))[1].tobytes(),
    }
    if not request.node.get_closest_marker("drawn"):
        monkeypatch.setattr(Canvas, "_save", lambda self, name, stream, format, **_: stream.write(blanks[format]))


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder is empty, so that no test leaves .goldfold/ or results/ in the checkout."""
    monkeypatch.chdir(tmp_path)
    contents.memory.cache_clear()  # of the folder of the test before
    return tmp_path


def picture(seed: int, size: tuple[int, int] = (20, 20), channels: int = 3, level: int = 128) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-60, 60, (*size, channels))
    return np.clip(level + noise, 0, 255).astype(np.uint8)


def save_picture(path: Path, image: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = image[..., ::-1] if image.ndim == 3 and image.shape[2] == 3 else image
    path.write_bytes(cv2.imencode(path.suffix, bgr)[1].tobytes())
    return path


@pytest.fixture(scope="session")
def make_picture() -> Callable[..., np.ndarray]:
    """(seed, size, channels, level) -> uint8 image."""
    return picture


@pytest.fixture(scope="session")
def write_picture() -> Callable[[Path, np.ndarray], Path]:
    """Write an RGB or grey image in the format of the path's suffix."""
    return save_picture


@dataclass(frozen=True)
class Scene:
    """A dark image of SCENE_PX with rectangles on it: dim ones of value 1, lit ones of value 2."""

    image: np.ndarray
    mask: np.ndarray
    boxes: list[tuple[str, int, int, int, int]]
    """Label, x1, y1, x2, y2."""


def scene(seed: int, kinds: Sequence[str] = ()) -> Scene:
    """One with a shape of each of ``kinds``, side by side; without any, an empty one."""
    generator = np.random.default_rng(seed)
    height, width = SCENE_PX
    image, mask = generator.integers(0, 40, (height, width, 3)), np.zeros((height, width), np.uint8)
    boxes = []
    for place, kind in enumerate(kinds):
        x1, y1 = place * width // len(kinds) + int(generator.integers(0, 6)), int(generator.integers(0, 10))
        x2, y2 = x1 + int(generator.integers(12, 24)), y1 + int(generator.integers(12, 36))
        image[y1:y2, x1:x2] += 80 + 90 * SHAPES.index(kind)
        mask[y1:y2, x1:x2] = 1 + SHAPES.index(kind)
        boxes.append((kind, x1, y1, x2, y2))
    return Scene(image.astype(np.uint8), mask, boxes)


def coco_of(scenes: dict[str, Scene]) -> dict[str, Any]:
    """The boxes of scenes, by name of image, as a COCO file holds them."""
    images = [
        {"id": 7 + number, "file_name": f"{name}.png", "width": SCENE_PX[1], "height": SCENE_PX[0]}
        for number, name in enumerate(scenes)
    ]
    boxes = [
        {"image_id": 7 + number, "category_id": 1 + SHAPES.index(label), "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for number, made in enumerate(scenes.values())
        for label, x1, y1, x2, y2 in made.boxes
    ]
    categories = [{"id": 1 + number, "name": name} for number, name in enumerate(SHAPES)]
    return {"images": images, "annotations": boxes, "categories": categories}


def write_scenes(root: Path, n_train: int = 12, n_test: int = 4) -> dict[str, Scene]:
    """Images with shapes as both sources take them; every fourth image is empty.

    raw/{images,test,masks,test_masks}/<name>.png, raw/{train,test,test_answers}.json; the scenes by name.
    """
    kinds = (("dim", "lit"), ("lit",), ("dim",), ())
    made = {f"im{number:02d}": scene(number, kinds[number % 4]) for number in range(n_train)}
    tests = {f"te{number:02d}": scene(100 + number, kinds[number % 4]) for number in range(n_test)}
    for scenes, images, masks in ((made, "images", "masks"), (tests, "test", "test_masks")):
        for name, of_name in scenes.items():
            save_picture(root / f"raw/{images}/{name}.png", of_name.image)
            save_picture(root / f"raw/{masks}/{name}.png", of_name.mask)
    (root / "raw/train.json").write_text(json.dumps(coco_of(made)))
    (root / "raw/test_answers.json").write_text(json.dumps(coco_of(tests)))
    (root / "raw/test.json").write_text(json.dumps({"images": coco_of(tests)["images"]}))
    return {**made, **tests}


MASKS = {"source": "masks", "train": "raw/images", "masks": "raw/masks", "test": "raw/test", "classes": SHAPES}
COCO = {
    "source": "coco", "train": "raw/train.json", "images": "raw/images", "test": "raw/test.json", "test_images": "raw/test",
}  # fmt: skip
NETS: dict[str, dict[str, Any]] = {
    "classification": {"network": "small_resnet", "params": {"widths": [4, 8]}, "image_size_px": 12},
    "ordinal": {"network": "small_resnet", "params": {"widths": [4, 8]}, "image_size_px": 12},
    "multilabel": {"network": "small_resnet", "params": {"widths": [4, 8]}, "image_size_px": 12},
    "regression": {"network": "small_resnet", "params": {"widths": [4, 8]}, "image_size_px": 12},
    "segmentation": {
        "network": "unet",
        "backbone": "test_resnet",
        "params": {"decoder_channels": [16, 12, 8, 8, 8]},
        "image_size_px": [32, 64],
    },
    "detection": {
        "network": "fcos",
        "backbone": "test_resnet",
        "params": {"width": 16, "head_convs": 1, "strides": [4, 8, 16]},
        "image_size_px": [32, 64],
    },
    "points": {
        "network": "unet",
        "backbone": "test_resnet",
        "params": {"decoder_channels": [16, 12, 8, 8, 8]},
        "image_size_px": [32, 64],
    },
}
"""The smallest network of each task."""


@dataclass
class Tiny:
    """A prepared experiment of one task in 2 folds: manifest, folds and cache."""

    root: Path
    data: dict[str, Any]
    """The config's ``data``."""
    task: dict[str, Any] = field(default_factory=lambda: dict(TASK))
    metric: str = "accuracy"
    n_folds: int = 2
    classes: list[str] = field(default_factory=lambda: list(CLASSES))

    @property
    def folds(self) -> Path:
        return self.root / "folds"

    def fold_file(self, fold: int = 0) -> str:
        return str(self.folds / f"fold{fold}.csv")

    def caches(self, *splits: str) -> list[str]:
        return [str(self.root / "cache" / f"{split}-0") for split in splits or ("train",)]

    def model(self, train: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        name = self.task["name"]
        entry = {
            "name": "net",
            **NETS[name],
            **changes,
            "train": {"epochs": 2, "batch_size": 8 if name == "classification" else 4, "lr": 0.01, **(train or {})},
        }
        return slices.learning(parse({"name": "t", "task": name, "data": self.data, "models": [entry]}), "net")

    def train(self, folder: Path, **changes: Any) -> dict[str, Any]:
        """Run the training stage into ``folder``; return its facts."""
        from goldfold.stages import train

        return train.run(**self.job(folder, **changes))

    def job(self, folder: Path, **changes: Any) -> dict[str, Any]:
        """Arguments of the training stage."""
        settings = {
            "folder": str(folder),
            "fold_file": self.fold_file(),
            "classes": str(self.folds / "classes.json"),
            "caches": self.caches(),
            "pseudo": None,
            "task": self.task,
            "metric": self.metric,
            "model": self.model(),
            "resize": "squash",
            "channels": 3,
            "place": PLACE,
            "pseudo_weight": 1.0,
            "runtime": RUNTIME,
            **changes,
        }
        if settings["model"].get("metadata"):
            settings.setdefault("metadata", self.metadata(settings["fold_file"], bool(settings["pseudo"])))
        return settings

    def metadata(self, fold_file: str, with_test: bool) -> list[str]:
        """Lists of the metadata of a fold's cases, and of the test cases."""
        lists = [fold_file.replace(".csv", "-metadata.csv"), str(self.folds / "test-metadata.csv")]
        return lists if with_test else lists[:1]

    def predict(self, folder: Path, weights: Path, *splits: str, **changes: Any) -> dict[str, Any]:
        """Run the prediction stage into ``folder``; return its settings."""
        from goldfold.stages import predict

        model = changes.pop("model", self.model())
        settings = {
            "folder": str(folder),
            "weights": str(weights),
            "fold_file": self.fold_file(),
            "classes": str(self.folds / "classes.json"),
            "caches": self.caches("train", *splits),
            "lists": {name: str(self.folds / f"{name}.csv") for name in splits},
            "task": self.task,
            "model": {name: model[name] for name in OF_PREDICTION if name in model},
            "resize": "squash",
            "channels": 3,
            "tta": ["identity", "hflip"],
            "place": PLACE,
            "runtime": RUNTIME,
            **changes,
        }
        if "metadata" in settings["model"]:
            settings.setdefault("metadata", self.metadata(settings["fold_file"], "test" in splits))
        predict.run(**settings)
        return settings


def prepare(tiny: Tiny, splits: list[str]) -> Tiny:
    """Manifest, folds and cache through the stages themselves."""
    from goldfold.stages import cache, folds, manifest

    values = {"name": "t", "task": tiny.task["name"], "metric": tiny.metric, "data": tiny.data}
    config = parse({**values, "models": [{"name": "net", **NETS[tiny.task["name"]]}]})
    size = list(config.models[0].size)
    manifest.run(folder=str(tiny.root / "manifest"), workers=1, **slices.manifest(config))
    tiny.classes = json.loads((tiny.root / "manifest/classes.json").read_text())
    folds.run(str(tiny.root / "manifest"), str(tiny.folds), tiny.task, splits, "stratified", 2, 0, 1)
    for split in (split for split in splits if split != "answers"):
        shard, cached = tiny.folds / f"shards/{split}-0.csv", tiny.root / f"cache/{split}-0"
        cache.run(str(shard), str(cached), size, config.data.channels, "squash")
    return tiny


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Labels: 40 training, 12 test and 10 unlabeled images."""
    root = tmp_path_factory.mktemp("tiny")
    rows = []
    for number in range(40):
        label = CLASSES[number % 2]
        save_picture(root / f"raw/train/im{number:02d}.png", picture(number, level=90 + 70 * (number % 2)))
        rows.append({"id": f"im{number:02d}", "label": label})
    pd.DataFrame(rows).to_csv(root / "raw/train.csv", index=False)
    for number in range(12):
        save_picture(root / f"raw/test/te{number:02d}.png", picture(100 + number, level=90 + 70 * (number % 2)))
    pd.DataFrame({"id": [f"te{number:02d}" for number in range(12)]}).to_csv(root / "raw/test.csv", index=False)
    for number in range(10):
        save_picture(root / f"raw/pool/un{number:02d}.png", picture(200 + number, level=90 + 70 * (number % 2)))
    data = {
        "source": "csv",
        "train": str(root / "raw/train.csv"),
        "images": str(root / "raw/train"),
        "test": str(root / "raw/test.csv"),
        "test_images": str(root / "raw/test"),
        "unlabeled": str(root / "raw/pool"),
        "on_bad_image": "fail",
        "on_missing_label": "fail",
    }
    with contextlib.chdir(root):
        return prepare(Tiny(root, data), ["train", "test", "unlabeled"])


def _below(root: Path, data: dict[str, Any]) -> dict[str, Any]:
    """``data`` with its files below ``root``."""
    return {k: str(root / v) if isinstance(v, str) and v.startswith("raw/") else v for k, v in data.items()}


@pytest.fixture(scope="session")
def tiny_masks(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Masks: 12 training and 4 test images of SCENE_PX."""
    root = tmp_path_factory.mktemp("tiny_masks")
    write_scenes(root)
    with contextlib.chdir(root):
        task = {"name": "segmentation", "mask_values": "index", "ignore_value": None}
        return prepare(Tiny(root, _below(root, MASKS), task, "dice"), ["train", "test"])


@pytest.fixture(scope="session")
def tiny_boxes(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Boxes: 12 training and 4 test images of SCENE_PX."""
    root = tmp_path_factory.mktemp("tiny_boxes")
    write_scenes(root)
    with contextlib.chdir(root):
        return prepare(Tiny(root, _below(root, COCO), {"name": "detection"}, "ap50"), ["train", "test"])


TINY_POINTS = {"name": "points", "radius_px": 9.0, "stride": 2, "distance_px": 6.0}


@pytest.fixture(scope="session")
def tiny_points(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Points, the centres of boxes: 12 training and 4 test images of SCENE_PX."""
    root = tmp_path_factory.mktemp("tiny_points")
    write_scenes(root)
    with contextlib.chdir(root):
        return prepare(Tiny(root, _below(root, COCO), TINY_POINTS, "ap"), ["train", "test"])


def _listed(
    root: Path, column: str, cells: Callable[[int], object], n_train: int = 24, n_test: int = 6
) -> dict[str, Any]:
    """Images whose red channel is bright where the number is odd, whose green one where its half is; ``data`` of a CSV."""
    for split, first, n in (("train", 0, n_train), ("test", 100, n_test)):
        for number in range(first, first + n):
            image = picture(number, level=70)
            image[..., 0] += 100 * (number % 2)
            image[..., 1] += 100 * (number // 2 % 2)
            save_picture(root / f"raw/{split}/im{number:03d}.png", image)
        rows = {"id": [f"im{number:03d}" for number in range(first, first + n)]}
        targets = {column: [cells(number) for number in range(first, first + n)]} if split == "train" else {}
        pd.DataFrame({**rows, **targets}).to_csv(root / f"raw/{split}.csv", index=False)
    files = {"train": "raw/train.csv", "images": "raw/train", "test": "raw/test.csv", "test_images": "raw/test"}
    return _below(root, {"source": "csv", **files})


@pytest.fixture(scope="session")
def tiny_labels(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """Several labels an image: 24 training and 6 test images, a quarter of no class, a quarter of both."""
    root = tmp_path_factory.mktemp("tiny_labels")
    data = _listed(root, "label", lambda number: ["", "dim", "lit", "dim lit"][number % 4])
    with contextlib.chdir(root):
        task = {"name": "multilabel", "label_separator": " "}
        return prepare(
            Tiny(root, {**data, "label_separator": " ", "empty_label": "no_class"}, task, "f1_macro"), ["train", "test"]
        )


@pytest.fixture(scope="session")
def tiny_grades(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """One of four ordered classes an image: 24 training and 6 test images."""
    root = tmp_path_factory.mktemp("tiny_grades")
    data = _listed(root, "label", lambda number: number % 4)
    with contextlib.chdir(root):
        return prepare(Tiny(root, data, {"name": "ordinal"}, "quadratic_kappa"), ["train", "test"])


@pytest.fixture(scope="session")
def tiny_values(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A number an image: 40 training and 6 test images."""
    root = tmp_path_factory.mktemp("tiny_values")
    data = _listed(root, "y", lambda number: 10 * (number % 4) + number / 100, n_train=40)
    with contextlib.chdir(root):
        return prepare(Tiny(root, {**data, "target_column": "y"}, {"name": "regression"}, "rmse"), ["train", "test"])


@pytest.fixture(scope="session")
def tiny_ordered(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The images of `tiny` with its classes in order."""
    root = tmp_path_factory.mktemp("tiny_ordered")
    with contextlib.chdir(root):
        data = {**tiny.data, "classes": list(CLASSES)}
        return prepare(Tiny(root, data, {**TASK, "name": "ordinal"}, "quadratic_kappa"), ["train", "test", "unlabeled"])


@pytest.fixture(scope="session")
def tiny_of(
    tiny: Tiny,
    tiny_ordered: Tiny,
    tiny_masks: Tiny,
    tiny_boxes: Tiny,
    tiny_labels: Tiny,
    tiny_values: Tiny,
    tiny_points: Tiny,
) -> dict[str, Tiny]:
    """A prepared experiment of each task."""
    every = (tiny, tiny_ordered, tiny_masks, tiny_boxes, tiny_labels, tiny_values, tiny_points)
    return {made.task["name"]: made for made in every}
