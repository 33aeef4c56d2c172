"""Masks and boxes as competitions want them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import FORM
from goldfold import tasks
from goldfold.base.errors import ConfigError, DataError
from goldfold.config import parse, slices
from goldfold.predictions.arrays import Arrays, save
from goldfold.sources import yolo_rows
from goldfold.sources.yolo_names import read_names
from goldfold.stages import submit
from goldfold.targets import rle
from goldfold.targets.boxes import from_text
from goldfold.targets.mask_coding import IGNORE
from goldfold.targets.masks import decode_mask, write_mask
from test_dense_tasks import FRAME, task_of
from whole_task import Whole, whole


def rle_rows(table: pd.DataFrame, size: tuple[int, int]) -> list[np.ndarray]:
    return [rle.decode(text, *size) for text in table.iloc[:, -1]]


def submitted(
    folder: Path,
    task: dict[str, Any],
    classes: list[str],
    made: Arrays,
    table: pd.DataFrame,
    sample: str | None = None,
    class_ids: dict[str, int] | None = None,
) -> pd.DataFrame:
    """Run the submission stage; its table."""
    folder.mkdir(parents=True, exist_ok=True)
    save(folder / "test.npz", made.items())
    table.to_csv(folder / "test.csv", index=False)
    (folder / "classes.json").write_text(json.dumps(classes))
    (folder / "class_ids.json").write_text(json.dumps(class_ids or {}))
    if sample is not None:
        (folder / "sample.csv").write_text(sample)
    submit.run(
        predictions=str(folder / "test.npz"),
        test=str(folder / "test.csv"),
        classes=str(folder / "classes.json"),
        class_ids=str(folder / "class_ids.json"),
        out=str(folder / "submission.csv"),
        task=task,
        metric=next(iter(tasks.facts(task["name"]).metrics)),
        sample=None if sample is None else str(folder / "sample.csv"),
        settings=FORM,
    )
    return pd.read_csv(folder / "submission.csv", dtype=str, keep_default_na=False)


def masks_of(
    task: Whole, ids: list[str], seed: int = 0, size: tuple[int, int] = (9, 7)
) -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    """Certain predictions, the table of their images, and the masks (channels) by id."""
    generator = np.random.default_rng(seed)
    table = pd.DataFrame({"id": ids, "width": str(size[1]), "height": str(size[0])})
    n_classes = len(task.classes)
    masks = {id: generator.integers(0, n_classes + 1, size) for id in ids}
    maps = np.stack([[mask == 1 + index for index in range(n_classes)] for mask in masks.values()])
    return dict(task.pack(table, [{"maps": maps.astype(np.uint8) * 255}], size, "squash")), table, masks


@pytest.mark.parametrize("sampled", [True, False])
def test_masks_of_several_classes_are_submitted_as_a_row_an_image_and_class(sampled: bool, tmp_path: Path) -> None:
    spec, ids = {"name": "segmentation"}, ["t2", "t0", "t1"]
    made, table, masks = masks_of(whole(spec, ["cat", "dog"]), ids)
    rows = [("t1", "dog"), ("t0", "cat"), ("t2", "dog"), ("t1", "cat"), ("t2", "cat"), ("t0", "dog")]
    sample = "img,kind,EncodedPixels\n" + "".join(f"{id},{name},1 1\n" for id, name in rows)
    found = submitted(tmp_path, spec, ["cat", "dog"], made, table, sample if sampled else None)
    if sampled:
        assert list(found.columns) == ["img", "kind", "EncodedPixels"]
        assert list(zip(found["img"], found["kind"], strict=True)) == rows
    else:
        assert list(found.columns) == ["id", "class", "rle"]
        assert list(zip(found["id"], found["class"], strict=True)) == [
            (id, name) for id in ids for name in ("cat", "dog")
        ]
    for row, mask in zip(found.itertuples(index=False), rle_rows(found, (9, 7)), strict=True):
        assert np.array_equal(mask, masks[row[0]] == 1 + ["cat", "dog"].index(row[1]))


@pytest.mark.parametrize(
    ("sample", "columns"),
    [
        (None, ["id", "rle"]),
        ("image,mask\nt1,\nt0,\nt2,\n", ["image", "mask"]),
        ("image,what,mask\nt1,cell,\nt0,cell,\nt2,cell,\n", ["image", "what", "mask"]),
    ],
)
def test_masks_of_one_class_are_submitted_as_a_row_an_image(
    sample: str | None, columns: list[str], tmp_path: Path
) -> None:
    spec = {"name": "segmentation", "mask_values": "nonzero"}
    task = whole(spec, ["cell"])
    made, table, masks = masks_of(task, ["t0", "t1", "t2"])
    made["maps/2"] = np.zeros_like(made["maps/2"])
    found = submitted(tmp_path, spec, ["cell"], made, table, sample)
    assert list(found.columns) == columns
    assert list(found.iloc[:, 0]) == (["t0", "t1", "t2"] if sample is None else ["t1", "t0", "t2"])
    texts = dict(zip(found.iloc[:, 0], found.iloc[:, -1], strict=True))
    assert texts["t2"] == "", "where there is nothing, nothing is written"
    for id in ("t0", "t1"):
        assert np.array_equal(rle.decode(texts[id], 9, 7), masks[id] == 1)


def test_the_threshold_of_one_class_is_the_config_s(tmp_path: Path) -> None:
    table = pd.DataFrame({"id": ["x"], "width": "2", "height": "1"})
    made = dict(
        task_of("segmentation", "a").pack(table, [{"maps": np.array([[[[77, 153]]]], np.uint8)}], (1, 2), "squash")
    )
    for threshold, text in ((0.2, "1 2"), (0.5, "2 1"), (0.7, "")):
        spec = {"name": "segmentation", "threshold": threshold}
        assert submitted(tmp_path, spec, ["a"], made, table)["rle"].tolist() == [text]


@pytest.mark.parametrize(
    ("rule", "classes", "values"),
    [
        ("index", ["a", "b"], [0, 1, 2]),
        ("names", ["3", "7"], [0, 3, 7]),
        ({"a": 50, "b": 200}, ["a", "b"], [0, 50, 200]),
        ({"a": 50, "b": 200}, ["b", "a"], [0, 200, 50]),
        ({"a": 300, "b": 1}, ["a", "b"], [0, 300, 1]),
        ("nonzero", ["a"], [0, 255]),
    ],
)
def test_predicted_masks_are_written_with_the_values_of_the_training_masks_at_the_images_size(
    rule: Any, classes: list[str], values: list[int], tmp_path: Path
) -> None:
    spec = {"name": "segmentation", "mask_values": rule}
    made, table, masks = masks_of(whole(spec, classes), ["sub/t0", "t1"])
    table.loc[1, ["width", "height"]] = ["14", "18"]
    made["sizes"] = np.array([[9, 7], [18, 14]], dtype=np.int32)
    submitted(tmp_path, spec, classes, made, table)
    first, second = decode_mask(tmp_path / "masks/sub/t0.png"), decode_mask(tmp_path / "masks/t1.png")
    assert np.array_equal(first, np.array(values)[masks["sub/t0"]])
    assert first.dtype == (np.uint16 if max(values) > 255 else np.uint8)
    assert second.shape == (18, 14)
    assert set(np.unique(second)) <= set(values)


def test_a_class_of_value_zero_takes_the_place_of_the_background(tmp_path: Path) -> None:
    spec = {"name": "segmentation", "mask_values": {"road": 0, "sky": 9, "sea": 4}}
    task = whole(spec, ["sky", "road", "sea"])
    assert task.n_channels == 3  # type: ignore[attr-defined]
    channels = np.array([[0, 1], [2, 1]])
    maps = np.stack([channels == 1, channels == 2])[None].astype(np.uint8) * 255
    table = pd.DataFrame({"id": ["x"], "width": "2", "height": "2"})
    made = dict(task.pack(table, [{"maps": maps}], (2, 2), "squash"))
    found = submitted(tmp_path, spec, ["sky", "road", "sea"], made, table)
    assert dict(zip(found["class"], found["rle"], strict=True)) == {"sky": "1 1", "road": "3 2", "sea": "2 1"}
    assert decode_mask(tmp_path / "masks/x.png").tolist() == [[9, 0], [4, 0]]
    write_mask(tmp_path / "true.png", np.array([[9, 0], [4, 0]]))
    evidence = task.evidence(made, table.assign(mask=str(tmp_path / "true.png")))
    assert task.metric("dice").value(evidence, np.arange(1)) == 1


@pytest.mark.parametrize(("rule", "ignored"), [("nonzero", 7), ("index", 200), ({"a": 1}, 0)])
def test_ignored_values_are_no_class_and_count_for_nothing(rule: Any, ignored: int, tmp_path: Path) -> None:
    task = whole({"name": "segmentation", "mask_values": rule, "ignore_value": ignored}, ["a"])
    mask = np.array([[1, 1, ignored], [ignored, 1, 1]], np.uint8)
    assert task.coding.channels(mask).tolist() == [[1, 1, IGNORE], [IGNORE, 1, 1]]  # type: ignore[attr-defined]
    content = task.content(pd.DataFrame({"mask_values": [json.dumps({1: 4, ignored: 2})]}))
    assert content["a"].tolist() == [4]
    write_mask(tmp_path / "x.png", mask)
    table = pd.DataFrame({"id": ["x"], "width": "3", "height": "2", "mask": str(tmp_path / "x.png")})
    maps = np.array([[[[1, 1, 0], [1, 1, 1]]]], np.uint8) * np.uint8(255)
    evidence = task.evidence(dict(task.pack(table, [{"maps": maps}], (2, 3), "squash")), table)
    assert task.metric("iou").value(evidence, np.arange(1)) == 1


BOXES = np.array([[1.0, 2, 11, 22], [0, 0, 5.126, 6], [3, 3, 9, 9]])
FOUND = [(BOXES, np.array([0.5, 0.875, 0.0625]), [1, 0, 1]), (BOXES[:0], np.zeros(0), []), (BOXES[:1], np.ones(1), [0])]


def boxes_of(ids: list[str]) -> tuple[dict[str, Any], pd.DataFrame]:
    table = pd.DataFrame({"id": ids, "width": "24", "height": "24"})
    return dict(task_of("detection", "ab").pack(table, [{"found": FOUND}], FRAME, "squash")), table


@pytest.mark.parametrize(
    ("settings", "first", "last"),
    [
        ({}, "a 0.875000 0.00 0.00 5.13 6.00 b 0.500000 1.00 2.00 11.00 22.00 b 0.062500 3.00 3.00 9.00 9.00",
         "a 1.000000 1.00 2.00 11.00 22.00"),
        ({"least_score": 0.5}, "a 0.875000 0.00 0.00 5.13 6.00 b 0.500000 1.00 2.00 11.00 22.00",
         "a 1.000000 1.00 2.00 11.00 22.00"),
        ({"box_fields": ["score", "x1", "y1", "width", "height"], "least_score": 0.6}, "0.875000 0.00 0.00 5.13 6.00",
         "1.000000 1.00 2.00 10.00 20.00"),
        ({"box_fields": ["class_index", "x2", "y2"], "least_score": 0.4}, "0 5.13 6.00 1 11.00 22.00", "0 11.00 22.00"),
    ],
    ids=["default", "least score", "width and height", "class index"],
)  # fmt: skip
def test_boxes_are_submitted_as_one_text_an_image_surest_first(
    settings: dict[str, Any], first: str, last: str, tmp_path: Path
) -> None:
    made, table = boxes_of(["t0", "t1", "t2"])
    found = submitted(tmp_path, {"name": "detection", **settings}, ["a", "b"], made, table)
    assert list(found.columns) == ["id", "PredictionString"]
    assert dict(zip(found["id"], found["PredictionString"], strict=True)) == {"t0": first, "t1": "", "t2": last}
    sample = "image_id,boxes\nt1,x\nt2,x\nt0,x\n"
    sampled = submitted(tmp_path, {"name": "detection", **settings}, ["a", "b"], made, table, sample)
    assert list(sampled.columns) == ["image_id", "boxes"]
    assert sampled.to_numpy().tolist() == [["t1", ""], ["t2", last], ["t0", first]]


@pytest.mark.parametrize("numbers", [None, ["900", "17", "3"], ["x-1", "x-2", "x-3"]])
def test_boxes_are_written_as_coco_results_with_the_ids_of_the_competition_s_own_file(
    numbers: list[str] | None, tmp_path: Path
) -> None:
    ids = ["t0", "t1", "t2"]
    made, table = boxes_of(ids)
    if numbers is not None:
        table["coco_id"] = numbers
    submitted(tmp_path, {"name": "detection", "least_score": 0.1}, ["a", "b"], made, table)
    rows = json.loads((tmp_path / "submission.json").read_text())
    named = ids if numbers is None else [int(number) if number.isdigit() else number for number in numbers]
    assert {(row["image_id"], row["category_id"]) for row in rows} == {(named[0], 2), (named[0], 1), (named[2], 1)}
    assert {row["score"]: row["bbox"] for row in rows} == {
        0.5: [1.0, 2.0, 10.0, 20.0], 0.875: [0.0, 0.0, 5.13, 6.0], 1.0: [1.0, 2.0, 10.0, 20.0],
    }  # fmt: skip


def test_categories_have_the_numbers_of_the_competition_s_own_file(tmp_path: Path) -> None:
    made, table = boxes_of(["t0", "t1", "t2"])
    submitted(tmp_path, {"name": "detection"}, ["a", "b"], made, table, class_ids={"a": 40, "b": 7})
    rows = json.loads((tmp_path / "submission.json").read_text())
    assert {(row["category_id"], row["score"]) for row in rows} == {(7, 0.5), (40, 0.875), (7, 0.0625), (40, 1.0)}


def test_boxes_are_written_as_yolo_s_text_files_that_can_be_read_again(tmp_path: Path) -> None:
    made, table = boxes_of(["t0", "a/t1", "t2"])
    for yolo, n_numbers in (("scores", 6), ("boxes", 5)):
        submitted(tmp_path, {"name": "detection", "least_score": 0.1, "yolo": yolo}, ["a", "b"], made, table)
        files = [tmp_path / f"yolo/labels/{id}.txt" for id in ("t0", "a/t1", "t2")]
        rows = [[line.split() for line in file.read_text().splitlines()] for file in files]
        assert [[row[0] for row in image] for image in rows] == [["0", "1"], [], ["0"]], "surest first, one below 0.1"
        assert {len(row) for image in rows for row in image} == {n_numbers}
        assert [row[5:] for row in rows[0]] == ([["0.875000"], ["0.500000"]] if yolo == "scores" else [[], []])
    names = read_names(str(tmp_path / "yolo/data.yaml"))
    assert names == {0: "a", 1: "b"}
    texts = yolo_rows.boxes_of([str(file) for file in files], yolo_rows.Reading(names, "data.yaml"), pytest.fail)
    labels, boxes = from_text(str(texts[0]))
    assert labels == ["a", "b"]
    assert boxes * 24 == pytest.approx(np.array([[0, 0, 5.126, 6], [1, 2, 11, 22]]), abs=1e-4)
    submitted(tmp_path, {"name": "detection"}, ["a", "b"], made, table)
    assert not (tmp_path / "yolo").exists(), "of other settings"


def test_yolo_s_files_belong_to_the_submission_where_they_are_asked_for() -> None:
    def files(**params: Any) -> tuple[str, ...]:
        data = {"source": "coco", "train": "a.json", "images": "raw"}
        model = {"name": "m", "network": "fcos", "backbone": "resnet18", "image_size_px": 64}
        config = parse({"name": "t", "task": "detection", "data": data, "models": [model], "task_params": params})
        assert slices.task(config) == {"name": "detection"}, "no training depends on it"
        return config.submission_files

    assert files() == ("submission.json",)
    assert files(yolo="scores") == ("submission.json", "yolo/")
    with pytest.raises(ConfigError, match=r"task_params\.yolo = 'score'"):
        files(yolo="score")


@pytest.mark.parametrize(
    ("name", "classes", "sample", "said"),
    [
        ("segmentation", "ab", "id,rle\nt0,\n", r"s\.csv: has the columns id, rle; needed are id, class and run lengths, in"),
        ("segmentation", "a", "id\nt0\n", r"s\.csv: has the columns id; needed are id and run lengths, in this order"),
        ("segmentation", "a", "id,a,b,c\nt0,,,\n", r"s\.csv: has the columns id, a, b, c; needed are id and run lengths"),
        ("segmentation", "ab", "id,class,rle\nt0,c,\n", r"s\.csv: 'c' in column 'class' is not a class; classes: a, b"),
        ("segmentation", "a", "id,class,rle\nt0,b,\n", r"s\.csv: 'b' in column 'class' is not a class; classes: a"),
        ("detection", "ab", "id\nt0\n", r"s\.csv: has the columns id; needed are id and PredictionString"),
        ("detection", "ab", "id,x,y\nt0,,\n", r"s\.csv: has the columns id, x, y; needed are id and PredictionString"),
    ],
)  # fmt: skip
def test_a_sample_file_that_cannot_be_filled_is_refused(
    name: str, classes: str, sample: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / "s.csv").write_text(sample)
    table = pd.read_csv(tmp_path / "s.csv", dtype=str)
    with pytest.raises(DataError, match=said):
        task_of(name, classes).form(table, "s.csv", FORM, next(iter(tasks.facts(name).metrics)))


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (
            "id,class,rle\nt0,a,\nt1,a,\nt0,b,\n",
            r"sample\.csv: 1 test image is missing, first 't2'; it must name exactly",
        ),
        ("id,class,rle\nt0,a,\nt1,a,\nt2,b,\nt3,b,\n", r"sample\.csv: 1 id is not that of a test image, first 't3'"),
        (
            "id,class,rle\nt0,a,\nt1,a,\nt2,b,\nt1,a,\n",
            r"sample\.csv: 1 row repeats the id of an earlier one, first 't1', 'a'\. Keep one of each",
        ),
    ],
)
def test_a_sample_file_of_other_images_is_refused(sample: str, said: str, tmp_path: Path) -> None:
    made, table, _ = masks_of(task_of("segmentation", "ab"), ["t0", "t1", "t2"])
    with pytest.raises(DataError, match=said):
        submitted(tmp_path, {"name": "segmentation"}, ["a", "b"], made, table, sample)
    assert not (tmp_path / "submission.csv").exists()
    assert not (tmp_path / "masks").exists()
