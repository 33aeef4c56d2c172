"""No target of a validation image reaches the models of its fold, in any round: trained for real, compared byte by byte."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from conftest import Tiny
from goldfold import tasks
from goldfold.catalog import TASKS
from goldfold.stages import pseudo_label
from goldfold.targets.boxes import from_text, to_text
from goldfold.targets.label_sets import from_text as from_labels
from goldfold.targets.label_sets import to_text as to_labels
from goldfold.targets.points import from_text as points_from
from goldfold.targets.points import to_text as points_to

POOLS = {name: ["test", "unlabeled"] if name == "classification" else ["test"] for name in TASKS}
RULES: dict[str, dict[str, dict[str, object]]] = {
    "classification": {
        "soft": {"soft": {"power": 2.0, "floor": 0.1}},
        "by_class": {"threshold": 0.99, "class_thresholds": {"cat": 0.3, "dog": 0.4}},
        "counts": {"threshold": 0.51, "adapt": {"by": "counts", "floor": 0.3}},
        "top_k": {"top_k": 2},
        "share": {"top_k": 0.4},
    },
    "multilabel": {"soft": {"soft": {"power": 2.0, "floor": 0.1}}, "top_k": {"top_k": 3}},
    "regression": {"top_k": {"top_k": 3}},
}
"""Other forms and selections of pseudo labels; tests/test_pseudo_labels.py has those of inner trainings."""
SETTINGS: dict[str, dict[str, object]] = {"regression": {"sampler": "balanced"}}
"""Settings of training that read the targets in further ways."""


def two_rounds(tiny: Tiny, folder: Path, fold_file: str, cache: str, classes: str) -> dict[str, str]:
    """Train, predict, pseudo-label and train on from there on fold 0; digests of all that the fold's models are and say."""
    pools, caches = POOLS[tiny.task["name"]], [cache, *tiny.caches("test")]
    caches += tiny.caches("unlabeled") if "unlabeled" in pools else []
    model = tiny.model({"epochs": 1, "warmup_epochs": 0, **SETTINGS.get(tiny.task["name"], {})})
    common = {"fold_file": fold_file, "caches": caches, "model": model, "classes": classes}
    pseudo: str | None = None
    start: str | None = None
    for number in (0, 1):
        out = folder / f"net/round{number}/fold0/seed0"
        place = {"round": number, "fold": 0, "seed": 0}
        tiny.train(out, pseudo=pseudo, place=place, start=start, **common)
        tiny.predict(out, out / "model.safetensors", *pools, place=place, tta=["identity"], **common)
        pseudo, start = str(out / "pseudo.csv"), str(out / "model.safetensors")
        files = {name: [str(out / f"{name}.npz")] for name in pools}
        teach = {"threshold": 0.0, "fold": 0, "weights": {}, "settings": {}, "workers": 1}
        rules = {"pseudo": {}, **RULES.get(tiny.task["name"], {})}
        for name, rule in rules.items():
            pseudo_label.run(files, classes=classes, out=str(out / f"{name}.csv"), task=tiny.task, **{**teach, **rule})
            assert len(pd.read_csv(out / f"{name}.csv")) > 0, "the second round learns from something"
    made = [path for path in sorted(folder.rglob("*")) if path.suffix in (".npz", ".csv", ".safetensors")]
    kept = [path for path in made if path.name not in ("history.csv", "best.safetensors")]  # these know the scores
    assert len(kept) == 2 * (2 + len(rules) + len(pools))
    return {str(path.relative_to(folder)): digest(path) for path in kept}


def digest(path: Path) -> str:
    """Digest of a file; of predictions without the names of the classes, which of numbers are bins of all targets."""
    if path.suffix != ".npz":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with np.load(path) as arrays:
        parts = [name.encode() + arrays[name].tobytes() for name in sorted(arrays) if name != "classes"]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def with_planted_targets(tiny: Tiny, out: Path, rows_of: str) -> tuple[str, str, str]:
    """The fold's list, the cache of the training images and the classes: for the images of one part, two classes are swapped,
    and numbers are three times as large."""
    table = pd.read_csv(tiny.fold_file(), dtype=str, keep_default_na=False)
    rows, swap = table["split"] == rows_of, dict(zip(tiny.classes, tiny.classes[::-1], strict=True))
    assert len(swap) == 2
    shutil.copytree(tiny.caches("train")[0], out / "cache")
    if "label" in table:
        table.loc[rows, "label"] = table.loc[rows, "label"].map(swap)
    elif "labels" in table:
        found = [from_labels(text) for text in table["labels"][rows]]
        table.loc[rows, "labels"] = [to_labels(sorted(swap[label] for label in labels)) for labels in found]
    elif "value" in table:
        table.loc[rows, "value"] = (3 * table["value"][rows].astype(float)).astype(str)
    elif "boxes" in table:
        texts = [from_text(text) for text in table["boxes"][rows]]
        table.loc[rows, "boxes"] = [to_text([swap[label] for label in labels], boxes) for labels, boxes in texts]
    elif "points" in table:
        texts = [points_from(text) for text in table["points"][rows]]
        table.loc[rows, "points"] = [points_to([swap[label] for label in labels], places) for labels, places in texts]
    else:
        masks, ids = np.load(out / "cache/masks.npy"), list(pd.read_csv(out / "cache/ids.csv")["id"])
        for id in table["id"][rows]:
            masks[ids.index(id)] = np.array([0, 2, 1], np.uint8)[masks[ids.index(id)]]
        np.save(out / "cache/masks.npy", masks)
        table.loc[rows, "mask_sha256"] = "other"
    table.to_csv(out / "fold0.csv", index=False)
    names = tasks.examine("regression")(table, None, "", False, 1).classes if "value" in table else tiny.classes
    (out / "classes.json").write_text(json.dumps(names))
    return str(out / "fold0.csv"), str(out / "cache"), str(out / "classes.json")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(("rows_of", "reaches"), [("val", False), ("train", True)])
def test_planted_labels_reach_the_models_only_from_the_training_part(
    tiny_of: dict[str, Tiny], tmp_path: Path, task: str, rows_of: str, reaches: bool
) -> None:
    tiny = tiny_of[task]
    planted = with_planted_targets(tiny, tmp_path, rows_of)
    given = tiny.fold_file(), tiny.caches("train")[0], str(tiny.folds / "classes.json")
    true = two_rounds(tiny, tmp_path / "true", *given)
    same = true == two_rounds(tiny, tmp_path / "planted", *planted)
    assert same is not reaches
