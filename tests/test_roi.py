"""A part of each image cut out: where it is found, and that masks and boxes move with it, there and back."""

import contextlib
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from conftest import COCO, MASKS, SCENE_PX, TASK, Tiny, _below, prepare, save_picture, write_scenes
from goldfold.base.errors import ConfigError, DataError
from goldfold.cache.images import CachedImages, build
from goldfold.commands.check import check
from goldfold.commands.checked import as_json
from goldfold.commands.checked import as_text as check_text
from goldfold.config import parse, slices
from goldfold.crop import boxes, column, contour
from goldfold.crop.counts import as_text, counts
from goldfold.crop.find import with_rois
from goldfold.crop.fit import NO_AREA, OUTSIDE, fitted
from goldfold.images.decode import resize
from goldfold.images.geometry import MODES, Roi, place, roi_of, roi_to_text
from goldfold.images.stacks import joined
from goldfold.predictions.arrays import load, save
from goldfold.report import crops
from goldfold.stages import folds, manifest
from goldfold.targets.boxes import from_text, to_text
from goldfold.targets.mask_coding import IGNORE, Coding
from goldfold.targets.masks import resize_mask, write_mask
from mammograms import mammogram
from test_dense_tasks import task_of
from test_workflow import jobs_of, snakemake
from whole_task import whole

# --- geometry


@st.composite
def cut(draw: st.DrawFn) -> tuple[tuple[int, int], Roi, tuple[int, int], str]:
    """Size of an image, part of it, frame, mode."""
    height, width = draw(st.integers(8, 90)), draw(st.integers(8, 90))
    x1, y1 = draw(st.integers(0, width - 5)), draw(st.integers(0, height - 5))
    x2, y2 = draw(st.integers(x1 + 4, width)), draw(st.integers(y1 + 4, height))
    frame = draw(st.integers(8, 48)), draw(st.integers(8, 48))
    return (height, width), (x1, y1, x2, y2), frame, draw(st.sampled_from(MODES))


@given(cut(), st.lists(st.tuples(*[st.floats(-20, 120)] * 4), max_size=4))
def test_boxes_come_back_as_far_as_they_lie_in_the_part(
    made: tuple[tuple[int, int], Roi, tuple[int, int], str], corners: list[tuple[float, ...]]
) -> None:
    size, roi, frame, mode = made
    given_boxes = np.array(corners, dtype=float).reshape(-1, 4)
    placement = place(size, frame, mode, roi)
    back = placement.to_original(placement.to_frame(given_boxes))
    x1, y1, x2, y2 = roi
    assert back == pytest.approx(given_boxes.clip([x1, y1, x1, y1], [x2, y2, x2, y2]), abs=1e-6)


@given(cut())
def test_a_part_is_placed_as_an_image_of_its_own_would_be(
    made: tuple[tuple[int, int], Roi, tuple[int, int], str],
) -> None:
    size, roi, frame, mode = made
    x1, y1, x2, y2 = roi
    generator = np.random.default_rng(x1)
    image, mask = generator.integers(0, 255, (*size, 3), np.uint8), generator.integers(0, 9, size, np.uint8)
    assert np.array_equal(resize(image, frame, mode, roi), resize(image[y1:y2, x1:x2].copy(), frame, mode))
    assert np.array_equal(
        resize_mask(mask, frame, mode, 3, roi), resize_mask(mask[y1:y2, x1:x2].copy(), frame, mode, 3)
    )
    placement = place(size, frame, mode, roi)
    back = placement.put_back(placement.cut(mask) + np.uint8(1), 0)
    assert np.array_equal(placement.cut(back), mask[y1:y2, x1:x2] + 1)
    assert (back > 0).sum() == (x2 - x1) * (y2 - y1)
    everything = (0, 0, size[1], size[0])
    assert place(size, frame, mode, everything) == place(size, frame, mode)
    assert roi_of(roi_to_text(roi)) == roi


def test_texts_of_parts() -> None:
    assert roi_of("") is None
    assert roi_to_text(None) == ""
    for text in ("1 2 3", "1 2 3 4 5", "1 2 3.5 4", "a b c d", "-1 0 4 4"):
        with pytest.raises(DataError, match=r"is not a box\. Write x1 y1 x2 y2"):
            roi_of(text)
    with pytest.raises(DataError, match="roi: '4 0 4 9' has no area"):
        roi_of("4 0 4 9")


@given(cut(), st.floats(0, 1))
def test_a_margin_grows_a_box_on_all_sides_within_the_image(
    made: tuple[tuple[int, int], Roi, tuple[int, int], str], margin: float
) -> None:
    (height, width), box, _, _ = made
    roi, reason = fitted(box, width, height, margin)
    assert reason == ""
    assert roi is not None
    x1, y1, x2, y2 = roi
    assert 0 <= x1 <= box[0]
    assert 0 <= y1 <= box[1]
    assert box[2] <= x2 <= width
    assert box[3] <= y2 <= height
    assert x1 == 0 or x1 <= box[0] - margin * (box[2] - box[0])
    assert x2 == width or x2 >= box[2] + margin * (box[2] - box[0])


def test_boxes_that_cannot_be_cut_out() -> None:
    assert fitted((5, 5, 5, 9), 20, 20, 0.1) == (None, NO_AREA)
    assert fitted((9, 5, 5, 9), 20, 20, 0.1) == (None, NO_AREA)
    assert fitted((20, 5, 30, 9), 20, 20, 0.5) == (None, OUTSIDE)
    assert fitted((19.5, -5, 30, 0.2), 20, 20, 0.0) == ((19, 0, 20, 1), "")


# --- targets in, predictions out


@settings(max_examples=40)
@given(cut(), st.integers(0, 1000))
def test_masks_come_out_at_the_images_size_with_background_around_the_part(
    made: tuple[tuple[int, int], Roi, tuple[int, int], str], seed: int
) -> None:
    size, roi, frame, _ = made
    task, part = task_of("segmentation", "a"), (roi[3] - roi[1], roi[2] - roi[0])
    table = pd.DataFrame({"id": ["x"], "height": [str(size[0])], "width": [str(size[1])], "roi": [roi_to_text(roi)]})
    inner = cv2.resize(np.random.default_rng(seed).integers(0, 2, (2, 2), np.uint8) * 255, part[::-1], interpolation=0)
    maps = cv2.resize(inner, frame[::-1], interpolation=cv2.INTER_NEAREST_EXACT)[None, None]
    packed = dict(task.pack(table, [{"maps": maps}], frame, "squash"))
    assert packed["sizes"].tolist() == [list(size)]
    assert packed["rois"].tolist() == [list(roi)]
    (mask,) = task.masks(packed, ["x"])  # type: ignore[attr-defined]
    assert mask.shape == size
    x1, y1, x2, y2 = roi
    outside = mask.copy()
    outside[y1:y2, x1:x2] = 0
    assert not outside.any()
    coarse = max(part[0] / frame[0], part[1] / frame[1], 1) + 1
    shrunk = cv2.erode(inner, np.ones((2 * int(coarse) + 1,) * 2, np.uint8), borderValue=255)
    assert (mask[y1:y2, x1:x2][shrunk > 0] == 1).all(), "what is far inside a square is found where it is"
    grown = cv2.dilate(inner, np.ones((2 * int(coarse) + 1,) * 2, np.uint8))
    assert (mask[y1:y2, x1:x2][grown == 0] == 0).all()


@settings(max_examples=40)
@given(cut())
def test_boxes_come_out_in_pixels_of_the_image_and_never_reach_out_of_the_part(
    made: tuple[tuple[int, int], Roi, tuple[int, int], str],
) -> None:
    size, roi, frame, mode = made
    task = task_of("detection", "a")
    table = pd.DataFrame({"id": ["x"], "height": [str(size[0])], "width": [str(size[1])], "roi": [roi_to_text(roi)]})
    box = np.array([[roi[0], roi[1], roi[0] + 3, roi[1] + 2]], dtype=float)
    framed = place(size, frame, mode, roi).to_frame(box)
    huge = np.array([[-500.0, -500, 500, 500]])
    found = [(np.vstack([framed, huge]), np.array([0.9, 0.8]), [0, 0])]
    packed = dict(task.pack(table, [{"found": found}], frame, mode))
    assert packed["boxes"][0] == pytest.approx(box[0], abs=1e-3)
    x1, y1, x2, y2 = packed["boxes"][1]
    assert min(x1 - roi[0], y1 - roi[1], roi[2] - x2, roi[3] - y2) >= 0
    assert packed["sizes"].tolist() == [list(size)]


def cached(folder: Path, table: pd.DataFrame, frame: tuple[int, int], mode: str) -> CachedImages:
    build(table.assign(sha256="s"), folder, frame, 3, mode)
    return CachedImages([folder])


@pytest.mark.parametrize("mode", ["squash", "pad"])
def test_cached_images_masks_and_pseudo_masks_are_cut_alike(mode: str, tmp_path: Path) -> None:
    generator, roi = np.random.default_rng(0), (10, 4, 50, 34)
    mask = cv2.resize(generator.integers(0, 3, (5, 6), np.uint8), (64, 48), interpolation=cv2.INTER_NEAREST)
    image = mask[..., None].repeat(3, axis=2) * np.uint8(100)
    save_picture(tmp_path / "x.png", image)
    write_mask(tmp_path / "m.png", mask)
    row = {"id": ["x"], "path": str(tmp_path / "x.png"), "mask": str(tmp_path / "m.png"), "roi": roi_to_text(roi)}
    images = cached(tmp_path / "cache", pd.DataFrame(row).assign(mask_depth="8"), (30, 40), mode)
    assert images.roi("x") == roi
    assert np.array_equal(images["x"], resize(image[4:34, 10:50], (30, 40), mode))
    task = task_of("segmentation", "ab")
    table = pd.DataFrame({"id": ["x"], "width": "64", "height": "48"})
    labelled = task.targets(table.assign(rle=""), images, mode)[0]["mask"]
    text = Coding(["a", "b"], "index", None).to_text(mask)
    assert np.array_equal(task.targets(table.assign(rle=text), images, mode)[0]["mask"], labelled)
    inside = labelled != IGNORE
    assert np.array_equal(images["x"][..., 0][inside], labelled[inside] * 100), "the mask lies on its image"
    assert inside.mean() > 0.7


def test_boxes_outside_the_part_are_not_learnt_from_and_those_across_its_border_are_cut(tmp_path: Path) -> None:
    save_picture(tmp_path / "x.png", np.zeros((40, 60, 3), np.uint8))
    row = pd.DataFrame({"id": ["x"], "path": str(tmp_path / "x.png"), "roi": "20 10 40 30"})
    images = cached(tmp_path / "cache", row, (40, 40), "squash")
    text = to_text(
        ["a", "b", "c", "a"], np.array([[25.0, 15, 30, 20], [10, 5, 25, 15], [0, 0, 15, 40], [40, 0, 60, 40]])
    )
    table = pd.DataFrame({"id": ["x"], "width": "60", "height": "40", "boxes": text})
    (target,) = task_of("detection", "abc").targets(table, images, "squash")
    assert target["labels"].tolist() == [0, 1]
    assert target["bboxes"].tolist() == [[10, 10, 20, 20], [0, 0, 10, 10]]
    found = counts({"train": table.assign(roi="20 10 40 30", roi_fallback="")})
    assert found["train"] == {"images": 1, "whole": {}, "share": round(400 / 2400, 4), "boxes_lost": 2}
    assert "2 boxes are outside and not trained on" in next(as_text(found))


def test_parts_stay_with_their_maps_through_files_joins_and_fusions(tmp_path: Path) -> None:
    task = task_of("segmentation", "ab")
    rois = {"x": (2, 3, 12, 23), "y": (0, 0, 30, 24), "z": (20, 10, 30, 24)}

    def packed(ids: str, seed: int) -> dict[str, Any]:
        texts = [roi_to_text(rois[id]) for id in ids]
        table = pd.DataFrame({"id": list(ids), "height": "24", "width": "30", "roi": texts})
        maps = np.random.default_rng(seed).integers(0, 128, (len(ids), 2, 8, 8), np.uint8)
        return dict(task.pack(table, [{"maps": maps}], (8, 8), "squash"))

    for seed in (0, 1):
        for number, ids in enumerate(("zx", "y")):
            save(tmp_path / f"{seed}-{number}.npz", packed(ids, seed).items())
    members = [task.join([load(tmp_path / f"{seed}-{number}.npz") for number in (0, 1)]) for seed in (0, 1)]
    fused = task.fuse(members, [1, 1])
    assert [tuple(roi) for roi in fused["rois"].tolist()] == [rois[id] for id in "xyz"]
    pseudo = task.pseudo_labels(fused, 0.2).set_index("id")
    for id, mask in zip("xyz", task.masks(fused, list("xyz")), strict=True):  # type: ignore[attr-defined]
        x1, y1, x2, y2 = rois[id]
        assert mask.shape == (24, 30)
        outside = mask.copy()
        outside[y1:y2, x1:x2] = 0
        assert not outside.any()
        labelled = Coding(["a", "b"], "index", None).from_text(pseudo["rle"][id], 24, 30)
        labelled[y1:y2, x1:x2] = 0
        assert not labelled.any()
    assert list(task.table(fused)["width"]) == [30] * 3


# --- by contour


def test_the_crop_of_a_mammogram_holds_its_region_and_is_much_smaller() -> None:
    kinds, kept = set(), []
    for seed in range(40):
        made = mammogram(seed, height=220)
        height, width = made.image.shape
        found = contour.region(made.image)
        assert isinstance(found, contour.Region), (seed, found, made.kind)
        box = np.array(found.box) * [width, height, width, height]
        roi, _ = fitted(tuple(box), width, height, 0.05)
        assert roi is not None
        assert all(roi[side] <= made.region[side] for side in (0, 1)), (seed, made.kind)
        assert all(roi[side] >= made.region[side] for side in (2, 3)), (seed, made.kind)
        kept.append((roi[2] - roi[0]) * (roi[3] - roi[1]) / (width * height))
        kinds |= set(made.kind.split(", "))
    assert kinds >= {"letters", "plate", "border", "border all round", "8 bit", "16 bit to 4095"}
    assert np.mean(kept) < 0.5
    assert max(kept) < 0.8


def scan_of(level: int = 150) -> np.ndarray:
    """A dark scan of 100 x 200 with one bright rectangle."""
    image = np.random.default_rng(0).integers(0, 8, (100, 200)).astype(np.uint8)
    image[30:70, 40:100] = level
    return image


def test_sixteen_bits_are_scaled_by_their_own_range() -> None:
    eight = contour.region(scan_of())
    assert isinstance(eight, contour.Region)
    for times in (1, 4, 256):
        assert contour.region(scan_of().astype(np.uint16) * times) == eight
    with_label = scan_of().astype(np.uint16) * 4
    with_label[2:10, 150:190] = 65535
    found = contour.region(with_label)
    assert isinstance(found, contour.Region), "what is burnt in is a hundred times brighter"
    assert found.box == pytest.approx(eight.box, abs=0.02)
    x1, y1, x2, y2 = np.array(eight.box) * [200, 100, 200, 100]
    assert (x1 <= 40, y1 <= 30, x2 >= 100, y2 >= 70) == (True,) * 4
    assert max(40 - x1, 30 - y1, x2 - 100, y2 - 70) < 8


def test_files_of_16_bits_and_of_several_channels_are_looked_at_with_all_their_bits(in_tmp: Path) -> None:
    grey = scan_of().astype(np.uint16)
    cv2.imwrite("deep.png", grey * 4)
    cv2.imwrite("colour.png", np.stack([grey * 4, grey, grey * 0], axis=2))
    for number in (0, 1):
        cv2.imwrite(f"{number}.png", grey * (4 - number))
    expected = contour.region(scan_of())
    assert isinstance(expected, contour.Region)
    for path in ("deep.png", "colour.png", joined(["0.png", "1.png"])):
        assert contour.look(path, "otsu", "bright", 0.02) == pytest.approx(expected.box, abs=0.011), path


def test_a_region_that_fills_a_side_is_no_border_and_a_border_is_no_region() -> None:
    image = np.zeros((120, 160), np.uint8)
    image[:, 100:] = 120
    found = contour.region(image)
    assert isinstance(found, contour.Region)
    assert found.box[1:] == (0, 1, 1)
    assert 90 < found.box[0] * 160 <= 100
    framed = scan_of()
    framed[:4] = framed[-4:] = 255
    framed[:, :4] = framed[:, -4:] = 255
    inside = contour.region(framed)
    assert isinstance(inside, contour.Region)
    assert inside.box == pytest.approx(contour.region(scan_of()).box, abs=0.03)  # type: ignore[union-attr]


def test_dark_regions_fixed_thresholds_and_colour() -> None:
    bright = contour.region(scan_of(), 0.3)
    assert isinstance(bright, contour.Region)
    assert contour.region(255 - scan_of(), "otsu", "dark") == contour.region(scan_of())
    assert contour.region(np.stack([scan_of()] * 3, axis=2), 0.3) == bright
    dimmer = scan_of()
    dimmer[30:70, 120:180] = 60
    assert contour.region(dimmer, 0.6).box == bright.box  # type: ignore[union-attr]


def test_where_nothing_is_found_the_image_stays_whole_and_the_reason_is_counted(in_tmp: Path) -> None:
    generator = np.random.default_rng(0)
    pictures = {
        "found": scan_of(),
        "flat": np.full((60, 60), 120, np.uint8),
        "noise": generator.integers(115, 125, (300, 300)).astype(np.uint8),
        "speck": np.zeros((200, 200), np.uint8),
        "full": np.full((60, 60), 200, np.uint8),
    }
    pictures["speck"][50:64, 50:64] = 255
    pictures["full"][0, :3] = 0
    for name, image in pictures.items():
        save_picture(in_tmp / f"{name}.png", image)
    sizes = {
        "width": [image.shape[1] for image in pictures.values()],
        "height": [image.shape[0] for image in pictures.values()],
    }
    table = pd.DataFrame({"id": list(pictures), "path": [f"{name}.png" for name in pictures], **sizes})
    tables = with_rois({"train": table, "answers": table[:1]}, {"method": "contour", "margin": 0.0}, 1, table)
    assert list(tables["answers"]) == list(table), "answers are of test images"
    reasons = dict(zip(table["id"], tables["train"]["roi_fallback"], strict=True))
    assert reasons == {
        "found": "", "flat": contour.NOTHING, "noise": contour.FULL, "speck": contour.SMALL, "full": contour.FULL,
    }  # fmt: skip
    assert [bool(text) for text in tables["train"]["roi"]] == [True, False, False, False, False]
    found = counts(tables)
    assert found["train"]["whole"] == {contour.NOTHING: 1, contour.SMALL: 1, contour.FULL: 2}
    said = next(as_text(found))
    assert said.startswith("crops: 1 of 5 train images are cropped, to ")
    assert "; whole: what stands out fills the image 2, " in said


def test_a_second_look_reads_nothing_and_other_settings_do_not_forget_it(
    in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_picture(in_tmp / "a.png", scan_of())
    table = {"train": pd.DataFrame({"path": ["a.png"], "width": [200], "height": [100]})}
    first, fixed = contour.find(table, 1), contour.find(table, 1, threshold=0.3)
    monkeypatch.setattr("goldfold.images.looking.ProcessPoolExecutor", None)
    assert contour.find(table, 1) == first
    assert contour.find(table, 1, threshold=0.3) == fixed
    assert contour.find(table, 1, most_share=0.01) == {"train": [(None, contour.FULL)]}
    with pytest.raises(TypeError):
        contour.find(table, 1, threshold=0.4)


# --- by a column


def test_boxes_of_a_column_in_all_their_spellings() -> None:
    for text in ("1 2 3 4", "[1, 2, 3, 4]", "1,2,3,4", "(1.0; 2e0; +3; 4.)"):
        assert column.parsed(text) == (1, 2, 3, 4), text
    for text in ("1 2 3", "1 2 3 4 5", "x1 2 3 4", "nan 1 2 3", "1-2 3 4 5 6"):
        assert column.parsed(text) is None, text
    table = pd.DataFrame({"id": ["a", "b", "c"], "width": "200", "height": "100", "roi": ["0.1 0.2 0.5 0.4", None, ""]})
    found = column.find({"train": table, "unlabeled": table.drop(columns="roi")}, 1, "shares", "xywh")
    box, reason = found["train"][0]
    assert box == pytest.approx((20, 20, 120, 60))
    assert reason == ""
    assert found["train"][1:] == [(None, column.NONE)] * 2
    assert found["unlabeled"] == [(None, column.NONE)] * 3
    with pytest.raises(DataError, match=r"train: 'a' has the box '1 2 3'\. Write four numbers \(data\.roi\.columns\)"):
        column.find({"train": table.assign(roi="1 2 3")}, 1, "pixels", "xyxy")


# --- by a detector's boxes


def listed(ids: list[str], **columns: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": ids, "path": [f"raw/{id}.jpg" for id in ids], "width": 100, "height": 50, **columns})


def test_boxes_of_goldfold_s_own_predictions(in_tmp: Path) -> None:
    """As the ensemble writes them: oof.csv and test.csv."""
    Path("oof.csv").write_text(
        "id,prediction,confidence,x1,y1,x2,y2\na,eye,0.4,1,2,30,40\na,eye,0.9,10,5,20,25\na,disc,0.95,0,0,5,5\nb,eye,0.1,1,1,9,9\n"
    )
    Path("test.csv").write_text("id,prediction,confidence,x1,y1,x2,y2\nt,eye,0.5,3,3,8,9\n")
    tables, files = {"train": listed(["a", "b", "c"]), "test": listed(["t"])}, ["oof.csv", "test.csv"]
    best = boxes.find(tables, 1, files, labels=["eye"])
    assert best["train"] == [((10, 5, 20, 25), ""), (None, boxes.UNSURE), (None, boxes.NONE)]
    assert best["test"] == [((3, 3, 8, 9), "")]
    assert boxes.find(tables, 1, files)["train"][0][0] == (0, 0, 5, 5)
    union = boxes.find(tables, 1, files, pick="union", least_score=0.3)
    assert union["train"][0][0] == (0, 0, 30, 40)
    with pytest.raises(
        DataError, match=r"no box in oof.csv, test.csv is of 'eys'; nearest is 'eye'; there are: disc, eye"
    ):
        boxes.find(tables, 1, files, labels=["eys"])


def test_boxes_of_other_files_by_other_names(in_tmp: Path) -> None:
    Path("shares.csv").write_text("id,x1,y1,x2,y2\na.jpg,0.1,0.2,0.5,0.6\n")
    box = boxes.find({"train": listed(["x/a", "x/b"])}, 1, ["shares.csv"], unit="shares")["train"][0][0]
    assert box == pytest.approx((10, 10, 50, 30))
    results = [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 10, 20], "score": 0.8}]
    Path("results.json").write_text(json.dumps(results))
    found = boxes.find({"train": listed(["a", "b"], coco_id=["7", "8"])}, 1, ["results.json"])["train"]
    assert found == [((1, 2, 11, 22), ""), (None, boxes.NONE)]
    Path("none.csv").write_text("id,prediction,confidence,x1,y1,x2,y2\n")
    assert boxes.find({"train": listed(["a"])}, 1, ["none.csv"])["train"] == [(None, boxes.NONE)]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("b.csv", "id,x1,y1,x2\na,1,2,3\n", "b.csv has no column 'y2'"),
        ("b.csv", "id,x1,y1,x2,y2\na,1,2,x,4\n", "b.csv: column 'x2' is 'x' in line 2. Write a number."),
        ("b.csv", "id,x1,y1,x2,y2,score\na,1,2,3,4,\nb,1,2,3,4,1\n", "column 'score' is nan in line 2"),
        ("b.csv", "id,x1,y1,x2,y2\n,1,2,3,4\n", "b.csv: the id is empty in line 2"),
        ("b.csv", "id,x1,y1,x2,y2\nq,1,2,3,4\n", "b.csv names none of the images: its first id is 'q', the data's 'a'"),
        ("b.json", "{}", "b.json is not a list, as COCO results are"),
        ("b.json", "[", "b.json is not JSON"),
        ("b.json", '[{"image_id": 1, "bbox": [1, 2, 3]}]', "b.json: entry 1 is .*it needs image_id, bbox"),
        ("b.json", '["x"]', "b.json: entry 1 is x; it needs image_id"),
        ("b.json", '[{"image_id": 1, "bbox": [1, 2, NaN, 3]}]', "b.json: entry 1 is"),
    ],
)
def test_bad_files_of_boxes(name: str, content: str, said: str, in_tmp: Path) -> None:
    Path(name).write_text(content)
    with pytest.raises(DataError, match=said):
        boxes.find({"train": listed(["a", "b"])}, 1, [name])


def test_an_image_in_two_files_of_boxes_is_refused(in_tmp: Path) -> None:
    for name in ("one.csv", "two.csv"):
        Path(name).write_text("id,x1,y1,x2,y2\na,1,2,3,4\n")
    with pytest.raises(DataError, match=r"'a' is in both one.csv and two.csv\. Remove it from one"):
        boxes.find({"train": listed(["a"])}, 1, ["one.csv", "two.csv"])


# --- through the stages

CSV: dict[str, Any] = {"source": "csv", "train": "train.csv", "images": "images", "test": "test.csv", "shards": 4}
MODEL = {"name": "net", "network": "small_resnet", "params": {"widths": [4, 8]}, "image_size_px": 12}


def write_table(n: int = 16) -> None:
    rows = pd.DataFrame({"id": [f"i{number:02d}" for number in range(n)], "label": ["a", "b"] * (n // 2)})
    for number, id in enumerate(rows["id"]):
        save_picture(Path(f"images/{id}.png"), np.random.default_rng(number).integers(0, 99, (20, 30, 3), np.uint8))
    rows = rows.assign(x=2, y=3, w=10, h=12)
    rows[: n - 4].to_csv("train.csv", index=False)
    rows[n - 4 :].drop(columns="label").to_csv("test.csv", index=False)


def listed_by(roi: dict[str, Any] | None) -> dict[str, str]:
    """Contents of the lists after manifest and folds."""
    config = parse(
        {"name": "t", "data": {**CSV, **({"roi": roi} if roi else {})}, "folds": {"n_folds": 2}, "models": [MODEL]}
    )
    manifest.run(folder="manifest", workers=1, **slices.manifest(config))
    folds.run(manifest="manifest", folder="folds", **slices.folds(config))
    return {str(path): path.read_text() for path in sorted(Path("folds").rglob("*.csv"))}


def test_a_box_that_changes_makes_the_folds_and_its_own_shard_new_and_no_roi_changes_nothing(in_tmp: Path) -> None:
    write_table()
    plain = listed_by(None)
    assert len(plain) > 10
    assert not any("roi" in text for text in plain.values())
    by_column = {"method": "column", "columns": ["x", "y", "w", "h"], "corners": "xywh"}
    cut = listed_by(by_column)
    assert cut["folds/fold0.csv"].splitlines()[0] == "id,split,sha256,label,roi"
    assert cut["folds/fold0.csv"].count("2 3 12 15") == 12
    assert cut["folds/test.csv"].count(",2 3 12 15,") == 4
    text = Path("train.csv").read_text()
    Path("train.csv").write_text(text.replace("i03,b,2,3,10,12", "i03,b,2,3,10,9"))
    changed = {name for name, content in listed_by(by_column).items() if content != cut[name]}
    (shard,) = [name for name in cut if "/train-" in name and "i03" in cut[name]]
    assert changed == {"folds/fold0.csv", "folds/fold1.csv", "folds/train.csv", shard}
    assert listed_by(None)[shard] == plain[shard]


def test_the_test_table_must_have_the_column_too(in_tmp: Path) -> None:
    write_table()
    pd.read_csv("test.csv")[["id"]].to_csv("test.csv", index=False)
    with pytest.raises(DataError, match=r"test\.csv has no column 'x'.* Set data\.roi\.columns"):
        listed_by({"method": "column", "columns": ["x", "y", "w", "h"]})


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_from_raw_images_to_predictions_in_the_images_own_pixels(task: str, tmp_path: Path) -> None:
    write_scenes(tmp_path, 8, 4)
    ids = [f"{name}{number:02d}" for name, n in (("im", 8), ("te", 4)) for number in range(n)]
    roi = (4, 2, 44, 34)
    table = pd.DataFrame({"id": ids, "x1": roi[0], "y1": roi[1], "x2": roi[2], "y2": roi[3], "score": 0.9})
    table.to_csv(tmp_path / "boxes.csv", index=False)
    data = {**_below(tmp_path, MASKS if task == "segmentation" else COCO), "shards": 1}
    data["roi"] = {"method": "boxes", "boxes": str(tmp_path / "boxes.csv"), "margin": 0}
    own = {"mask_values": "index", "ignore_value": None} if task == "segmentation" else {}
    metric = "dice" if task == "segmentation" else "ap50"
    with contextlib.chdir(tmp_path):
        tiny = prepare(Tiny(tmp_path, data, {"name": task, **own}, metric), ["train", "test"])
        assert CachedImages(tiny.caches("train", "test")).roi("te01") == roi
        tiny.train(tmp_path / "net", model=tiny.model({"epochs": 1, "warmup_epochs": 0}))
        tiny.predict(tmp_path / "out", tmp_path / "net/model.safetensors", "test")

    built, found = whole(tiny.task, tiny.classes), load(tmp_path / "out/test.npz")
    assert found["sizes"].tolist() == [list(SCENE_PX)] * 4
    if task == "segmentation":
        for mask in built.masks(found, ids[8:]):  # type: ignore[attr-defined]
            assert mask.shape == SCENE_PX
            mask[roi[1] : roi[3], roi[0] : roi[2]] = 0
            assert not mask.any()
    else:
        assert len(found["boxes"]) > 0
        assert (found["boxes"] >= [roi[0], roi[1]] * 2).all()
        assert (found["boxes"] <= [roi[2], roi[3]] * 2).all()
        truth = pd.read_csv(tiny.folds / "train.csv", dtype=str, keep_default_na=False)
        assert max(from_text(text)[1].max(initial=0) for text in truth["boxes"]) > roi[2], "the truth is not cut"


# --- config


def errors_of(data: dict[str, Any], **changes: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        parse({"name": "t", "data": {**CSV, **data}, "models": [MODEL], **changes})
    return str(caught.value)


def test_wrong_settings_are_told(in_tmp: Path) -> None:
    assert "data.roi.method = 'kontour': nearest is 'contour'" in errors_of({"roi": {"method": "kontour"}})
    assert "data.roi.treshold: unknown key; nearest is 'threshold'" in errors_of(
        {"roi": {"method": "contour", "treshold": 0.5}}
    )
    assert "columns names 2 columns; name one, or four" in errors_of(
        {"roi": {"method": "column", "columns": ["a", "b"]}}
    )
    said = errors_of({"roi": {"method": "boxes", "boxes": "results/eyes/ensemble/oof.csv"}})
    assert "data.roi.boxes = 'results/eyes/ensemble/oof.csv': no such file; run the detector first" in said
    folder = {"source": "folder", "train": "x", "roi": {"method": "column", "columns": ["box"]}}
    with pytest.raises(ConfigError, match="only source: csv has columns"):
        parse({"name": "t", "data": folder, "models": [MODEL]})
    said = errors_of({"roi": {"method": "contour"}}, task="keypoint_task:Keypoints")
    assert "task 'keypoint_task:Keypoints' does not crop its targets with the images" in said


def test_what_the_manifest_depends_on(in_tmp: Path) -> None:
    Path("oof.csv").write_text("id,x1,y1,x2,y2\n")

    def parsed(roi: dict[str, Any]) -> Any:
        return parse({"name": "t", "data": {**CSV, "roi": roi}, "models": [MODEL]})

    plain = parse({"name": "t", "data": CSV, "models": [MODEL]})
    assert slices.manifest(parsed({"method": "none"})) == slices.manifest(plain)
    assert "roi" not in slices.manifest(plain)
    assert not any("roi" in key for key in slices.manifest(plain)["source"])
    config = parsed({"method": "boxes", "boxes": "oof.csv"})
    assert config.data.raw_paths() == [*plain.data.raw_paths(), "oof.csv"], "a changed detector is a changed input"
    assert slices.manifest(config)["roi"]["boxes"] == ["oof.csv"]
    assert slices.manifest(config)["source"] == slices.manifest(plain)["source"]
    assert slices.folds(config) == slices.folds(plain)
    assert TASK["name"] == "classification"


# --- what is said of it


def test_the_check_counts_what_is_cut_and_doubts_many_that_are_not(in_tmp: Path) -> None:
    write_table()
    for number in range(16):
        image = scan_of(60 + 10 * number) if number != 3 else np.full((100, 200), 90, np.uint8)
        save_picture(Path(f"images/i{number:02d}.png"), image)
    data = {**CSV, "roi": {"method": "contour"}, "duplicates": "ignore"}  # the scans are alike
    config = {"name": "t", "data": data, "folds": {"n_folds": 2}, "models": [MODEL]}
    Path("config.yaml").write_text(yaml.safe_dump(config))
    found = check("config.yaml")
    assert found.error is None
    assert found.crops["train"]["whole"] == {contour.NOTHING: 1}
    assert found.crops["test"]["whole"] == {}
    said = check_text(found).splitlines()
    assert any(line.startswith("crops: 11 of 12 train images are cropped, to ") for line in said)
    assert any(
        "1 of 12 images of train is taken whole (8%), most often because: nothing stands out" in line for line in said
    )
    assert not any("of test" in line and "taken whole" in line for line in said)
    assert as_json(found)["crops"] == found.crops


def test_the_contact_sheet_shows_what_is_kept_and_those_taken_whole_first(in_tmp: Path) -> None:
    save_picture(in_tmp / "a.png", scan_of(80))
    row = {"path": "a.png", "width": "200", "height": "100"}
    rows = [{**row, "id": f"i{number}", "roi": f"0 0 {number} 100", "roi_fallback": ""} for number in range(1, 100)]
    rows += [{**row, "id": f"w{number}", "roi": "", "roi_fallback": contour.NOTHING} for number in range(30)]
    table = pd.DataFrame(rows).sample(frac=1, random_state=0, ignore_index=True)
    shown = crops.chosen(table)
    assert [id[0] for id in shown["id"]] == ["w"] * 10 + ["i"] * 30
    assert list(shown["kept"][10:]) == sorted(shown["kept"][10:])
    assert {"i1", "i99"} <= set(shown["id"])
    results = SimpleNamespace(
        tables={"train": table, "test": table.head(3)}, settings={"data": {"roi": {"method": "contour"}}}
    )
    section = crops.section(results)  # type: ignore[arg-type]
    assert section is not None
    counted, figure = section.blocks
    assert list(counted.rows[0])[:2] == ["train", "129"]  # type: ignore[union-attr]
    assert counted.rows[0][3] == "30"  # type: ignore[union-attr]
    sheet = cv2.imdecode(np.frombuffer(figure.png, np.uint8), cv2.IMREAD_COLOR_RGB)  # type: ignore[union-attr]
    cell = (crops.CELL_PX + crops.WORDS_PX + crops.GAP_PX, crops.CELL_PX + crops.GAP_PX)
    assert sheet.shape[:2] == (5 * cell[0], 8 * cell[1])
    last = sheet[4 * cell[0] :, 7 * cell[1] :][:75, :150].astype(int)
    assert last[30:50, 40:70].min() > 200, "the rectangle is drawn as bright as it can be"
    assert last[30, 73] == pytest.approx(crops.LINE), "and the line where the part ends"
    assert "data:image/jpeg;base64," in figure.svg  # type: ignore[union-attr]
    plain = SimpleNamespace(tables={"train": table.drop(columns=["roi", "roi_fallback"])}, settings={})
    assert crops.section(plain) is None  # type: ignore[arg-type]


# --- the workflow


@pytest.mark.slow
def test_a_detector_that_changes_cuts_the_images_anew_whose_boxes_changed(tmp_path: Path) -> None:
    """Boxes as another experiment writes them, in its own folder of results."""
    oof = tmp_path / "results/eyes/ensemble/oof.csv"
    oof.parent.mkdir(parents=True)
    with contextlib.chdir(tmp_path):
        write_table()
        lines = [f"i{number:02d},eye,0.9,{number % 4},2,20,15" for number in range(12)]
        oof.write_text("\n".join(["id,prediction,confidence,x1,y1,x2,y2", *lines]) + "\n")
    data = {key: value for key, value in CSV.items() if key != "test"} | {"shards": 2}
    data["roi"] = {"method": "boxes", "boxes": "results/eyes/ensemble/oof.csv", "margin": 0}
    (tmp_path / "tiny.yaml").write_text(
        yaml.safe_dump({"name": "t", "data": data, "folds": {"n_folds": 2}, "models": [MODEL]})
    )
    caches = [f"results/t/cache/12x12-squash/train-{shard}" for shard in (0, 1)]
    targets = [f"{cache}/run.json" for cache in caches]

    def run() -> list[bytes]:
        result = snakemake(tmp_path, *targets)
        assert result.returncode == 0, result.stdout + result.stderr
        return [(tmp_path / cache / "images.npy").read_bytes() for cache in caches]

    first = run()
    times = [os.stat(tmp_path / target).st_mtime_ns for target in targets]
    assert "crops: 12 of 12 train images are cropped" in (tmp_path / "results/t/logs/manifest.log").read_text()
    assert jobs_of(snakemake(tmp_path, "-n", *targets)) == {}
    oof.write_text(oof.read_text().replace("i05,eye,0.9,1,2,20,15", "i05,eye,0.9,9,2,20,15"))
    second = run()
    changed = ["i05" in (tmp_path / cache / "ids.csv").read_text() for cache in caches]
    assert sorted(changed) == [False, True]
    assert [one != other for one, other in zip(first, second, strict=True)] == changed
    later = [os.stat(tmp_path / target).st_mtime_ns for target in targets]
    assert [one != other for one, other in zip(times, later, strict=True)] == changed
