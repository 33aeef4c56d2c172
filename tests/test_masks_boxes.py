"""Masks, boxes, run lengths, their sources, and the scenes that ship with goldfold."""

import json
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from goldfold.base.errors import DataError
from goldfold.base.fingerprint import sha256_of
from goldfold.images.decode import Undecodable, resize
from goldfold.sources import coco, masks, voc
from goldfold.targets import rle
from goldfold.targets.boxes import clipped, flaws, from_text, to_text
from goldfold.targets.mask_scan import scan
from goldfold.targets.masks import decode_mask, resize_mask

pytestmark = pytest.mark.usefixtures("in_tmp")
GREY = np.full((6, 6, 3), 128, np.uint8)
MASK = np.array([[0, 1], [2, 3], [250, 7]], np.uint8)


def put(*names: str) -> None:
    """Small grey pictures."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(cv2.imencode(Path(name).suffix, GREY)[1].tobytes())


def write(name: str, content: Any) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


# --- run lengths


def test_run_lengths_go_down_the_columns_from_one() -> None:
    mask = np.array([[1, 0, 0], [1, 0, 1], [0, 1, 1]], bool)  # columns 110, 001, 011
    assert rle.encode(mask) == "1 2 6 1 8 2"
    assert np.array_equal(rle.decode("1 2 6 1 8 2", 3, 3), mask)
    assert (rle.encode(np.zeros((2, 3), bool)), rle.encode(np.ones((2, 3), bool))) == ("", "1 6")
    assert not rle.decode("", 2, 3).any()
    assert rle.decode("1 2 3 4", 2, 3).all(), "runs that touch are sound"


@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_run_lengths_round_trip(mask: np.ndarray) -> None:
    text = rle.encode(mask)
    numbers = [int(word) for word in text.split()]
    assert sum(numbers[1::2]) == mask.sum()
    assert np.array_equal(rle.decode(text, *mask.shape), mask)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3", r"^run lengths: 3 numbers, but each start needs a length\. Write 'start length"),
        ("1 2.0", r"^run lengths: '2\.0' is not a whole number\. Write 'start length"),
        ("nan", r"'nan' is not a whole number"),
        ("1 1_0", r"'1_0' is not a whole number"),
        ("1 " + "9" * 30, r"is not a whole number"),
        ("1 1 0 2", r"^run lengths: run 2 of 2, '0 2', starts before 1, the first pixel\. Runs count column by column"),
        ("3 0", r"run 1 of 1, '3 0', has no length"),
        ("3 -1", r"run 1 of 1, '3 -1', has no length"),
        ("5 3", r"run 1 of 1, '5 3', reaches beyond the 2 x 3 pixels of the image"),
        ("1 3 3 1", r"run 2 of 2, '3 1', starts before the end of the run before it"),
        ("4 1 1 2", r"run 2 of 2, '1 2', starts before the end of the run before it"),
    ],
)
def test_run_lengths_that_are_wrong_are_named(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        rle.decode(text, 2, 3)


# --- masks: decoding


@pytest.mark.parametrize(
    ("mode", "suffix", "pixels"),
    [
        ("1", ".png", MASK > 2),
        ("L", ".png", MASK),
        ("L", ".bmp", MASK),
        ("P", ".png", MASK),
        ("P", ".gif", MASK),
        ("I;16", ".png", MASK.astype(np.uint16) * 257),
        ("I;16", ".tif", MASK.astype(np.uint16) * 257),
        ("I", ".tif", MASK.astype(np.int32) * 257),
        ("LA", ".png", np.dstack([MASK, MASK * 0])),
        ("RGB", ".png", np.dstack([MASK] * 3)),
        ("RGBA", ".png", np.dstack([MASK] * 3 + [MASK // 2])),
        ("RGB", ".webp", np.dstack([MASK] * 3)),
    ],
)
def test_masks_have_the_values_of_the_file(mode: str, suffix: str, pixels: np.ndarray) -> None:
    picture = Image.fromarray(pixels if mode != "P" else MASK)
    if mode == "P":
        picture = Image.new("P", (2, 3))
        picture.putpalette([(37 * place) % 256 for place in range(768)])
        picture.putdata(MASK.ravel().tolist())
    assert picture.mode == mode
    picture.save(f"m{suffix}", **{".webp": {"lossless": True}, ".gif": {"optimize": False}}.get(suffix, {}))
    values = pixels if pixels.ndim == 2 else pixels[..., 0]
    mask = decode_mask(f"m{suffix}")
    assert np.array_equal(mask, values)
    assert mask.dtype == (np.uint16 if mode[0] == "I" else np.uint8)


def png(depth: int, kind: int, row: bytes, width: int) -> bytes:
    """A PNG of one row, packed as Pillow does not write it."""
    parts = (b"IHDR", struct.pack(">IIBBBBB", width, 1, depth, kind, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" + row))
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in (*parts, (b"IEND", b""))
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def test_masks_of_two_and_four_bits_are_not_spread_over_256_levels() -> None:
    Path("2.png").write_bytes(png(2, 0, bytes([0b00011011]), 4))
    Path("4.png").write_bytes(png(4, 0, bytes([0x01, 0x2F]), 4))
    assert decode_mask("2.png").tolist() == [[0, 1, 2, 3]]
    assert decode_mask("4.png").tolist() == [[0, 1, 2, 15]]


def test_a_mask_is_turned_upright_by_its_exif_entry() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: the picture's right edge is its top
    Image.fromarray(MASK).save("m.png", exif=exif)
    assert np.array_equal(decode_mask("m.png"), np.rot90(MASK, -1))


def test_files_that_are_no_masks_are_named_with_the_reason() -> None:
    Image.fromarray(MASK.astype(np.int32) - 1).save("negative.tif")
    Image.fromarray(MASK.astype(np.int32) * 1000).save("large.tif")
    Image.fromarray(MASK.astype(np.float32)).save("float.tif")
    pages = [Image.fromarray(MASK + step) for step in range(2)]
    pages[0].save("pages.tif", save_all=True, append_images=pages[1:])
    Path("deep.png").write_bytes(png(16, 2, bytes(12), 2))
    Path("empty.png").write_bytes(b"")
    Path("text.png").write_bytes(b"no image")
    for name, reason in {
        "deep.png": "a 16-bit image with colour or alpha, single-channel masks are needed",
        "negative.tif": "holds the value -1, masks go from 0 to 65535",
        "large.tif": "holds the value 250000, masks go from 0 to 65535",
        "float.tif": "an image of mode F, single-channel masks of whole numbers are needed",
        "pages.tif": "holds 2 images, a mask is one",
        "empty.png": "file is empty",
        "text.png": "cannot be decoded as an image",
    }.items():
        with pytest.raises(Undecodable) as error:
            decode_mask(name)
        assert str(error.value) == reason


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_a_mask_file_cut_off_anywhere_is_refused(suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 5, (20, 20)).astype(np.uint8)
    Image.fromarray(noise).save(f"m{suffix}")
    whole = Path(f"m{suffix}").read_bytes()
    end = len(whole) - (4 if suffix == ".png" else 2)  # the check sum of PNG's end marker, JPEG's end marker: no pixels
    for length in range(0, end, 7):
        Path("cut" + suffix).write_bytes(whole[:length])
        with pytest.raises(Undecodable):
            decode_mask("cut" + suffix)


# --- masks: resizing and scanning


@pytest.mark.parametrize("mode", ["squash", "pad", "crop"])
@pytest.mark.parametrize("size", [(97, 120), (20, 25), (20, 90), (60, 40), (41, 60)])
def test_a_resized_mask_lies_where_the_resized_image_lies(size: tuple[int, int], mode: str) -> None:
    wide = np.ones((3, 3), np.uint8)
    for top, bottom, left, right in ((0, 20, 0, 30), (11, 33, 14, 41), (25, 41, 33, 60), (0, 41, 20, 32)):
        image = np.zeros((41, 60, 1), np.uint8)
        image[top:bottom, left:right] = 255
        mask = resize_mask(image[..., 0] // 255 * np.uint8(7), size, mode)
        bright = (resize(image, size, mode)[..., 0] >= 128).astype(np.uint8)
        assert mask.shape == size
        assert set(np.unique(mask)) <= {0, 7}
        assert bright.any()
        assert ((mask > 0) <= cv2.dilate(bright, wide)).all()
        assert (bright <= cv2.dilate((mask > 0).astype(np.uint8), wide)).all()


def test_a_resized_mask_keeps_16_bits_and_fills_its_frame() -> None:
    mask = np.array([[1, 60000], [2, 3]], np.uint16)
    assert resize_mask(mask, (2, 4), "pad", fill=255).tolist() == [[255, 1, 60000, 255], [255, 2, 3, 255]]
    assert np.array_equal(resize_mask(mask, (4, 4), "squash"), mask.repeat(2, 0).repeat(2, 1))


def test_scan_tells_what_each_mask_holds_or_why_it_cannot_be_used() -> None:
    Image.fromarray(np.array([[0, 0, 500]], np.uint16)).save("deep.png")
    Image.fromarray(np.zeros((2, 3), np.uint8)).save("none.png")
    Path("broken.png").write_bytes(b"no image")
    table = scan(["none.png", "deep.png", "broken.png", "absent.png", "none.png"], workers=1)
    assert list(table.columns) == ["path", "sha256", "height", "width", "values", "reason"]
    rows = table.drop(columns="sha256").set_index("path").T.to_dict("list")
    assert rows == {
        "absent.png": [0, 0, "{}", "file is missing"],
        "broken.png": [0, 0, "{}", "cannot be decoded as an image"],
        "deep.png": [1, 3, '{"0":2,"500":1}', ""],
        "none.png": [2, 3, '{"0":6}', ""],
    }
    digests = dict(zip(table["path"], table["sha256"], strict=True))
    assert digests == {name: sha256_of(name) if name != "absent.png" else "" for name in rows}
    assert len(scan([], workers=1)) == 0


# --- boxes


def test_boxes_are_written_as_short_as_they_can_be() -> None:
    text = to_text(["RBC", 'a "é"'], np.array([[1, 2.0, 3.5, 4], [0.1, -0.0, math.nan, 1e-3]]))
    assert text == '[["RBC",1,2,3.5,4],["a \\"é\\"",0.1,0,NaN,0.001]]'
    assert to_text([], np.zeros((0, 4))) == "[]"
    labels, boxes = from_text("[]")
    assert (labels, boxes.shape, boxes.dtype) == ([], (0, 4), np.float64)


@given(st.lists(st.tuples(st.text(), st.lists(st.floats(), min_size=4, max_size=4))))
def test_boxes_survive_as_text(rows: list[tuple[str, list[float]]]) -> None:
    labels, boxes = [row[0] for row in rows], np.array([row[1] for row in rows]).reshape(-1, 4)
    read_labels, read_boxes = from_text(to_text(labels, boxes))
    assert read_labels == labels
    np.testing.assert_array_equal(read_boxes, boxes)


@pytest.mark.parametrize("text", ["", "{}", "[[1,2,3,4]]", '[["a",1,2,3]]', '[["a",1,2,3,true]]', '[["a",1,2,3,"4"]]'])
def test_text_that_is_no_boxes_is_refused(text: str) -> None:
    with pytest.raises(
        DataError, match=r'^boxes: .* is not a list of boxes\. Write \[\["label",x1,y1,x2,y2\],\.\.\.\]'
    ):
        from_text(text)


@pytest.mark.parametrize(
    ("box", "flaw"),
    [
        ((0, 0, 10, 8), None),
        ((-1, -1, 11, 9), None),
        ((math.nan, 5, 1, 1), "has a coordinate that is not a number"),
        ((0, 0, math.inf, 1), "has a coordinate that is not a number"),
        ((3, 0, 1, 1), "is reversed"),
        ((3, 3, 3, 1), "is reversed"),
        ((20, 3, 20, 5), "has no area"),
        ((10, 0, 12, 3), "lies outside the image"),
        ((0, -5, 3, 0), "lies outside the image"),
        ((0, 0, 11.5, 3), "reaches outside the image"),
        ((0, -1.5, 3, 3), "reaches outside the image"),
    ],
)
def test_the_worst_flaw_of_a_box_is_named(box: tuple[float, ...], flaw: str | None) -> None:
    assert flaws(np.array([(1, 1, 2, 2), box]), width=10, height=8) == [None, flaw]


def test_boxes_are_cut_at_the_border() -> None:
    assert flaws(np.zeros((0, 4)), 10, 8) == []
    assert clipped(np.array([[-1, 2, 11, 9.0]]), width=10, height=8).tolist() == [[0, 2, 10, 8]]


# --- source: masks


def test_masks_are_found_by_the_name_of_their_image() -> None:
    put("raw/a/1.jpg", "raw/b/1.png", "raw/b/2.png", "m/a/1_seg.png", "m/b/2_seg.bmp", "m/b/2_other.png")
    put("new/x.png", "truth/x_seg.png", "pool/u.png")
    write("groups.csv", "id,group\na/1,g\nb/1,g\nb/2,h\nx,other\n")
    tables = masks.read("raw", "m", "_seg", "new", "truth", "pool", "groups.csv")
    train = tables["train"].astype(object).where(tables["train"].notna(), None)
    assert train.to_dict("records") == [
        {"id": "a/1", "path": "raw/a/1.jpg", "mask": "m/a/1_seg.png", "group": "g"},
        {"id": "b/1", "path": "raw/b/1.png", "mask": None, "group": "g"},
        {"id": "b/2", "path": "raw/b/2.png", "mask": "m/b/2_seg.bmp", "group": "h"},
    ]
    assert tables["test"].to_dict("records") == [{"id": "x", "path": "new/x.png"}]
    assert tables["answers"].to_dict("records") == [{"id": "x", "mask": "truth/x_seg.png"}]
    assert tables["unlabeled"].to_dict("records") == [{"id": "u", "path": "pool/u.png"}]


def test_masks_may_lie_among_the_images_or_below_them() -> None:
    put("all/1.png", "all/1_m.png", "deep/1.png", "deep/masks/1.png", "flat/1.png", "flat/images/1.png")
    for train, folder, suffix, mask in (
        ("all", "all", "_m", "all/1_m.png"),
        ("deep", "deep/masks", "", "deep/masks/1.png"),
        ("flat/images", "flat", "", "flat/1.png"),
    ):
        rows = masks.read(train, folder, suffix)["train"].to_dict("records")
        assert rows == [{"id": "1", "path": f"{train}/1.png", "mask": mask}]


@pytest.mark.parametrize(
    ("names", "settings", "message"),
    [
        (
            ["m/1.png", "m/8.png", "m/9.png"],
            {},
            r"^data\.masks: 2 masks have no image below raw, first m/8\.png\. Add the images, remove the masks, or",
        ),
        (["m/1.png", "m/1.bmp"], {}, r"^data\.masks: image '1' has two masks, m/1\.bmp and m/1\.png\. Remove one\."),
        (["m/1.png"], {"mask_suffix": "_x"}, r"^data\.masks: no name below m ends in '_x'\. Correct data\.mask_suffix"),
        (
            ["m/1.txt.png"],
            {"masks": "raw"},
            r"^data\.masks is the folder of data\.train, raw, so the masks are unclear",
        ),
        ([], {}, r"^data\.masks: m is not a folder"),
        (
            ["m/1.png"],
            {"test_answers": "m"},
            r"^data\.test_answers is set, but there are no test images: set data\.test",
        ),
        (
            ["m/1.png", "new/1.png", "new/2.png"],
            {"test": "new", "test_answers": "m"},
            r"^data\.test_answers: 1 of 2 test images have no mask, first '2'\. Add them, or remove data\.test_answers",
        ),
        (
            ["m/1.png", "new/2.png"],
            {"test": "new", "test_answers": "m"},
            r"^data\.test_answers: 1 masks have no image below new, first m/1\.png",
        ),
    ],
)
def test_masks_that_do_not_fit_the_images_are_refused(names: list[str], settings: dict[str, str], message: str) -> None:
    put("raw/1.png", *names)
    with pytest.raises(DataError, match=message):
        masks.read(**{"train": "raw", "masks": "m", **settings})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,group\n2,g\n", r"^groups\.csv: 1 of 1 training images have no group, first '1'\. Add them"),
        ("id,group\n1,\n", r"1 of 1 training images have no group"),
        ("id,group\n1,g\n1,h\n", r"^groups\.csv: 1 duplicate ids, first '1'\. Give every image one row"),
        ("id,patient\n1,g\n", r"^groups\.csv has no column 'group': .*it has: id, patient\. Set a column named group"),
    ],
)
def test_groups_that_do_not_cover_the_images_are_refused(text: str, message: str) -> None:
    put("raw/1.png", "m/1.png")
    with pytest.raises(DataError, match=message):
        masks.read("raw", "m", groups=write("groups.csv", text))


# --- source: coco


def coco_file(**changes: Any) -> dict[str, Any]:
    """Two images, two boxes on the first."""
    return {
        "images": [{"id": 7, "file_name": "a/1.jpg"}, {"id": 9, "file_name": "2.png", "width": 6, "height": 6}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4.5]},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, -2, 4], "iscrowd": 0},
            {"id": 3, "image_id": 7, "category_id": 1, "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        **changes,
    }


def test_coco_boxes_become_corners(capsys: pytest.CaptureFixture[str]) -> None:
    put("raw/a/1.jpg", "raw/2.png", "pool/u.png")
    write("train.json", "\ufeff" + json.dumps(coco_file()))
    write("test.json", {"images": [{"id": "t", "file_name": ".\\x\\3.png"}, {"id": 4, "file_name": "x/4.png"}]})
    answers = coco_file(
        images=[{"id": 4, "file_name": "x/4.jpg"}, {"id": 5, "file_name": "x/3.jpg"}],
        annotations=[{"image_id": 4, "category_id": 1, "bbox": [0, 0, math.nan, 1]}],
    )
    write("groups.csv", "id,group\na/1,g\n2,h\n")
    tables = coco.read("train.json", "raw", "test.json", None, write("truth.json", answers), "pool", "groups.csv")
    assert tables["train"].to_dict("records") == [
        {
            "id": "a/1",
            "path": "raw/a/1.jpg",
            "coco_id": "7",
            "boxes": '[["dog",1,2,4,6.5],["cat",0,0,-2,4]]',
            "group": "g",
        },
        {"id": "2", "path": "raw/2.png", "coco_id": "9", "boxes": "[]", "group": "h"},
    ]
    assert (
        capsys.readouterr().out == "train.json: 1 crowd annotations (iscrowd) are left out; 0 images have no others\n"
    )
    assert tables["test"].to_dict("records") == [
        {"id": "x/3", "path": "raw/x/3.png", "coco_id": "t"},
        {"id": "x/4", "path": "raw/x/4.png", "coco_id": "4"},
    ]
    assert tables["answers"].to_dict("records") == [
        {"id": "x/3", "boxes": "[]"},
        {"id": "x/4", "boxes": '[["cat",0,0,NaN,1]]'},
    ]
    assert list(tables["unlabeled"]["id"]) == ["u"]


def test_an_image_of_crowds_alone_is_no_negative(capsys: pytest.CaptureFixture[str]) -> None:
    notes = [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 4, 4], "iscrowd": 1}] * 2
    table = coco.read(write("train.json", coco_file(annotations=notes)), "raw")["train"]
    assert table["boxes"].isna().tolist() == [True, False], "the other one has no objects at all"
    assert table["boxes"][1] == "[]"
    assert "2 crowd annotations (iscrowd) are left out; 1 images have no others" in capsys.readouterr().out


def test_coco_without_a_test_list_takes_all_images_of_the_folder() -> None:
    put("new/b.png", "new/a.png")
    table = coco.read(write("train.json", coco_file()), "raw", test_images="new")["test"]
    assert table.to_dict("records") == [{"id": "a", "path": "new/a.png"}, {"id": "b", "path": "new/b.png"}]


def one(**changes: Any) -> dict[str, Any]:
    """A COCO file whose only annotation has these changes."""
    entry = {"id": 5, "image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1], **changes}
    return coco_file(annotations=[{key: value for key, value in entry.items() if value is not None}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{,}", r"^data\.train: train\.json is not JSON: .*\. A COCO file is needed\."),
        ([], r"^data\.train: train\.json has no key 'images'; a COCO file has images, annotations, categories\."),
        ({"images": []}, r"has no key 'annotations'"),
        ({"images": [], "annotations": []}, r"has no key 'categories'"),
        (coco_file(images=[]), r"^train\.json lists no images"),
        (coco_file(images={"a": 1}), r"^data\.train: train\.json: 'images' is not a list of objects"),
        (coco_file(images=[3]), r"'images' is not a list of objects"),
        (
            coco_file(images=[{"id": 1}]),
            r"^train\.json: entry 1 of 'images' has the file_name None\. Give it one\.",
        ),
        (coco_file(images=[{"file_name": "a"}]), r"entry 1 of 'images' has the id None\. Give it one\."),
        (
            coco_file(images=[{"id": 1, "file_name": "a.png"}, {"id": 1, "file_name": "b.png"}]),
            r"^train\.json: two entries of 'images' have the id 1\. Give each its own\.",
        ),
        (
            coco_file(images=[{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "./a.png"}]),
            r"two entries of 'images' have the file_name 'a\.png'",
        ),
        (
            coco_file(categories=[{"id": 1, "name": "cat"}, {"id": 2, "name": "cat"}]),
            r"two entries of 'categories' have the name 'cat'",
        ),
        (coco_file(categories=[{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]), r"'categories' have the id 1"),
        (
            one(image_id=8),
            r"^train\.json: annotation 5 has the image_id 8, which is not in 'images'\. Correct or remove",
        ),
        (one(category_id=8), r"annotation 5 has the category_id 8, which is not in 'categories'"),
        (one(category_id=[1]), r"annotation 5 has the category_id \[1\], which is not in 'categories'"),
        (one(image_id=None, id=None), r"annotation number 1 has the image_id None"),
        (one(bbox=None), r"annotation 5 has the bbox None\. Write four numbers, \[x, y, width, height\]\."),
        (one(bbox=[1, 2, 3]), r"has the bbox \[1, 2, 3\]"),
        (one(bbox=[1, 2, 3, "4"]), r"has the bbox \[1, 2, 3, '4'\]"),
    ],
)
def test_coco_files_that_contradict_themselves_are_refused(content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        coco.read(write("train.json", content), "raw")


def test_coco_files_that_contradict_each_other_are_refused() -> None:
    train, both = write("train.json", coco_file()), write("both.json", {"images": [{"id": 3, "file_name": "2.png"}]})
    with pytest.raises(DataError, match=r"^data\.train: cannot read no\.json: .*\. Correct the path\."):
        coco.read("no.json", "raw")
    with pytest.raises(
        DataError, match=r"^data\.test: 1 images of both\.json are in train\.json too, first raw/2\.png"
    ):
        coco.read(train, "raw", both)
    with pytest.raises(DataError, match=r"^data\.test_answers is set, but there are no test images"):
        coco.read(train, "raw", test_answers=train)
    message = r"^data\.test_answers: train\.json: 1 images in it are not among the test images, first 'a/1'\. Both must"
    with pytest.raises(DataError, match=message):
        coco.read(train, "raw", both, "new", train)
    three = write("three.json", {"images": [{"id": name, "file_name": f"{name}.png"} for name in ("2", "3", "a/1")]})
    with pytest.raises(DataError, match=r"train\.json: 1 test images are missing in it, first '3'"):
        coco.read(train, "raw", three, "new", train)


# --- source: voc

BOX = "<bndbox><ymin>2</ymin><xmin>1</xmin><xmax>4.5</xmax><ymax>6</ymax></bndbox>"


def voc_file(name: str, *objects: str) -> str:
    things = "".join(f"<object>{text}</object>" for text in objects)
    return write(name, f"<annotation><filename>other.jpg</filename>{things}</annotation>")


def test_voc_files_are_matched_by_name() -> None:
    put("jpg/1.jpg", "jpg/2.png", "jpg/3.jpg", "jpg/4.jpg")
    part = "<part><name>head</name><bndbox/></part>"
    voc_file("xml/1.xml", f"<name>dog</name>{part}{BOX}", f"<name> cat </name>{BOX}")
    voc_file("xml/2.xml")
    voc_file("truth/4.xml", f"<name>dog</name>{BOX.replace('6', 'nan')}")
    write("train.txt", "1\n\n2\n"), write("val.txt", "3\n5\n"), write("test.txt", "4.jpg\n")
    write("groups.csv", "id,group\n1,g\n2,g\n3,h\n5,h\n")
    settings = {"test": "test.txt", "test_answers": "truth", "groups": "groups.csv", "unlabeled": "jpg"}
    tables = voc.read("xml", "jpg", ["train.txt", "val.txt"], **settings)
    train = tables["train"].astype(object).where(tables["train"].notna(), None)
    assert train.to_dict("records") == [
        {"id": "1", "path": "jpg/1.jpg", "boxes": '[["dog",1,2,4.5,6],["cat",1,2,4.5,6]]', "group": "g"},
        {"id": "2", "path": "jpg/2.png", "boxes": "[]", "group": "g"},
        {"id": "3", "path": "jpg/3.jpg", "boxes": None, "group": "h"},
        {"id": "5", "path": "jpg/5.*", "boxes": None, "group": "h"},
    ]
    assert tables["test"].to_dict("records") == [{"id": "4", "path": "jpg/4.jpg"}]
    assert tables["answers"].to_dict("records") == [{"id": "4", "boxes": '[["dog",1,2,4.5,NaN]]'}]
    assert len(tables["unlabeled"]) == 4


def test_voc_without_a_list_takes_all_files_that_are_not_of_the_test_set_and_may_count_from_one() -> None:
    put("jpg/1.jpg", "jpg/2.jpg")
    for name in ("1", "2", "._1"):
        voc_file(f"xml/{name}.xml", f"<name>dog</name>{BOX}")
    table = voc.read("xml", "jpg", test=write("test.txt", "2"), one_based=True)["train"]
    assert table.to_dict("records") == [{"id": "1", "path": "jpg/1.jpg", "boxes": '[["dog",0,1,4.5,6]]'}]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ([BOX], r"^xml/1\.xml: object 1 has no <name>\. Correct the file\."),
        ([f"<name>dog</name>{BOX}", f"<name> </name>{BOX}"], r"^xml/1\.xml: object 2 has no <name>"),
        (["<name>dog</name>"], r"^xml/1\.xml: object 1 \(dog\) has no <bndbox>\. Correct the file\."),
        (
            [f"<name>dog</name>{BOX.replace('4.5', 'wide')}"],
            r"^xml/1\.xml: object 1 \(dog\) has the <xmax> 'wide', not a",
        ),
        ([f"<name>dog</name>{BOX.replace('xmin', 'left')}"], r"has the <xmin> None, not a number"),
        (["<name>dog"], r"^xml/1\.xml is not XML: mismatched tag.*\. Restore the file, or remove it\."),
    ],
)
def test_voc_files_that_are_broken_are_named(objects: list[str], message: str) -> None:
    put("jpg/1.jpg")
    voc_file("xml/1.xml", *objects)
    with pytest.raises(DataError, match=message):
        voc.read("xml", "jpg")


def test_voc_lists_that_do_not_fit_are_refused() -> None:
    put("jpg/1.jpg", "jpg/2.jpg")
    voc_file("xml/1.xml"), write("one.txt", "1\n"), write("two.txt", "1\n2\n"), write("empty.txt", "\n")
    write("html/1.xml", "<html/>")
    for settings, message in (
        ({"annotations": "no"}, r"^data\.annotations: no is not a folder\. Correct the path\."),
        ({"annotations": "jpg"}, r"^data\.annotations: no \.xml below jpg that is not in data\.test"),
        ({"annotations": "html"}, r"^html/1\.xml holds <html>, not the <annotation> of Pascal VOC"),
        ({"train": "no.txt"}, r"^data\.train: cannot read no\.txt: .*\. Name a text file with one image name per line"),
        ({"train": "empty.txt"}, r"^data\.train: empty\.txt names no images\. Write one image name per line"),
        (
            {"train": "two.txt", "test": "one.txt"},
            r"^data\.train: 1 names are in data\.test too, first '1'\. Keep each",
        ),
        ({"test_answers": "xml"}, r"^data\.test_answers is set, but there are no test images"),
        (
            {"train": "one.txt", "test": write("2.txt", "2"), "test_answers": "xml"},
            r"^data\.test_answers: 1 of 1 test images have no \.xml below xml, first '2'\. Add them, or remove",
        ),
    ):
        with pytest.raises(DataError, match=message):
            voc.read(**{"annotations": "xml", "images": "jpg", **settings})
