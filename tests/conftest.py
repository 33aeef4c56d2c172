"""Shared fixtures: a temporary working folder, generated images, and a tiny prepared experiment."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import settings

from goldfold.config import parse, slices

torch.set_num_threads(1)
settings.register_profile("goldfold", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("goldfold")

REPO = Path(__file__).resolve().parents[1]
FORM = {"format": "auto", "id_column": "id", "label_column": "label"}
RUNTIME = {
    "device": "cpu",
    "precision": "fp32",
    "torch_threads": 1,
    "loader_workers": 0,
}
PLACE = {"round": 0, "fold": 0, "seed": 0}
CLASSES = ["cat", "dog"]


@pytest.fixture(scope="session")
def repo() -> Path:
    return REPO


@pytest.fixture
def in_tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder is empty, so that no test leaves .goldfold/ or results/ in the checkout."""
    monkeypatch.chdir(tmp_path)
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


@dataclass
class Tiny:
    """A prepared experiment: manifest, folds and cache of 40 training, 12 test and 10 unlabeled images, 2 folds."""

    root: Path
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
        entry = {
            "name": "net",
            "network": "small_resnet",
            "params": {"widths": [4, 8]},
            "image_size_px": 12,
            **changes,
            "train": {"epochs": 2, "batch_size": 8, "lr": 0.01, **(train or {})},
        }
        return slices.learning(parse({"name": "t", "data": {"source": "digits"}, "models": [entry]}), "net")

    def train(self, folder: Path, **changes: Any) -> dict[str, Any]:
        """Run the training stage into ``folder``; return its run.json."""
        from goldfold.stages import train

        settings = {
            "folder": str(folder),
            "fold_file": self.fold_file(),
            "classes": str(self.folds / "classes.json"),
            "caches": self.caches(),
            "pseudo": None,
            "task": "classification",
            "metric": "accuracy",
            "model": self.model(),
            "channels": 3,
            "place": PLACE,
            "pseudo_weight": 1.0,
            "runtime": RUNTIME,
            **changes,
        }
        train.run(**settings)
        return json.loads((folder / "run.json").read_text())


def prepare(root: Path) -> Tiny:
    """Manifest, folds and cache of generated images, through the stages themselves."""
    from goldfold.stages import cache, folds, manifest

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
    source = {
        "source": "csv",
        "train": str(root / "raw/train.csv"),
        "images": str(root / "raw/train"),
        "test": str(root / "raw/test.csv"),
        "test_images": str(root / "raw/test"),
        "unlabeled": str(root / "raw/pool"),
    }
    manifest.run(str(root / "manifest"), source, "classification", "fail", "fail", "fail", None, None, None, FORM, 1)
    splits = ["train", "test", "unlabeled"]
    folds.run(
        str(root / "manifest"), str(root / "folds"), str(root / "folds/folds.json"), splits, "stratified", 2, 0, 1
    )
    for split in splits:
        cache.run(str(root / f"folds/shards/{split}-0.csv"), str(root / f"cache/{split}-0"), [12, 12], 3, "squash")
    return Tiny(root)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    root = tmp_path_factory.mktemp("tiny")
    with contextlib.chdir(root):
        made = prepare(root)
    return made
