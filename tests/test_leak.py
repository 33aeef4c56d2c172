"""No label of a validation image reaches the models of its fold, in any round: trained for real, compared byte by byte."""

import hashlib
from pathlib import Path

import pandas as pd
import pytest

from conftest import RUNTIME, Tiny
from goldfold.stages import predict, pseudo_label, train


def two_rounds(tiny: Tiny, folder: Path, fold_file: str, fold: int) -> dict[str, str]:
    """Train, predict, pseudo-label and train again; digests of all that the fold's models are and say."""
    classes, caches = str(tiny.folds / "classes.json"), tiny.caches("train", "test", "unlabeled")
    lists = {name: str(tiny.folds / f"{name}.csv") for name in ("test", "unlabeled")}
    model = tiny.model({"epochs": 1, "warmup_epochs": 0})
    common = {"fold_file": fold_file, "classes": classes, "caches": caches, "task": "classification"}
    common |= {"model": model, "channels": 3, "runtime": RUNTIME}
    pseudo: str | None = None
    for number in (0, 1):
        out = folder / f"round{number}"
        place = {"round": number, "fold": fold, "seed": 0}
        train.run(folder=str(out), pseudo=pseudo, metric="accuracy", place=place, pseudo_weight=1.0, **common)
        weights = str(out / "model.safetensors")
        predict.run(folder=str(out), weights=weights, lists=lists, tta=["identity"], place=place, **common)
        pseudo = str(out / "pseudo.csv")
        files = {name: [str(out / f"{name}.npz")] for name in lists}
        pseudo_label.run(files, classes=classes, out=pseudo, task="classification", threshold=0.0, fold=fold)
    made = [path for path in sorted(folder.rglob("*")) if path.suffix in (".npz", ".csv", ".safetensors")]
    kept = [path for path in made if path.name not in ("history.csv", "best.safetensors")]  # these know the scores
    assert len(kept) == 10
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}


def with_planted_labels(fold_file: str, out: Path, rows_of: str) -> str:
    """The fold's list with the two classes swapped for the images of one part."""
    table = pd.read_csv(fold_file, dtype=str)
    names = sorted(table["label"].unique())[:2]
    rows = table["split"] == rows_of
    table.loc[rows, "label"] = table.loc[rows, "label"].replace(dict(zip(names, names[::-1], strict=True)))
    table.to_csv(out, index=False)
    return str(out)


@pytest.mark.parametrize(("rows_of", "reaches"), [("val", False), ("train", True)])
def test_planted_labels_reach_the_models_only_from_the_training_part(
    tiny: Tiny, tmp_path: Path, rows_of: str, reaches: bool
) -> None:
    true = tiny.fold_file(0)
    planted = with_planted_labels(true, tmp_path / "planted.csv", rows_of)
    same = two_rounds(tiny, tmp_path / "true", true, 0) == two_rounds(tiny, tmp_path / "planted", planted, 0)
    assert same is not reaches
