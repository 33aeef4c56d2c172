"""NaN and infinite predictions are refused before they are fused, taught from or submitted."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from goldfold import tasks
from goldfold.base.errors import DataError
from goldfold.members import Members
from goldfold.planning.grid import grid
from goldfold.predictions import finite
from goldfold.predictions.arrays import save
from goldfold.predictions.of_fold import load_of_fold
from goldfold.stages import submit

CLASSES = ["a", "b", "c"]
TASK = {"name": "classification"}


def predictions(ids: list[str], **changed: float) -> dict[str, Any]:
    logits = np.random.default_rng(0).normal(size=(len(ids), 3)).astype(np.float32)
    for id, value in changed.items():
        logits[ids.index(id), 1] = value
    return {"ids": np.array(ids), "classes": np.array(CLASSES), "fold": np.array(0), "logits": logits}


def written(root: Path, part: str, bad: float) -> Members:
    """Members of two models with two folds, the last of which has a bad prediction."""
    for model in ("m", "n"):
        for fold in range(2):
            ids = [f"f{fold}_{place}" for place in range(3)] if part == "oof" else ["t0", "t1"]
            changed = {ids[1]: bad} if (model, fold) == ("n", 1) else {}
            file = root / model / "round0" / f"fold{fold}" / "seed0" / f"{part}.npz"
            file.parent.mkdir(parents=True, exist_ok=True)
            save(file, predictions(ids, **changed).items())
    return Members(tasks.output(TASK, CLASSES), None, root, grid(["m", "n"], [0], 2, 1), {}, 1, {})


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["oof", "test"])
def test_members_are_refused_by_member_part_file_and_id(tmp_path: Path, part: str, bad: float) -> None:
    made = written(tmp_path, part, bad)
    ids = [f"f{fold}_{place}" for fold in range(2) for place in range(3)]
    first = "f1_1" if part == "oof" else "t1"
    said = rf"n/round0/fold1/seed0/{part}\.npz: logits of 1 of \d cases are NaN or infinite, first '{first}'"
    with pytest.raises(DataError, match=said):
        made.oof(0, ids) if part == "oof" else made.of_split("test")
    made = written(tmp_path, part, 0.0)
    assert len(made.oof(0, ids) if part == "oof" else made.of_split("test")) == 2


def test_teachers_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "p.npz", predictions(["s0", "s1"], s0=np.inf).items())
    with pytest.raises(DataError, match=r"p\.npz: logits of 1 of 2 cases are NaN or infinite, first 's0'"):
        load_of_fold(str(tmp_path / "p.npz"), 0, "rule")


def test_classes_that_an_external_member_does_not_know_may_be_nan(tmp_path: Path) -> None:
    partial = predictions(["s0", "s1"])
    partial["logits"][:, 2] = np.nan
    finite.refuse(partial, "trees")
    partial["logits"][1, 0] = np.nan
    with pytest.raises(DataError, match="trees: logits of 1 of 2 cases are NaN or infinite, first 's1'"):
        finite.refuse(partial, "trees")
    partial["logits"][:] = np.nan
    with pytest.raises(DataError, match="logits of 2 of 2 cases"):
        finite.refuse(partial, "trees")


def test_boxes_are_named_by_their_image() -> None:
    found = {
        "ids": np.array(["x", "y", "z"]),
        "counts": np.array([2, 0, 3]),
        "scores": np.array([1, 1, 1, np.nan, np.nan]),
    }
    with pytest.raises(DataError, match="scores of 1 of 3 cases are NaN or infinite, first 'z'"):
        finite.refuse(found, "m")


@pytest.mark.parametrize("metric", ["log_loss", "accuracy"])
def test_a_submission_with_a_number_that_is_not_finite_is_refused(tmp_path: Path, metric: str) -> None:
    ids = ["s0", "s1", "s2"]
    pd.DataFrame({"id": ids}).to_csv(tmp_path / "test.csv", index=False)
    for name in ("classes", "ids"):
        (tmp_path / f"{name}.json").write_text(json.dumps(CLASSES if name == "classes" else {"a": 0, "b": 1, "c": 2}))
    values = np.full((3, 3), 1 / 3)
    values[1], values[2] = np.nan, np.inf
    save(tmp_path / "t.npz", {"ids": np.array(ids), "classes": np.array(CLASSES), "probabilities": values}.items())
    files = [str(tmp_path / name) for name in ("t.npz", "test.csv", "classes.json", "ids.json", "out.csv")]
    with pytest.raises(DataError, match=r"t\.npz: probabilities of 2 of 3 cases are NaN or infinite, first 's1'"):
        submit.run(*files, TASK, metric, None, {"format": "auto", "id_column": "id", "label_column": "label"})
    assert not (tmp_path / "out.csv").exists()


def test_a_large_member_is_looked_at_in_blocks() -> None:
    large = {"ids": np.arange(1_000_000), "logits": np.zeros((1_000_000, 10), np.float32)}
    tracemalloc.start()
    finite.refuse(large, "m")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6, "the member itself has 40 MB"
