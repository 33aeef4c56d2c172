"""Masks and boxes that cannot be used, from the config through the manifest to the folds."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import COCO, MASKS, NETS, SHAPES, Tiny, coco_of, save_picture, scene, write_scenes
from goldfold.audit.doubts.boxes import about_emptied
from goldfold.base.errors import ConfigError, DataError
from goldfold.commands.check import check
from goldfold.commands.checked import as_json, as_text
from goldfold.config import Config, parse, slices
from goldfold.stages import folds, manifest
from goldfold.targets.boxes import from_text
from goldfold.targets.mask_coding import Coding
from goldfold.targets.masks import write_mask
from whole_task import whole

pytestmark = pytest.mark.usefixtures("in_tmp")
NO_CLASSES = {key: value for key, value in MASKS.items() if key != "classes"}
CANNOT = "images have a target that cannot be used, first"


@pytest.fixture(autouse=True)
def scenes(in_tmp: Path) -> None:
    """raw/ with 12 training and 4 test images; im00 has a dim and a lit shape, im01 a lit, im02 a dim one, im03 none."""
    write_scenes(in_tmp)


def config_of(task: str, data: dict[str, Any], **more: Any) -> Config:
    entry = {"name": "net", **NETS[task]}
    return parse({"name": "t", "task": task, "data": data, "models": [entry], "folds": {"n_folds": 2}, **more})


def made(task: str, data: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Tables that the manifest stage writes, by name, and the classes."""
    config = config_of(task, data, **more)
    manifest.run(folder="out", workers=1, **slices.manifest(config))
    tables = {path.stem: pd.read_csv(path, dtype=str, keep_default_na=False) for path in Path("out").glob("*.csv")}
    return tables | {"classes": json.loads(Path("out/classes.json").read_text())}


def split(task: str, data: dict[str, Any], **more: Any) -> pd.DataFrame:
    """The training table with its folds."""
    made(task, data, **more)
    config = config_of(task, data, **more)
    settings = config.folds.model_dump()
    folds.run("out", "folds", slices.task(config), config.tables, shards=1, **settings)
    return pd.read_csv("folds/train.csv", dtype=str, keep_default_na=False)


# --- masks


def test_sound_masks_are_a_row_each_with_what_later_stages_need() -> None:
    found = made("segmentation", MASKS)
    assert list(found["train"].columns) == [
        "id", "path", "sha256", "width", "height", "mask", "mask_sha256", "mask_depth", "mask_values",
    ]  # fmt: skip
    assert len(found["train"]) == 12
    assert len(found["quarantine"]) == 0
    assert found["classes"] == SHAPES
    assert set(found["train"]["mask_depth"]) == {"8"}
    assert json.loads(found["train"]["mask_values"][3]) == {"0": 48 * 64}, "an image without a shape is one like others"
    assert "mask" not in found["test"]


def put_mask(pixels: np.ndarray, name: str = "im02") -> None:
    write_mask(f"raw/masks/{name}.png", pixels)


def colour_mask() -> None:
    save_picture(Path("raw/masks/im02.png"), np.dstack([scene(2, ("dim",)).mask * n for n in (1, 2, 3)]))


WRONG_MASKS: dict[str, tuple[Callable[[], Any], str]] = {
    "another size": (
        lambda: put_mask(np.ones((10, 20))),
        r"its mask raw/masks/im02\.png has 20 x 10 pixels, the image 64 x 48",
    ),
    "turned": (
        lambda: put_mask(np.ones((64, 48))),
        r"its mask raw/masks/im02\.png has 48 x 64 pixels, the image 64 x 48",
    ),
    "value of no class": (
        lambda: put_mask(np.full((48, 64), 9)),
        r"its mask raw/masks/im02\.png has the value 9, no class \(see data\.mask_values\)",
    ),
    "values of no class": (
        lambda: put_mask(np.arange(48 * 64).reshape(48, 64) % 300),
        r"its mask raw/masks/im02\.png has the values 3, 4, 5, 6, 7, \.\.\., no class \(see data\.mask_values\)",
    ),
    "empty": (lambda: Path("raw/masks/im02.png").write_bytes(b""), r"its mask raw/masks/im02\.png: file is empty"),
    "truncated": (
        lambda: Path("raw/masks/im02.png").write_bytes(Path("raw/masks/im02.png").read_bytes()[:-20]),
        r"its mask raw/masks/im02\.png: cannot be decoded",
    ),
    "colour": (colour_mask, r"its mask raw/masks/im02\.png: a colour image, its channels differ"),
}


@pytest.mark.parametrize("what", WRONG_MASKS)
@pytest.mark.parametrize("policy", ["fail", "quarantine"])
def test_a_mask_that_cannot_be_used_ends_the_job_or_goes_to_quarantine(what: str, policy: str) -> None:
    spoil, reason = WRONG_MASKS[what]
    spoil()
    data = {**MASKS, "on_bad_label": policy}
    if policy == "fail":
        said = rf"train: 1 of 12 {CANNOT} 'im02': {reason}.*\. Correct it, or set data\.on_bad_label: quarantine\."
        with pytest.raises(DataError, match=said):
            made("segmentation", data)
        assert not Path("out").exists()
        return
    found = made("segmentation", data)
    assert len(found["train"]) == 11
    assert found["quarantine"][["split", "id", "path", "part"]].to_numpy().tolist() == [
        ["train", "im02", "raw/images/im02.png", "image"]
    ]
    assert pd.Series(found["quarantine"]["reason"]).str.match(reason).all()


def test_of_a_mask_no_part_can_be_left_out() -> None:
    said = r"data\.on_bad_label = 'drop': allowed with segmentation: fail, quarantine"
    with pytest.raises(ConfigError, match=said):
        made("segmentation", {**MASKS, "on_bad_label": "drop"})


def test_an_image_without_a_mask_is_refused_unless_the_config_says_otherwise() -> None:
    for name in ("im02", "im07"):
        Path(f"raw/masks/{name}.png").unlink()
    said = (
        rf"train: 2 of 12 {CANNOT} 'im02': image has no mask\. "
        r"Correct them, or set data\.on_missing_label: quarantine\."
    )
    for data in (MASKS, {**MASKS, "on_missing_label": "fail"}, {**MASKS, "on_bad_label": "quarantine"}):
        with pytest.raises(DataError, match=said):
            made("segmentation", data)
    found = made("segmentation", {**MASKS, "on_missing_label": "quarantine"})
    assert len(found["train"]) == 10
    assert found["quarantine"][["id", "reason"]].to_numpy().tolist() == [
        ["im02", "image has no mask"],
        ["im07", "image has no mask"],
    ]


def test_classes_are_found_in_the_masks_that_can_be_used() -> None:
    assert made("segmentation", NO_CLASSES)["classes"] == ["1", "2"]
    put_mask(np.full((5, 5), 77))
    assert made("segmentation", {**NO_CLASSES, "on_bad_label": "quarantine"})["classes"] == ["1", "2"]


def test_masks_that_hold_nothing_or_far_too_much() -> None:
    for number in range(12):
        put_mask(np.zeros((48, 64)), f"im{number:02d}")
    with pytest.raises(
        DataError, match=r"data\.masks: every pixel of every mask is 0, so there is nothing to train on\."
    ):
        made("segmentation", NO_CLASSES)
    put_mask(np.arange(48 * 64).reshape(48, 64) % 301)
    said = (
        r"data\.masks: the masks hold 300 different values\. If they number objects, set data\.mask_values: nonzero; if"
    )
    with pytest.raises(DataError, match=said):
        made("segmentation", NO_CLASSES)
    many = {**MASKS, "mask_values": {f"c{value}": value for value in range(301)}}
    with pytest.raises(DataError, match=r"data\.masks: 301 different values\. .* at most 254 classes"):
        made("segmentation", {key: value for key, value in many.items() if key != "classes"})
    assert made("segmentation", {**NO_CLASSES, "mask_values": "nonzero"})["classes"] == ["foreground"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"mask_values": "nonzero"},
            r"data\.mask_values: nonzero has one class; data\.classes must name one\.",
        ),
        (
            {"mask_values": {"dim": 1, "lid": 2}},
            r"data\.classes and data\.mask_values do not name the same classes, e\.g\. 'lid'\.",
        ),
        ({"mask_values": {"dim": 1}}, r"do not name the same classes, e\.g\. 'lit'"),
        ({"classes": ["dim"]}, rf"train: 6 of 12 {CANNOT} 'im00': .* has the value 2, no class"),
        ({"classes": ["dim", "lit", "more"]}, r"data\.classes: class 'more' has no training image\."),
        ({"mask_values": {"dim": 1, "lit": 3}}, rf"{CANNOT} 'im00': .* has the value 2, no class"),
        (
            {"mask_values": {"dim": 1, "lit": 3}, "ignore_value": 2},
            r"data\.classes: class 'lit' has no training image\.",
        ),
        (
            {"classes": None, "ignore_value": 1, "mask_values": {"one": 2, "two": 5}},
            r"class 'two' has no training image",
        ),
    ],
)
def test_rules_for_pixel_values_that_do_not_fit_the_masks(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        made("segmentation", {**MASKS, **changes})


def test_ignored_and_numbered_values_are_counted_as_the_rule_says() -> None:
    table = split("segmentation", {**MASKS, "classes": ["lit"], "mask_values": {"lit": 2}, "ignore_value": 1})
    summary = pd.read_csv("folds/summary.csv")
    lit = sum(int(json.loads(text).get("2", 0)) for text in table["mask_values"])
    assert summary["lit"].sum() == lit > 0
    assert list(summary.columns) == ["fold", "lit", "(all)", "(deviation)"]
    split("segmentation", {**NO_CLASSES, "mask_values": "nonzero", "classes": ["shape"]})
    every = sum(sum(json.loads(text).values()) - json.loads(text)["0"] for text in table["mask_values"])
    assert pd.read_csv("folds/summary.csv")["shape"].sum() == every > lit


def test_true_masks_of_test_images_are_looked_at_too() -> None:
    data = {**MASKS, "test_answers": "raw/test_masks"}
    found = made("segmentation", data)
    assert list(found["answers"]["id"]) == ["te00", "te01", "te02", "te03"]
    assert list(found["answers"]["mask"]) == [f"raw/test_masks/te{number:02d}.png" for number in range(4)]
    split("segmentation", data)
    assert len(pd.read_csv("folds/answers.csv")) == 4
    assert not list(Path("folds/shards").glob("answers*"))
    write_mask("raw/test_masks/te01.png", np.ones((3, 3)))
    said = (
        rf"data\.test_answers: 1 of 4 {CANNOT} 'te01': its mask raw/test_masks/te01\.png has 3 x 3 pixels, the image "
        r"64 x 48\. Correct it, or set data\.on_bad_label: quarantine\."
    )
    with pytest.raises(DataError, match=said):
        made("segmentation", data)
    found = made("segmentation", {**data, "on_bad_label": "quarantine"})
    assert list(found["answers"]["id"]) == ["te00", "te02", "te03"]
    assert len(found["test"]) == 4, "it is predicted all the same"


# --- boxes


def with_boxes(changed: dict[str, list[tuple[str, float, float, float, float]]], file: str = "train") -> None:
    """Rewrite raw/train.json with other boxes (label, x1, y1, x2, y2) for some images."""
    content = json.loads(Path(f"raw/{file}.json").read_text())
    numbers = {Path(entry["file_name"]).stem: entry["id"] for entry in content["images"]}
    names = {entry["name"]: entry["id"] for entry in content["categories"]}
    for label in {box[0] for boxes in changed.values() for box in boxes} - set(names):
        content["categories"].append({"id": 50 + len(names), "name": label})
        names[label] = 50 + len(names)
    kept = [entry for entry in content["annotations"] if entry["image_id"] not in {numbers[id] for id in changed}]
    content["annotations"] = kept + [
        {"image_id": numbers[id], "category_id": names[label], "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for id, boxes in changed.items()
        for label, x1, y1, x2, y2 in boxes
    ]
    Path(f"raw/{file}.json").write_text(json.dumps(content))


def test_an_image_without_boxes_is_a_sound_negative_that_is_learnt_from(tiny_boxes: Tiny) -> None:
    found = made("detection", COCO)
    assert len(found["train"]) == 12
    assert len(found["quarantine"]) == 0
    assert list(found["train"]["boxes"][[3, 7, 11]]) == ["[]"] * 3
    table = split("detection", COCO)
    assert set(table["id"]) >= {"im03", "im07", "im11"}
    counts = table[table["boxes"] == "[]"]["fold"].value_counts()
    assert counts.max() <= 2, "folds share them out"
    rows = pd.read_csv(tiny_boxes.fold_file(), dtype=str, keep_default_na=False)
    rows = rows[rows["boxes"] == "[]"]
    assert len(rows) == 3
    from goldfold.cache.images import CachedImages

    targets = whole({"name": "detection"}, SHAPES).targets(rows, CachedImages(tiny_boxes.caches()), "squash")
    assert [target["bboxes"].shape for target in targets] == [(0, 4)] * 3


NAN = float("nan")
# box in an image of 64 x 48 -> what is wrong with it, what is left of it where parts are dropped
WRONG_BOXES: dict[str, tuple[tuple[float, float, float, float], str, list[float] | None]] = {
    "no width": ((10, 10, 10, 20), "has no area", None),
    "no height": ((10, 10, 20, 10), "has no area", None),
    "reversed": ((20, 10, 10, 20), "is reversed", None),
    "outside to the right": ((64, 10, 90, 20), "lies outside the image", None),
    "outside above": ((10, -9, 20, -1), "lies outside the image", None),
    "NaN": ((NAN, 10, 20, 20), "has a coordinate that is not a number", None),
    "infinite": ((10, 10, math.inf, 20), "has a coordinate that is not a number", None),
    "reaching outside": ((50, 10, 70, 20), "reaches outside the image", [50, 10, 64, 20]),
    "reaching outside below": ((5, 40, 20, 90.5), "reaches outside the image", [5, 40, 20, 48]),
}


@pytest.mark.parametrize("what", WRONG_BOXES)
@pytest.mark.parametrize("policy", ["fail", "quarantine", "drop"])
def test_a_box_that_cannot_be_used_ends_the_job_or_goes_with_or_without_its_image(what: str, policy: str) -> None:
    box, flaw, left = WRONG_BOXES[what]
    with_boxes({"im02": [("dim", 1, 2, 9, 8), ("lit", *box)]})
    data = {**COCO, "on_bad_label": policy}
    reason = f"box 2 (lit) {flaw}"
    if policy == "fail":
        with pytest.raises(DataError) as caught:
            made("detection", data)
        assert str(caught.value) == (
            f"train: 1 of 12 {CANNOT} 'im02': {reason}. Correct it, or set data.on_bad_label: drop or quarantine."
        )
        assert not Path("out").exists()
        return
    found = made("detection", data)
    lost = found["quarantine"][["split", "id", "path", "part", "reason", "outcome"]].to_numpy().tolist()
    part, outcome = ("box", "cut" if left else "left out") if policy == "drop" else ("image", "left out")
    assert lost == [["train", "im02", "raw/images/im02.png", part, reason, outcome]]
    boxes = dict(zip(found["train"]["id"], found["train"]["boxes"], strict=True))
    if policy == "quarantine":
        assert "im02" not in boxes
        return
    labels, corners = from_text(boxes["im02"])
    assert labels == ["dim", *(["lit"] if left else [])]
    assert corners.tolist() == [[1, 2, 9, 8], *([left] if left else [])]
    assert len(found["train"]) == 12


def test_images_are_counted_apart_from_boxes_and_boxes_left_out_from_those_cut(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flawed = [("lit", 5, 5, 5, 9), ("dim", 50, 10, 70, 20)]
    with_boxes({"im02": flawed, "im04": flawed[:1], "im05": flawed[1:]})
    Path("raw/images/im06.png").write_bytes(b"")
    config = config_of("detection", {**COCO, "on_bad_label": "drop", "on_bad_image": "quarantine"})
    manifest.run(folder="out", workers=1, **slices.manifest(config))
    said = capsys.readouterr().out.splitlines()[-1]
    assert said == "11 train, 4 test; 2 classes; 1 image in quarantine; 2 boxes left out, 2 cut"
    Path("config.yaml").write_text(json.dumps(config.model_dump(mode="json", exclude_unset=True)))
    found = check("config.yaml")
    text = as_text(found).splitlines()
    assert "left out: 1 image; 2 boxes left out, 2 cut" in text
    assert "  train im05 (raw/images/im05.png): box 1 (dim) reaches outside the image (cut)" in text
    emptied = "1 image has no box left after flawed ones were dropped, first 'im04': "
    assert f"  {emptied}it is trained on as an image without objects" in text
    kinds = sorted((row["part"], row["outcome"]) for row in as_json(found)["left_out"])
    assert kinds == [("box", "cut")] * 2 + [("box", "left out")] * 2 + [("image", "left out")]


@pytest.mark.parametrize(
    ("emptied", "said"),
    [
        ([], None),
        (
            ["im05"],
            "1 image has no box left after flawed ones were dropped, first 'im05': it is trained on as an image",
        ),
        (
            ["im04", "im05"],
            "2 images have no box left after flawed ones were dropped, first 'im04': they are trained on as",
        ),
    ],
)
def test_images_that_lose_all_their_boxes_are_told(emptied: list[str], said: str | None) -> None:
    flat, whole = ("lit", 5, 5, 5, 9), ("dim", 1, 1, 9, 9)
    with_boxes({"im01": [flat, whole], "im02": [("dim", 50, 10, 70, 20)], **{id: [flat, flat] for id in emptied}})
    found = made("detection", {**COCO, "on_bad_label": "drop"})
    told = list(about_emptied(found["quarantine"].to_dict("records"), found["train"]))
    assert [doubt[: len(said or "")] for doubt in told] == ([said] if said else [])
    assert list(about_emptied([], found["train"].drop(columns="boxes"))) == []


def test_a_box_that_reaches_out_by_less_than_a_pixel_is_cut_and_sound() -> None:
    with_boxes({"im02": [("dim", -1, 0.5, 64.5, 49)]})
    found = made("detection", COCO)
    assert len(found["quarantine"]) == 0
    assert found["train"]["boxes"][2] == '[["dim",0,0.5,64,48]]'


def test_all_flaws_of_an_image_are_told_and_counted() -> None:
    with_boxes(
        {"im01": [("lit", 5, 5, 5, 9)], "im02": [("dim", 9, 9, 5, 5), ("dim", 1, 1, 9, 9), ("dim", 70, 1, 80, 9)]}
    )
    said = rf"train: 2 of 12 {CANNOT} 'im01': box 1 \(lit\) has no area\. Correct them, or set data\.on_bad_label"
    with pytest.raises(DataError, match=said):
        made("detection", COCO)
    found = made("detection", {**COCO, "on_bad_label": "quarantine"})
    reasons = dict(zip(found["quarantine"]["id"], found["quarantine"]["reason"], strict=True))
    assert reasons["im02"] == "box 1 (dim) is reversed; box 3 (dim) lies outside the image"
    found = made("detection", {**COCO, "on_bad_label": "drop"})
    assert list(found["quarantine"]["id"]) == ["im01", "im02", "im02"]
    assert found["train"]["boxes"][1] == "[]", "without its box it is a negative"


def test_labels_that_are_no_class_follow_the_policy_and_classes_that_no_box_has_are_refused() -> None:
    with_boxes({"im02": [("dimm", 1, 2, 9, 8), ("dim", 20, 20, 30, 30)]})
    named = {**COCO, "classes": SHAPES}
    flaw = "box 1 (dimm) has a label that is not a class (dim, lit)"
    with pytest.raises(
        DataError, match=re.escape(f"{CANNOT} 'im02': {flaw}. Correct it, or set data.on_bad_label: drop")
    ):
        made("detection", named)
    found = made("detection", {**named, "on_bad_label": "quarantine"})
    assert found["quarantine"][["id", "part", "reason"]].to_numpy().tolist() == [["im02", "image", flaw]]
    found = made("detection", {**named, "on_bad_label": "drop"})
    assert found["quarantine"][["id", "part", "reason"]].to_numpy().tolist() == [["im02", "box", flaw]]
    assert found["train"]["boxes"][2] == '[["dim",20,20,30,30]]'
    assert made("detection", COCO)["classes"] == ["dim", "dimm", "lit"]
    with pytest.raises(DataError, match=r"data\.classes: class 'more' has no training image\."):
        made("detection", {**COCO, "classes": ["lit", "dim", "dimm", "more"]})
    assert made("detection", {**COCO, "classes": ["lit", "dimm", "dim"]})["classes"] == ["lit", "dimm", "dim"]


def test_a_class_that_only_boxes_in_quarantine_have_is_none() -> None:
    with_boxes({"im02": [("odd", 1, 2, 9, 8), ("dim", 5, 5, 5, 5)]})
    assert made("detection", {**COCO, "on_bad_label": "quarantine"})["classes"] == SHAPES
    assert made("detection", {**COCO, "on_bad_label": "drop"})["classes"] == ["dim", "lit", "odd"]


def test_not_one_box() -> None:
    Path("raw/train.json").write_text(json.dumps({**coco_of({"im00": scene(0)}), "annotations": []}))
    with pytest.raises(DataError, match=r"^train: there are no boxes to train on\. Check the annotations"):
        made("detection", COCO)


@pytest.mark.parametrize("policy", ["fail", "quarantine", "drop"])
def test_where_all_boxes_are_flawed_the_first_flaw_is_named(policy: str) -> None:
    with_boxes({f"im{number:02}": [("dim", 900, 2, 909, 8)] for number in range(12)})
    with pytest.raises(DataError, match=r"no boxes to train on, only flawed ones, first in 'im00': box 1 .* outside"):
        made("detection", {**COCO, "on_bad_label": policy})


VOC = {"source": "voc", "annotations": "raw/xml", "images": "raw/images", "train": "raw/train.txt"}


def write_voc(without: tuple[str, ...] = ()) -> None:
    """The training boxes as Pascal VOC, but for those of some images."""
    Path("raw/xml").mkdir()
    content = json.loads(Path("raw/train.json").read_text())
    for entry in content["images"]:
        name = Path(entry["file_name"]).stem
        boxes = [box for box in content["annotations"] if box["image_id"] == entry["id"]]
        things = "".join(
            f"<object><name>{SHAPES[box['category_id'] - 1]}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin>"
            f"<xmax>{x + width}</xmax><ymax>{y + height}</ymax></bndbox></object>"
            for box in boxes
            for x, y, width, height in [box["bbox"]]
        )
        if name not in without:
            Path(f"raw/xml/{name}.xml").write_text(f"<annotation>{things}</annotation>")
    Path("raw/train.txt").write_text("".join(f"{Path(entry['file_name']).stem}\n" for entry in content["images"]))


def test_an_image_without_an_annotation_is_not_taken_for_a_negative() -> None:
    write_voc(without=("im02", "im03"))
    found = made("detection", VOC)
    assert len(found["train"]) == 10
    assert list(found["train"]["boxes"][found["train"]["id"] == "im07"]) == ["[]"]
    assert found["quarantine"][["id", "part", "reason"]].to_numpy().tolist() == [
        ["im02", "image", "image has no annotation"],
        ["im03", "image", "image has no annotation"],
    ]
    said = (
        rf"train: 2 of 12 {CANNOT} 'im02': image has no annotation\. Correct them, or set data\.on_missing_label: quar"
    )
    with pytest.raises(DataError, match=said):
        made("detection", {**VOC, "on_missing_label": "fail"})


def test_boxes_of_voc_and_coco_give_the_same_targets() -> None:
    write_voc()
    first, second = made("detection", VOC)["train"], made("detection", COCO)["train"]
    assert list(first["id"]) == list(second["id"])
    assert list(first["boxes"]) == list(second["boxes"])


def test_true_boxes_of_test_images_are_looked_at_too() -> None:
    data = {**COCO, "test_answers": "raw/test_answers.json"}
    found = made("detection", data)
    assert list(found["answers"]["id"]) == ["te00", "te01", "te02", "te03"]
    assert found["answers"]["boxes"][3] == "[]"
    with_boxes({"te01": [("lit", 5, 5, 5, 9), ("bright", 5, 5, 9, 9)]}, "test_answers")
    said = (
        rf"data\.test_answers: 1 of 4 {CANNOT} 'te01': box 1 \(lit\) has no area; box 2 \(bright\) has a label that is"
    )
    with pytest.raises(DataError, match=said):
        made("detection", data)
    left = made("detection", {**data, "on_bad_label": "quarantine"})["answers"]
    assert list(left["id"]) == ["te00", "te02", "te03"]
    left = made("detection", {**data, "on_bad_label": "drop"})["answers"]
    assert list(left["boxes"][[1, 3]]) == ["[]", "[]"]
    with_boxes({f"te{number:02d}": [("lit", 5, 5, 5, 9)] for number in range(4)}, "test_answers")
    with pytest.raises(
        DataError, match=r"data\.test_answers: none of its 4 images can be used, first 'te00': box 1 \(lit\)"
    ):
        made("detection", {**data, "on_bad_label": "quarantine"})


# --- folds


def rare_boxes() -> dict[str, Any]:
    with_boxes({"im02": [("rare", 1, 2, 9, 8), ("rare", 20, 20, 30, 30)]})
    return COCO


def rare_masks() -> dict[str, Any]:
    put_mask(np.pad(np.full((5, 5), 3), ((0, 43), (0, 59))))
    return {**MASKS, "classes": [*SHAPES, "rare"]}


def test_a_class_in_fewer_images_than_folds() -> None:
    said = r"class 'rare' has 1 image, fewer than folds\.n_folds: 2.*\. Lower n_folds, add images, or"
    with pytest.raises(DataError, match=said):
        split("segmentation", rare_masks())
    with pytest.raises(DataError, match=said):
        split("detection", rare_boxes(), folds={"n_folds": 2, "rare_classes": "fail"})
    assert set(split("detection", rare_boxes())["fold"]) == {"0", "1"}, "boxes are spread"


@pytest.mark.parametrize(("task", "data"), [("detection", COCO), ("segmentation", MASKS)])
@pytest.mark.parametrize("splitter", ["group", "stratified_group"])
def test_groups_stay_together_and_a_class_that_is_one_group_cannot_be_learnt(
    task: str, data: dict[str, Any], splitter: str
) -> None:
    def grouped(group_of: Callable[[int], str]) -> pd.DataFrame:
        rows = "".join(f"im{number:02d},{group_of(number)}\n" for number in range(12))
        Path("groups.csv").write_text(f"id,group\n{rows}")
        return split(task, {**data, "groups": "groups.csv"}, folds={"n_folds": 2, "splitter": splitter})

    table = grouped(lambda number: f"g{number // 3}")
    assert (table.groupby("group")["fold"].nunique() == 1).all()
    assert set(table["fold"]) == {"0", "1"}
    said = r"all images of class 'dim' are in fold \d, so its models would never see the class\. Lower folds\.n_folds"
    with pytest.raises(DataError, match=said):  # images 0, 2, 4, ... of every four hold the dim shapes
        grouped(lambda number: "dim" if number % 2 == 0 else f"g{number}")
    with pytest.raises(DataError, match=r"there are 1 groups, fewer than folds\.n_folds: 2\. Lower n_folds\."):
        grouped(lambda number: "one")


@pytest.mark.parametrize(
    ("task", "data", "column"), [("detection", COCO, "boxes"), ("segmentation", MASKS, "mask_sha256")]
)
def test_a_fold_s_list_holds_all_that_its_training_depends_on(task: str, data: dict[str, Any], column: str) -> None:
    table = split(task, data)
    part = pd.read_csv("folds/fold0.csv", dtype=str, keep_default_na=False)
    assert list(part.columns) == ["id", "split", "sha256", "width", "height", column]
    assert set(part["id"][part["split"] == "val"]) == set(table["id"][table["fold"] == "0"])
    shard = pd.read_csv("folds/shards/train-0.csv", dtype=str)
    cached = ["mask", "mask_sha256", "mask_depth"] if task == "segmentation" else []
    assert list(shard.columns) == ["id", "path", "sha256", *cached]
    tests = pd.read_csv("folds/shards/test-0.csv", dtype=str)
    assert list(tests.columns) == list(shard.columns)
    assert tests[cached].isna().all().all(), "test images have no masks"


@pytest.mark.parametrize(("task", "data", "name"), [("detection", COCO, "boxes"), ("segmentation", MASKS, "mask")])
def test_copies_with_two_targets_are_left_out_or_refused(task: str, data: dict[str, Any], name: str) -> None:
    Path("raw/images/im05.png").write_bytes(Path("raw/images/im01.png").read_bytes())
    with pytest.raises(DataError, match=rf"1 group of copies with more than one label: train 'im01' is '{name} 1'"):
        made(task, {**data, "on_two_labels": "fail"})
    lost = made(task, {**data, "on_two_labels": "quarantine"})["quarantine"]
    reason = "its copies have 2 labels, see cluster 0 of duplicates.csv"
    assert dict(zip(lost["id"], lost["reason"], strict=True)) == dict.fromkeys(("im01", "im05"), reason)


# --- pseudo masks of another image


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a":"1 7"}', r"run lengths: run 1 of 1, '1 7', reaches beyond the 2 x 3 pixels of the image"),
        ('{"a":"3 2 1 1"}', r"run lengths: run 2 of 2, '1 1', starts before the end of the run before it"),
        ('{"":"5 3"}', r"reaches beyond the 2 x 3 pixels"),
    ],
)
def test_run_lengths_of_another_image_are_refused(text: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Coding(["a"], "index", None).from_text(text, 2, 3)
