"""Members of other tools: reading, checks against images and folds, missing classes, config, reruns."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from goldfold import tasks
from goldfold.base.errors import ConfigError, DataError
from goldfold.config import parse
from goldfold.members import completed
from goldfold.planning.jobs import Job
from goldfold.planning.plan import plan_of
from goldfold.predictions.arrays import Arrays, load, save
from goldfold.stages import external
from whole_task import whole

CLASSES = ["a", "b", "c"]
TASK: dict[str, Any] = {"name": "classification"}


def written(folder: Path, n: int = 12, columns: Sequence[str] = CLASSES, **changes: Any) -> pd.DataFrame:
    """Lists of a run in three folds, and a file of predictions of its images, ``oof.csv``; return the predictions."""
    folder.mkdir(exist_ok=True)
    ids = [f"i{place:02d}" for place in range(n)]
    values = np.random.default_rng(0).dirichlet(np.ones(len(columns)), n)
    truth = pd.DataFrame(
        {"id": ids, "label": np.resize(CLASSES, n), "fold": np.arange(n) % 3, "width": 20, "height": 10}
    )
    truth.to_csv(folder / "train.csv", index=False)
    (folder / "classes.json").write_text(json.dumps(CLASSES))
    (folder / "class_ids.json").write_text(json.dumps({"a": 1, "b": 2, "c": 7}))
    table = pd.DataFrame(values, columns=list(columns)).assign(id=ids, fold=truth["fold"].map({0: "x", 1: "y", 2: "z"}))
    table = table.assign(**changes)
    table.to_csv(folder / "oof.csv", index=False)
    return table


def read(folder: Path, task: dict[str, Any] = TASK, fold: str | None = "fold", oof: str = "oof.csv") -> Arrays:
    """The member of the file."""
    external.run(
        folder=str(folder / "out"), lists={"train": str(folder / "train.csv")}, classes=str(folder / "classes.json"),
        class_ids=str(folder / "class_ids.json"), task=task, name="other", files={"oof": str(folder / oof)}, fold=fold,
    )  # fmt: skip
    return load(folder / "out/oof.npz")


# --- reading


def test_probabilities_of_a_table_are_those_of_the_member_in_any_order(tmp_path: Path) -> None:
    table = written(tmp_path)
    table.sample(frac=1, random_state=0)[["c", "fold", "id", "a", "b"]].to_csv(tmp_path / "oof.csv", index=False)
    found = read(tmp_path)
    assert found["ids"].tolist() == table["id"].tolist()
    assert softmax(found["logits"], axis=1) == pytest.approx(table[CLASSES].to_numpy(), abs=1e-6)


@pytest.mark.parametrize("name", ["classification", "multilabel", "regression", "detection"])
def test_goldfolds_own_tables_are_read_back(name: str, tmp_path: Path) -> None:
    table, task = written(tmp_path), whole({"name": name}, CLASSES)
    draw, ids = np.random.default_rng(1), table["id"].to_numpy(str)
    arrays: dict[str, Any] = {"ids": ids, "classes": np.array(CLASSES)}
    if name == "detection":
        counts = np.array([0, 2, 1, 3] * 3, dtype=np.int32)
        corners = draw.integers(0, 5, (counts.sum(), 2))
        of_boxes = {"boxes": np.hstack([corners, corners + 4]).astype(np.float32), "counts": counts}
        scores = np.concatenate([np.linspace(0.9, 0.2, n) for n in counts]).astype(np.float32)
        labels = draw.integers(0, 3, counts.sum()).astype(np.int32)
        arrays |= {"sizes": np.tile([10, 20], (12, 1)), **of_boxes, "scores": scores, "labels": labels}
    elif name == "regression":
        arrays |= {"values": draw.normal(size=12), "spreads": np.zeros(12)}
    else:
        arrays |= {"logits": draw.normal(size=(12, 3)).astype(np.float32)}
    made = tasks.tables({"name": name}, CLASSES).table(arrays)
    made.to_csv(tmp_path / "oof.csv", index=False)
    of_table = read(tmp_path, {"name": name}, fold=None)
    save(tmp_path / "oof.npz", arrays.items())
    of_file = read(tmp_path, {"name": name}, fold=None, oof="oof.npz")
    fused = [task.fuse([one], [1.0]) for one in (arrays, of_table, of_file)]
    for key in fused[0]:
        if key == "classes" or key == "ids":
            assert fused[0][key].tolist() == fused[1][key].tolist() == fused[2][key].tolist()
        else:
            assert np.array_equal(fused[0][key], fused[2][key]), key
            assert fused[1][key] == pytest.approx(fused[0][key], abs=2e-5), key


def test_an_ensemble_of_another_run_is_a_member(tmp_path: Path) -> None:
    table = written(tmp_path)
    arrays = {
        "ids": table["id"].to_numpy(str),
        "classes": np.array(CLASSES),
        "probabilities": table[CLASSES].to_numpy(),
    }
    save(tmp_path / "oof.npz", arrays.items())
    assert softmax(read(tmp_path, fold=None, oof="oof.npz")["logits"], axis=1) == pytest.approx(
        table[CLASSES].to_numpy(), abs=1e-6
    )


@pytest.mark.parametrize("has_images", [False, True])
def test_cocos_results_are_boxes(has_images: bool, tmp_path: Path) -> None:
    written(tmp_path)
    ids = [7, "i03"] if has_images else ["i01", "i03"]
    boxes = [
        {"image_id": ids[0], "category_id": 7, "bbox": [1, 2, 30, 4], "score": 0.5},
        {"image_id": ids[0], "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.75},
        {"image_id": ids[1], "category_id": 2, "bbox": [0, 0, 5, 5], "score": 0.25},
        {"image_id": ids[1], "category_id": 2, "bbox": [20, 0, 5, 5], "score": 0.2},
    ]
    listed = [{"id": 7, "file_name": "photos/i01.jpg"}, {"id": "i03", "file_name": "i03.png"}]
    (tmp_path / "oof.json").write_text(json.dumps({"images": listed, "annotations": boxes} if has_images else boxes))
    found = read(tmp_path, {"name": "detection"}, fold=None, oof="oof.json")
    assert found["counts"].tolist() == [0, 2, 0, 1, *[0] * 8], "a box outside the image is dropped"
    assert found["boxes"].tolist() == [[1, 2, 4, 6], [1, 2, 20, 6], [0, 0, 5, 5]], "clipped, highest score first"
    assert (found["labels"].tolist(), found["scores"].tolist()) == ([0, 2, 1], [0.75, 0.5, 0.25])


# --- what is refused


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"id": [f"i{place:02d}" for place in [0, *range(11)]]}, r"predicts 1 image more than once, first 'i00'"),
        ({"id": [f"x{place:02d}" for place in range(12)]}, r"no prediction of 12 of 12 validated images, first 'i00'.*'x00'"),
        ({"a": np.nan}, r"id 'i00' has '' in column 'a', which is not a finite number \(12 such cells\)"),
        ({"a": "inf"}, r"id 'i00' has 'inf' in column 'a', which is not a finite number"),
        ({"a": 1.5}, r"not probabilities \(12 such rows\)\. Write probabilities from 0 to 1, after softmax or sigmoid"),
        ({"a": 1.0}, r"probabilities of id 'i00' sum to 1\.\d+, not to 1"),
        ({"fold": list("xxzxxzxxzxxz")}, r"assignment to folds: 'i00' and 'i01' are in one fold of the file \(fold 'x'\) but in"),
        ({"fold": list("xyzxyzxyzxyw")}, r"'i02' and 'i11' are in one fold of this run but in fold 'z' and 'w'.*folds\.file"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    written(tmp_path, **changes)
    with pytest.raises(DataError, match=text):
        read(tmp_path)


def test_a_file_without_folds_is_refused_unless_that_is_said(tmp_path: Path) -> None:
    written(tmp_path).drop(columns="fold").to_csv(tmp_path / "oof.csv", index=False)
    with pytest.raises(DataError, match=r"no column 'fold'.* set fold: null"):
        read(tmp_path)
    read(tmp_path, fold=None)


@pytest.mark.parametrize(
    ("name", "columns", "text"),
    [
        ("classification", ["u", "v"], r"no column has the name of a class.*'p_a' or 'a'. Its columns: u, v, id, fold"),
        ("regression", ["u", "v"], r"no column 'predicted'; its columns: u, v"),
        ("detection", ["u", "v"], r"no column 'prediction'; its columns"),
        ("segmentation", ["u", "v"], r"this task has no table of predictions; write an \.npz"),
    ],
)
def test_columns_that_are_missing_are_named(name: str, columns: list[str], text: str, tmp_path: Path) -> None:
    written(tmp_path, columns=columns)
    with pytest.raises(DataError, match=text):
        read(tmp_path, {"name": name})


# --- members that know some of the classes


def member(values: np.ndarray[Any, Any]) -> Arrays:
    ids = np.array([f"i{place}" for place in range(len(values))])
    return {"ids": ids, "classes": np.array(CLASSES), "logits": np.log(values).astype(np.float32)}


def test_a_member_of_some_classes_neither_punishes_nor_erases_the_others(tmp_path: Path) -> None:
    written(tmp_path, columns=["a", "c"])
    partial, facet = read(tmp_path), tasks.external(TASK, CLASSES)
    assert np.isnan(partial["logits"]).tolist() == [[False, True, False]] * 12
    others = np.random.default_rng(2).dirichlet(np.ones(3), 12)
    whole_member = {**member(others), "ids": partial["ids"]}
    found = completed(facet, {"net": whole_member}, {"other": partial})
    assert list(found) == ["net", "other"]
    values = softmax(found["other"]["logits"].astype(float), axis=1)
    assert values[:, 1] == pytest.approx(others[:, 1], rel=1e-4), "the class that it does not know"
    own = softmax(partial["logits"][:, [0, 2]].astype(float), axis=1)
    assert values[:, [0, 2]] == pytest.approx(own * others[:, [0, 2]].sum(axis=1, keepdims=True), rel=1e-4)
    with pytest.raises(DataError, match="other does not know all classes, and no member does"):
        completed(facet, {}, {"other": partial})


def test_labels_that_a_member_does_not_know_are_those_of_the_others() -> None:
    facet = tasks.external({"name": "multilabel"}, CLASSES)
    partial = member(np.ones((2, 3)))
    partial["logits"][:, 1] = np.nan
    net = {**partial, "logits": np.array([[0.1, 0.5, 2.0], [1.0, -3.0, 0.0]], dtype=np.float32)}
    found = completed(facet, {"net": net}, {"other": partial})["other"]["logits"]
    assert found == pytest.approx(np.array([[0, 0.5, 0], [0, -3, 0]]), abs=1e-5)


# --- config and plan


def config(folder: Path, external: Any, **changes: Any) -> Any:
    return parse({
        "name": "x", "data": {"source": "digits"},
        "models": [{"name": "net", "network": "small_resnet", "image_size_px": 16, "train": {"epochs": 2, "warmup_epochs": 0}}],
        "external": external, **changes,
    })  # fmt: skip


def test_members_of_other_tools_are_read_by_jobs_of_their_own_and_by_the_ensemble(tmp_path: Path) -> None:
    written(tmp_path)
    path = str(tmp_path / "oof.csv")
    (tmp_path / "test.csv").write_text("id\n")
    made = config(tmp_path, [{"name": "other", "oof": path, "test": str(tmp_path / "test.csv")}])
    plan = plan_of(made)
    job = Job("external", external="other")
    assert plan.jobs("external") == [job]
    assert job.name == "external other"
    assert plan.outputs(job) == [f"results/x/external/other/{name}" for name in ("oof.npz", "test.npz", "run.json")]
    assert job in plan.above(Job("ensemble"))
    assert plan.above(job) == []
    without = plan_of(config(tmp_path, []))
    assert "external" not in without.stages()
    assert without.above(Job("ensemble")) == without.jobs("predict")


def test_what_cannot_be_a_member_is_refused_before_any_job(tmp_path: Path) -> None:
    written(tmp_path)
    path = str(tmp_path / "oof.csv")
    for one, text in (
        ({"name": "net", "oof": path, "test": path}, r"external\[0\] \(net\)\.name: is the name of a model"),
        ({"name": "net-seed0", "oof": path, "test": path}, r"\.name: is the name of a member"),
        ({"name": "other", "oof": path}, r"\.test: missing; there are test images"),
        (
            {"name": "other", "oof": path, "test": path},
            r"\.test = '.*oof\.csv': is the file of the out-of-fold predictions",
        ),
        ({"name": "other", "oof": path, "test": f"{path}x"}, r"\.test = '.*': must end in \.csv, \.npz, \.json"),
        ({"name": "other", "oof": path, "test": "no.csv"}, r"\.test = 'no\.csv': .*or remove the member"),
        ({"name": "other", "oof": "no.json", "test": path}, r"\.fold: COCO results have no folds; set fold: null"),
    ):
        with pytest.raises(ConfigError, match=text):
            config(tmp_path, [one])
    with pytest.raises(ConfigError, match=r"ensemble\.weights\.othr: no model of that name; .*'other'"):
        config(tmp_path, [{"name": "other", "oof": path, "test": "t.csv"}], ensemble={"weights": {"othr": 2}})


def test_members_of_other_tools_alone_teach_nothing(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "test.csv").write_text("id\n")
    other = [{"name": "other", "oof": str(tmp_path / "oof.csv"), "test": str(tmp_path / "test.csv")}]
    said = r"pseudo_labels\.rounds: all models have weight 0 in the ensemble, and members of other tools teach nothing; give a"
    with pytest.raises(ConfigError, match=said):
        config(tmp_path, other, ensemble={"weights": {"net": 0}}, pseudo_labels={"rounds": 1})
    config(tmp_path, other, ensemble={"weights": {"net": 0}})
