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
from goldfold.external.arrays import refuse_uneven
from goldfold.members import completed
from goldfold.planning.jobs import Job
from goldfold.planning.plan import plan_of
from goldfold.predictions.arrays import Arrays, load, save
from goldfold.report.outside import silent_of
from goldfold.stages import ensemble, external
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


def test_logarithms_of_0_stay_finite(tmp_path: Path) -> None:
    table = written(tmp_path)
    logits = np.where(table[CLASSES].to_numpy() < 0.3, np.finfo(np.float64).min, 0.0)
    arrays = {"ids": table["id"].to_numpy(str), "classes": np.array(CLASSES), "logits": logits}
    save(tmp_path / "oof.npz", arrays.items())
    found = read(tmp_path, fold=None, oof="oof.npz")["logits"]
    assert np.isfinite(found).all()
    assert softmax(found, axis=1) == pytest.approx(softmax(logits, axis=1))


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
        ({"fold": list("xyzxyzxyzxy ")}, r"fold is empty for 'i11', which this run validates"),
        ({"id": [*(f"i{place:02d}" for place in range(11)), ""]}, r"row 13 has no id"),
        ({"fold": list("xyzxyzxyzxyw")}, r"'i02' and 'i11' are in one fold of this run but in fold 'z' and 'w'.*folds\.file"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(changes: dict[str, Any], text: str, tmp_path: Path) -> None:
    written(tmp_path, **changes)
    with pytest.raises(DataError, match=text):
        read(tmp_path)


@pytest.mark.parametrize("column", ["p_C", "C", "p_other"])
def test_a_column_that_looks_like_that_of_a_class_is_refused(column: str, tmp_path: Path) -> None:
    written(tmp_path).rename(columns={"c": column, "p_c": column}).to_csv(tmp_path / "oof.csv", index=False)
    with pytest.raises(DataError, match=rf"column '{column}' is of no class of the run, and class 'c' has no column"):
        read(tmp_path)


def test_one_known_class_says_nothing(tmp_path: Path) -> None:
    table = written(tmp_path)
    table[[name for name in table if name not in ("b", "c", "p_b", "p_c")]].to_csv(tmp_path / "oof.csv", index=False)
    with pytest.raises(DataError, match="only class 'a' has a column"):
        read(tmp_path)


def test_probabilities_of_some_classes_sum_to_at_most_1(tmp_path: Path) -> None:
    written(tmp_path, a=0.45, b=0.45).drop(columns="c").to_csv(tmp_path / "oof.csv", index=False)
    read(tmp_path)
    written(tmp_path, a=0.8, b=0.8).drop(columns="c").to_csv(tmp_path / "oof.csv", index=False)
    with pytest.raises(
        DataError, match=r"probabilities of id 'i00' sum to 1\.6, not to more than 0 and at most 1 \(12 such"
    ):
        read(tmp_path)


def test_a_file_without_folds_is_refused_unless_that_is_said(tmp_path: Path) -> None:
    written(tmp_path).drop(columns="fold").to_csv(tmp_path / "oof.csv", index=False)
    with pytest.raises(DataError, match=r"no column 'fold'.* set fold: null"):
        read(tmp_path)
    read(tmp_path, fold=None)


@pytest.mark.parametrize(("header", "two"), [("id,a,p_a,b,fold", "'p_a' and 'a'"), ("id,a,b,a,fold", "'a' and 'a.1'")])
def test_two_columns_of_one_class_are_refused(header: str, two: str, tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "oof.csv").write_text(f"{header}\ni0,0.5,0.3,0.2,0\n")
    with pytest.raises(DataError, match=rf"class 'a' has two columns, {two}\. Remove one of them"):
        read(tmp_path)


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


def of_labels(**changes: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Arrays of a file for the images of `written`."""
    ids = np.array([f"i{place:02d}" for place in range(12)])
    logits = np.log(np.random.default_rng(0).dirichlet(np.ones(3), 12))
    return {"ids": ids, "classes": np.array(CLASSES), "logits": logits, "fold": np.resize([0, 1, 2], 12), **changes}


def of_boxes(**changes: Any) -> dict[str, np.ndarray[Any, Any]]:
    base: dict[str, Any] = {
        "sizes": np.tile([10, 20], (12, 1)),
        "counts": np.ones(12, int),
        "labels": np.zeros(12, int),
    }
    base |= {"boxes": np.tile([1.0, 1.0, 5.0, 5.0], (12, 1)), "scores": np.full(12, 0.5)}
    return {**{key: of_labels()[key] for key in ("ids", "classes")}, **base, **changes}


def of_values(**changes: Any) -> dict[str, np.ndarray[Any, Any]]:
    return {"ids": of_labels()["ids"], "classes": np.array(CLASSES), "values": np.zeros(12), **changes}


def of_maps(map: np.ndarray[Any, Any] | None = None, n: int = 12, **changes: Any) -> dict[str, np.ndarray[Any, Any]]:
    """Maps of three classes and a background, all like ``map``."""
    base = {"ids": of_labels()["ids"], "classes": np.array(CLASSES), "sizes": np.tile([10, 20], (12, 1)), **changes}
    one = np.full((3, 4, 8), 80, np.uint8) if map is None else map
    return base | {f"maps/{row}": one for row in range(n)}


NPZ_REFUSED: list[tuple[str, dict[str, Any], str]] = [
    (
        "classification",
        of_labels(ids=np.arange(24).reshape(12, 2)),
        r"'ids' must be a list \(n,\) of text or whole numbers",
    ),
    ("classification", of_labels(ids=np.arange(12.0)), r"'ids' must be a list .* the type float64"),
    ("classification", of_labels(fold=np.array(0)), r"'fold' has the shape \(\) instead of \(12,\)"),
    ("classification", of_labels(fold=np.array([0, 1])), r"'fold' has the shape \(2,\) instead of \(12,\)"),
    ("classification", of_labels(logits=np.full((12, 3), "x")), r"'logits' has the shape \(12, 3\) and the type <U1"),
    (
        "classification",
        of_labels(logits=np.full((12, 3), np.nan)),
        r"id 'i00' has \[nan, nan, nan\], which is not finite in 'log",
    ),
    (
        "classification",
        of_labels(classes=np.array(["a", "c", "b"])),
        r"classes in another order, from the class 'c' in place 2",
    ),
    (
        "classification",
        of_labels(classes=np.array(["a", "b"])),
        r"has no class 'c'\. An \.npz needs all classes of the run",
    ),
    (
        "classification",
        of_labels(classes=np.array(["a", "b", "d"])),
        r"has no class 'c', and the class 'd', which is not among",
    ),
    (
        "regression",
        of_values(values=np.zeros((12, 1))),
        r"'values' has the shape \(12, 1\) .* needed are numbers of the shape \(12,\)",
    ),
    ("regression", of_values(values=np.zeros(3)), r"'values' has the shape \(3,\)"),
    (
        "regression",
        of_values(spreads=np.full(12, np.nan)),
        r"id 'i00' has nan, which is not finite in 'spreads' \(12 such",
    ),
    ("regression", of_values(spreads=np.full(12, -1.0)), r"id 'i00' has -1\.0, which is a negative spread"),
    (
        "detection",
        of_boxes(labels=np.full(12, 7)),
        r"id 'i00' has 7, which is no label; they are places of classes, 0 to 2",
    ),
    ("detection", of_boxes(counts=np.full(12, 3)), r"'counts' sum to 36, but there are 12 boxes, 12 scores, 12 labels"),
    ("detection", of_boxes(scores=np.full(12, 3.0)), r"id 'i00' has 3\.0, which is a score outside 0 to 1"),
    (
        "detection",
        of_boxes(sizes=np.tile([20, 10], (12, 1))),
        r"id 'i00' has \[20, 10\], which is not the height and width",
    ),
    (
        "detection",
        of_boxes(boxes=np.tile([5, 1, 1, 5], (12, 1))),
        r"id 'i00' has \[5, 1, 1, 5\], which is a box with reversed",
    ),
    (
        "segmentation",
        {**of_labels()},
        r"has no arrays 'maps/<row>', uint8 \(3, height, width\), the probability of a, b, c",
    ),
    (
        "segmentation",
        of_maps(np.full((3, 4, 8), np.nan)),
        r"'maps/0' of id 'i00' has the shape \(3, 4, 8\) and the type float64",
    ),
    ("segmentation", of_maps(np.zeros((4, 8), np.uint8)), r"'maps/0' of id 'i00' has the shape \(4, 8\)"),
    ("segmentation", of_maps(np.full((3, 4, 8), 100, np.uint8)), r"a pixel whose classes sum to 300, more than 255"),
    ("segmentation", of_maps(n=11), r"has 11 arrays 'maps/<row>' of 12 images; each image needs one, from 'maps/0' to"),
    (
        "segmentation",
        of_maps(rois=np.tile([1, 1, 5, 5], (12, 1))),
        r"is not the region of its map .* images of this run are not cropp",
    ),
    (
        "multilabel",
        {**of_labels(probabilities=np.full((12, 3), -1.0)), "logits": None},
        r"values \[-1\.0, .* are not probabilities",
    ),
    (
        "classification",
        {**of_labels(probabilities=np.full((12, 3), 7.0)), "logits": None},
        r"values \[7\.0, .* not probabilities",
    ),
    (
        "classification",
        {**of_labels(probabilities=np.full((12, 3), 0.4)), "logits": None},
        r"sum to 1\.2, not to 1 \(12 such rows\).* averages of ranks are no probabilities: take that ensemble by another method",
    ),
]


@pytest.mark.parametrize(("name", "arrays", "text"), NPZ_REFUSED)
def test_arrays_that_are_no_predictions_are_refused(
    name: str, arrays: dict[str, Any], text: str, tmp_path: Path
) -> None:
    written(tmp_path)
    save(tmp_path / "oof.npz", ((key, array) for key, array in arrays.items() if array is not None))
    with pytest.raises(DataError, match=rf"oof\.npz \(external member other\): .*{text}"):
        read(tmp_path, {"name": name}, fold="fold" if "fold" in arrays else None, oof="oof.npz")


@pytest.mark.parametrize("ids", [np.arange(12), np.arange(12).astype(bytes)])
def test_ids_of_arrays_may_be_numbers_or_bytes(ids: Any, tmp_path: Path) -> None:
    written(tmp_path)
    lists = pd.read_csv(tmp_path / "train.csv").assign(id=range(12))
    lists.to_csv(tmp_path / "train.csv", index=False)
    save(tmp_path / "oof.npz", of_labels(ids=ids).items())
    found = read(tmp_path, oof="oof.npz")
    assert found["ids"].tolist() == sorted(map(str, range(12)))
    wanted = softmax(of_labels()["logits"], axis=1)[np.argsort(list(map(str, range(12))))]
    assert softmax(found["logits"], axis=1) == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("is_cropped", [False, True])
def test_maps_of_another_tool_are_a_member_where_the_run_has_them(is_cropped: bool, tmp_path: Path) -> None:
    written(tmp_path)
    rois = np.tile([2, 1, 12, 9], (12, 1))
    if is_cropped:
        lists = pd.read_csv(tmp_path / "train.csv").assign(roi="2 1 12 9")
        lists.to_csv(tmp_path / "train.csv", index=False)
        save(tmp_path / "oof.npz", of_maps().items())
        with pytest.raises(
            DataError, match=r"id 'i00' has \[0, 0, 20, 10\], which is not the region of its map.* are cropped, and"
        ):
            read(tmp_path, {"name": "segmentation"}, fold=None, oof="oof.npz")
    save(tmp_path / "oof.npz", of_maps(**({"rois": rois} if is_cropped else {})).items())
    found = read(tmp_path, {"name": "segmentation"}, fold=None, oof="oof.npz")
    assert ("rois" in found, found["maps/11"].tolist()) == (is_cropped, np.full((3, 4, 8), 80).tolist())


def test_arrays_of_a_task_of_the_user_s_have_one_row_per_image_or_object() -> None:
    refuse_uneven(of_boxes(), "m.npz")
    with pytest.raises(
        DataError, match=r"m\.npz: 'scores' has 11 rows for 12 objects \(the sum of 'counts'\); each needs one"
    ):
        refuse_uneven(of_boxes(scores=np.zeros(11)), "m.npz")
    with pytest.raises(DataError, match=r"m\.npz: 'points' has 3 rows for 12 images"):
        refuse_uneven({"ids": of_labels()["ids"], "points": np.zeros((3, 2))}, "m.npz")


BOX = {"image_id": "i01", "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{**BOX, "bbox": [1, 2, 3]}], r"box 0 \(image_id 'i01'\) has the bbox \[1, 2, 3\]; four numbers in pixels"),
        ([BOX, {**BOX, "bbox": None}], r"box 1 \(image_id 'i01'\) has the bbox None"),
        ([{**BOX, "score": None}], r"has the score None; a number is needed"),
        ([{**BOX, "image_id": None}], r"box 0 has the image_id None; it must be the number or text"),
        ([{**BOX, "category_id": 9}], r"box 0 has the category_id 9; known: 1: a, 2: b, 7: c"),
        (
            [{"image_id": 1}],
            r"annotations\[0\] has no 'category_id'; each entry needs image_id, category_id, bbox, score",
        ),
        (
            {"annotations": [BOX], "categories": [{"id": 7}]},
            r"categories\[0\] has no 'name'; each entry needs id, name",
        ),
        ({"annotations": [BOX], "images": [{"id": 7}]}, r"images\[0\] has no 'file_name'"),
        ({"annotations": [BOX], "images": 3}, r"'images' must be a list of entries with id, file_name"),
        ({"boxes": [BOX]}, r"must be a list of boxes, each with image_id, category_id, bbox, score"),
    ],
)
def test_results_of_coco_in_another_form_are_refused(content: Any, text: str, tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "oof.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match=rf"oof\.json \(external member other\): .*{text}"):
        read(tmp_path, {"name": "detection"}, fold=None, oof="oof.json")


BOXES = pd.DataFrame({"id": ["q1", "q2"], "prediction": "a", "confidence": 0.5, "x1": 1, "y1": 1, "x2": 5, "y2": 5})


def test_boxes_of_entirely_other_images_are_refused_and_those_of_some_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written(tmp_path)
    task = {"name": "detection"}
    text = r"has no box of any of the 12 images, whose ids look like 'i00'; "
    BOXES.to_csv(tmp_path / "oof.csv", index=False)
    with pytest.raises(
        DataError, match=text + r"its ids look like 'q1'\. Write the ids of the run, as in folds/train\.csv"
    ):
        read(tmp_path, task, fold=None)
    (tmp_path / "oof.json").write_text(json.dumps([{**BOX, "image_id": "img_i01"}]))
    with pytest.raises(DataError, match=text + "its ids look like 'img_i01'"):
        read(tmp_path, task, fold=None, oof="oof.json")
    (tmp_path / "oof.json").write_text("[]")
    with pytest.raises(DataError, match=text + "it has none at all"):
        read(tmp_path, task, fold=None, oof="oof.json")
    BOXES.assign(id=["q1", "i03"]).to_csv(tmp_path / "oof.csv", index=False)
    assert read(tmp_path, task, fold=None)["counts"].sum() == 1
    assert "oof: 12 images, 1 others not used" in capsys.readouterr().out


def test_members_that_disagree_are_named() -> None:
    net, other = member(np.ones((3, 3))), {**member(np.ones((3, 3))), "classes": np.array(["a", "c", "b"])}
    with pytest.raises(
        DataError, match=r"members net and other predict other classes: other has its classes in another order"
    ):
        completed(None, {"net": net}, {"other": other})
    with pytest.raises(
        DataError, match=r"members net and other predict other images, e\.g\. 'i2'\. Their files are of"
    ):
        completed(None, {"net": net}, {"other": member(np.ones((2, 3)))})


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
    with pytest.raises(
        DataError, match=r"other does not know all classes \(not 'b'\), and no member with a weight above 0"
    ):
        completed(facet, {}, {"other": partial})


def test_members_of_weight_zero_fill_in_no_classes(tmp_path: Path) -> None:
    written(tmp_path, columns=["a", "c"])
    partial, facet = read(tmp_path), tasks.external(TASK, CLASSES)
    net, junk = (
        {**member(np.random.default_rng(seed).dirichlet(np.ones(3), 12)), "ids": partial["ids"]} for seed in (2, 3)
    )
    alone = completed(facet, {"net": net}, {"other": partial})["other"]["logits"]
    both = {"net": net, "junk-seed0": junk}
    assert not np.array_equal(completed(facet, both, {"other": partial})["other"]["logits"], alone)
    assert np.array_equal(completed(facet, both, {"other": partial}, ["junk-seed0"])["other"]["logits"], alone)
    with pytest.raises(DataError, match=r"Give a member that knows all classes a weight, or remove other"):
        completed(facet, {"junk-seed0": junk}, {"other": partial}, ["junk-seed0"])


def test_an_external_member_in_the_ensemble_does_not_depend_on_members_of_weight_zero(tmp_path: Path) -> None:
    written(tmp_path, columns=["a", "c"])
    save(tmp_path / "outside/other/oof.npz", read(tmp_path).items())
    ids = np.array([f"i{place:02d}" for place in range(12)])
    for number, name in enumerate(("junk", "net")):
        for fold in range(3):
            own = {**member(np.random.default_rng(number).dirichlet(np.ones(3), 12)[fold::3]), "ids": ids[fold::3]}
            save(tmp_path / f"{name}/round{number}/fold{fold}/seed0/oof.npz", own.items())

    ensemble.run(
        str(tmp_path), str(tmp_path / "train.csv"), str(tmp_path / "classes.json"), str(tmp_path / "ensemble"),
        str(tmp_path / "board.csv"), str(tmp_path / "metrics.json"), TASK, "accuracy", ["junk", "net"], [0], 3,
        [["junk"], ["net"]], False, {"junk": 0.0}, {"method": "probability"}, 1,
        external=["other"], outside=str(tmp_path / "outside"),
    )  # fmt: skip
    values = np.random.default_rng(1).dirichlet(np.ones(3), 12)
    found = load(tmp_path / "ensemble/oof.npz")["probabilities"]
    assert found[:, 1] == pytest.approx(values[:, 1], rel=1e-4), "the unknown class has the probability of net alone"
    rounds = pd.read_csv(tmp_path / "ensemble/rounds.csv")
    first, last = (rounds["member"][rounds["round"] == number].tolist() for number in (0, 1))
    assert first == ["junk-seed0"], "no member with a weight knows all classes yet"
    assert last == ["junk-seed0", "net-seed0", "other", "ensemble"]


def test_the_report_fills_in_from_the_members_that_were_averaged() -> None:
    weights = {"net": 1.0, "junk": 0.0}
    assert silent_of(weights, [{"step": "average", "fitted": None}, {"step": "temperature", "fitted": {}}]) == ["junk"]
    assert silent_of(weights, []) == ["junk"]
    assert silent_of(weights, [{"step": "hill_climbing", "fitted": {"weights": weights}}]) == [], (
        "it was among the members"
    )


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
