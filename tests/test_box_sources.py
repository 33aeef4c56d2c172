"""Sources of boxes on what tools write: ids, names, sizes, EXIF, forms of boxes, repeated boxes, several files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conftest import NETS
from goldfold.audit.doubts.boxes import about_rare_boxes, about_repeated
from goldfold.base.errors import ConfigError, DataError
from goldfold.config import parse, slices
from goldfold.images.decode import decode
from goldfold.sources import coco, declared, voc
from goldfold.sources.coco_ids import Ambiguous, Ids, as_text
from goldfold.sources.located import located
from goldfold.splits.splitting import split
from goldfold.stages import manifest
from goldfold.targets.box_forms import CENTRE, CORNERS, TOP_LEFT, refuse_other_form
from goldfold.targets.boxes import check, repeated

pytestmark = pytest.mark.usefixtures("in_tmp")
KINDS = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
NAN = float("nan")


def put(*names: str, size: tuple[int, int] = (40, 30), mark: int = 0) -> None:
    """Pictures of a width and height, as they are stored, each its own, with an EXIF orientation."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(sum(name.encode())).integers(0, 255, (size[1], size[0], 3), np.uint8)
        exif = Image.Exif()
        if mark:
            exif[declared.ORIENTATION] = mark
        Image.fromarray(noise).save(name, exif=exif)


def write(name: str, content: Any) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


def boxed(
    name: str = "a.json", images: Any = None, notes: Any = None, kinds: Any = None, size: Any = (40, 30), n: int = 4
) -> str:
    """A COCO file of the images 0.png, ..., with a box each."""
    sides = {} if size is None else {"width": size[0], "height": size[1]}
    listed = images or [{"id": number, "file_name": f"{number}.png", **sides} for number in range(n)]
    boxes = [{"image_id": entry["id"], "category_id": 1, "bbox": [1, 2, 10, 20]} for entry in listed]
    return write(name, {"images": listed, "annotations": notes or boxes, "categories": kinds or KINDS})


def made(data: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Training table, quarantine and doubts of the manifest stage."""
    data = {"duplicates": "ignore", **data}
    config = parse({"name": "t", "task": "detection", "data": data, "models": [{"name": "net", **NETS["detection"]}]})
    found = manifest.run(folder="out", workers=1, **slices.manifest(config))
    return *(
        pd.read_csv(f"out/{name}.csv", dtype=str, keep_default_na=False) for name in ("train", "quarantine")
    ), found


COCO = {"source": "coco", "train": "a.json", "images": "i"}


# --- ids


def test_ids_are_one_as_number_text_and_float() -> None:
    assert [as_text(value) for value in (7, "7", " 7 ", 7.0, "x", 2**60, "007")] == [
        "7",
        "7",
        "7",
        "7",
        "x",
        str(2**60),
        "007",
    ]
    assert [as_text(value) for value in (None, True, 7.5, NAN, float(2**60), [7], "", {})] == [None] * 8


@pytest.mark.parametrize(
    ("known", "value", "found"),
    [
        (["7", "x"], 7, "7"), ([7], "7", "7"), ([7], 7.0, "7"), ([7.0], "7", "7"), ([7], "7.0", "7"), (["007"], 7, "007"),
        (["007", "7"], "7", "7"), (["007", "7"], "007", "007"), (["x"], "x", "x"), (["x"], "y", None), ([7], 8, None),
        ([7], None, None), ([7], 7.5, None), ([2**60], float(2**60), None),
    ],
)  # fmt: skip
def test_an_id_is_found_where_one_alone_can_be_meant(known: list[Any], value: Any, found: str | None) -> None:
    assert Ids(known).find(value) == found


def test_an_id_that_may_be_several_is_named() -> None:
    with pytest.raises(Ambiguous):
        Ids(["7", "007"]).find(7)
    images = [{"id": id, "file_name": f"{id}.png"} for id in ("7", "007")]
    boxed(images=images, notes=[{"id": 3, "image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]}])
    with pytest.raises(
        DataError, match=r"^a\.json: annotation 3 has the image_id 7, which may be any of '7', '007' in 'images"
    ):
        coco.read("a.json", "i")


def test_coco_with_ids_of_mixed_types_is_read() -> None:
    images = [{"id": "1", "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}, {"id": 3.0, "file_name": "c.png"}]
    notes = [
        {"image_id": id, "category_id": kind, "bbox": [0, 0, 1, 1]} for id, kind in ((1, "1"), ("2", 2), ("3", 2.0))
    ]
    found = coco.read(boxed(images=images, notes=notes), "i")
    assert [json.loads(text)[0][0] for text in found["train"]["boxes"]] == ["cat", "dog", "dog"]
    assert found["train"]["coco_id"].tolist() == ['"1"', "2", "3"], (
        "text that looks like a number stays text in submissions"
    )
    with pytest.raises(DataError, match=r"two entries of 'images' have the id '1'\. Give each its own"):
        coco.read(boxed(images=[{"id": 1, "file_name": "a.png"}, {"id": "1", "file_name": "b.png"}]), "i")


# --- names


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("sub\\my pic.png", "sub/my pic.png"), ("./sub/my%20pic.png", "sub/my pic.png"), ("sub%2Fmy%20pic.png", "sub/my pic.png"),
        ("/home/ann/i/sub/my pic.png", "sub/my pic.png"), ("C:\\data\\sub\\my pic.png", "sub/my pic.png"),
        ("https://host/sub/my%20pic.png", "sub/my pic.png"), ("file:///x/sub/my pic.png", "sub/my pic.png"),
        ("i/sub/my pic.png", "sub/my pic.png"), ("SUB/My Pic.PNG", "sub/my pic.png"), ("sub/my pic", "sub/my pic.png"),
        ("cafe\u0301.png", "caf\u00e9.png"), ("50%25.png", "50%25.png"),
    ],
)  # fmt: skip
def test_a_name_means_the_file_whatever_machine_wrote_it(name: str, file: str) -> None:
    put("i/sub/my pic.png", "i/caf\u00e9.png", "i/50%25.png", "i/50%.png")
    assert located([name], "i", "a.json") == [file]
    boxed(images=[{"id": 1, "file_name": name}])
    assert coco.read("a.json", "i")["train"][["id", "path"]].to_numpy().tolist() == [[file[:-4], f"i/{file}"]]


def test_a_missing_file_is_not_taken_for_another() -> None:
    put("i/1.png", "i/a/2.png")
    assert located(["a/2.png", "b/1.png"], "i", "a.json") == ["a/2.png", "b/1.png"]
    assert located(["/x/a/2.png", "/x/3.png"], "i", "a.json") == ["a/2.png", "3.png"]
    put("i/A.png", "i/a.png")
    assert located(["A.png", "a.png"], "i", "a.json") == ["A.png", "a.png"]
    for name in ("/x/3.png", "../1.png", "%2e%2e/x.png/../../1.png"):
        with pytest.raises(DataError, match="leads out of the folder"):
            located([name], "i", "a.json")


# --- several files


def test_coco_files_with_their_folders_are_one_training_set() -> None:
    for part in ("train", "valid", "test"):
        put(*(f"rf/{part}/{number}.png" for number in range(4)))
        boxed(f"rf/{part}/_annotations.coco.json")
    names = [f"rf/{part}/_annotations.coco.json" for part in ("train", "valid")]
    test = "rf/test/_annotations.coco.json"
    for images in ({}, {"images": ["rf/train", "rf/valid"]}):
        table, _, _ = made({"source": "coco", "train": names, **images, "test": test, "test_answers": test})
        assert table["id"].tolist() == [f"{part}/{number}" for part in ("train", "valid") for number in range(4)]
        assert table["path"].iloc[-1] == "rf/valid/3.png"
        assert set(table["boxes"]) == {'[["cat",1,2,11,22]]'}
        assert pd.read_csv("out/answers.csv")["path"].tolist() == [f"rf/test/{number}.png" for number in range(4)]
    assert made({"source": "coco", "train": names[0]})[0]["id"].tolist() == ["0", "1", "2", "3"], (
        "one file: names alone"
    )


def test_coco_files_that_do_not_go_together_are_refused() -> None:
    put("i/0.png")
    boxed(), boxed("b.json", images=[{"id": 9, "file_name": "3.png"}, {"id": 8, "file_name": "7.png"}])
    with pytest.raises(
        DataError, match=r"^data\.train: 1 image in two of a\.json, b\.json, first i/3\.png\. Keep each in one"
    ):
        coco.read(["a.json", "b.json"], "i")
    with pytest.raises(DataError, match=r"^data\.train names a\.json twice"):
        coco.read(["a.json", "a.json"], "i")
    with pytest.raises(ConfigError, match=r"images has 1 folders and train 2 files: name one per file, or one for all"):
        made({"source": "coco", "train": ["a.json", "b.json"], "images": ["i"]})


def test_categories_are_joined_by_name_over_files() -> None:
    boxed("x/a.json"), boxed("y/b.json", kinds=[{"id": 1, "name": "dog"}, {"id": 5, "name": "bird"}])
    found = coco.read(["x/a.json", "y/b.json"])
    assert [json.loads(text)[0][0] for text in found["train"]["boxes"]] == ["cat"] * 4 + ["dog"] * 4
    assert found["categories"].to_numpy().tolist() == [["cat", 1], ["dog", 2], ["bird", 5]]
    assert found["notes"]["note"].tolist() == [
        "y/b.json: category 'dog' has the id 1, and 2 in x/a.json: joined by name, and submission.json has 2"
    ]


def test_a_supercategory_without_boxes_is_dropped_with_a_note() -> None:
    kinds = [
        {"id": 0, "name": "cat", "supercategory": "none"}, {"id": 1, "name": "cat", "supercategory": "cat"},
        {"id": 2, "name": "dog", "supercategory": "cat"},
    ]  # fmt: skip
    found = coco.read(boxed(kinds=kinds), "i")
    assert found["categories"].to_numpy().tolist() == [["cat", 1], ["dog", 2]]
    assert found["notes"]["note"].tolist() == [
        "a.json: 1 category without a box, first 'cat' (id 0), is the supercategory of others: not a class"
    ]
    with_box = [
        {"image_id": 0, "category_id": 0, "bbox": [0, 0, 1, 1]},
        {"image_id": 0, "category_id": 1, "bbox": [0, 0, 1, 1]},
    ]
    with pytest.raises(DataError, match=r"two entries of 'categories' have the name 'cat'"):
        coco.read(boxed(kinds=kinds, notes=with_box), "i")
    alone = [{"id": 1, "name": "cat", "supercategory": "cat"}, {"id": 2, "name": "dog", "supercategory": "pet"}]
    assert "notes" not in coco.read(boxed(kinds=alone), "i"), "none of them gathers another"


# --- sizes


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            [(80, 60)] * 3,
            "All differ by the factor 0.5: the images were resized without their boxes. Multiply boxes, width",
        ),
        ([(20, 10)] * 3, "All differ by the factors 2 in width and 3 in height: the images were resized"),
        (
            [(100, 60), (80, 99)],
            "All differ by different factors, and are all 40 x 30 pixels: the images were resized",
        ),
        (
            [(30, 40)] * 3,
            "Width and height are swapped in all of them: correct them if the boxes fit the images; if",
        ),
        ([(79, 61)], "It differs by the factor 0.5: the images"),
        (
            [(15, 20)] * 3,
            "Width and height are swapped and the images 2 times as large: they were rotated, as by EXIF",
        ),
        (
            [(55, 60)],
            "Correct width and height if the boxes fit the image (write 0 for an unknown size), or use",
        ),
    ],
)
def test_sizes_that_differ_are_said_with_what_they_have_in_common(said: list[tuple[int, int]], words: str) -> None:
    found = declared.in_words(np.array(said, dtype=float), np.array([(40, 30)] * len(said)))
    assert found.startswith(words)


def test_images_resized_without_their_boxes_are_refused() -> None:
    put(*(f"i/{number}.png" for number in range(4)))
    boxed(size=(80, 60))
    with pytest.raises(DataError) as error:
        made(COCO)
    assert str(error.value).startswith(
        "train: 4 of 4 images differ from the width and height in their annotations, first '0' (i/0.png: 40 x 30 pixels, "
        "annotated as 80 x 60). All differ by the factor 0.5:"
    )
    assert "quarantine" not in str(error.value)
    for policy in ("drop", "quarantine"):
        with pytest.raises(DataError, match="4 of 4 images differ"):
            made({**COCO, "on_bad_label": policy})
    boxed(size=(80, 60), name="t.json")
    boxed(size=(41, 29), images=[{"id": 0, "file_name": "5.png", "width": 41, "height": 29}])
    put("i/5.png")
    with pytest.raises(DataError, match=r"^test: 4 of 4 images differ"):
        made({**COCO, "test": "t.json"})
    assert len(made(COCO)[0]) == 1, "a pixel is rounding"


@pytest.mark.parametrize(
    "size", [None, (0, 0), (None, 30), ("", ""), (-1, 5), ("wide", 3), (NAN, 3), ("40", "30"), (40.0, 30)]
)
def test_a_size_that_is_not_said_is_not_compared(size: Any) -> None:
    put(*(f"i/{number}.png" for number in range(4)))
    boxed(size=size)
    assert len(made(COCO)[0]) == 4


def test_single_images_of_another_size_follow_the_policy() -> None:
    put(*(f"i/{number}.png" for number in range(4)))
    sides = [(40, 30), (40, 30), (40, 30), (90, 30)]
    images = [{"id": n, "file_name": f"{n}.png", "width": w, "height": h} for n, (w, h) in enumerate(sides)]
    boxed(images=images)
    with pytest.raises(
        DataError,
        match=r"1 of 4 images differs from the width and height in its annotation, first '3' .* or use the images that the "
        r"boxes were drawn on\. Or set data\.on_bad_label: quarantine, which leaves it out\.$",
    ):
        made(COCO)
    table, lost, _ = made({**COCO, "on_bad_label": "quarantine"})
    assert table["id"].tolist() == ["0", "1", "2"]
    assert lost[["id", "reason"]].to_numpy().tolist() == [
        ["3", "differs from the size in its annotation, 90 x 30 pixels"]
    ]


@pytest.mark.parametrize("mark", range(1, 9))
def test_boxes_turn_as_pictures_do(mark: int) -> None:
    stored = np.zeros((30, 40, 3), np.uint8)
    stored[4:9, 20:38] = 255
    exif = Image.Exif()
    exif[declared.ORIENTATION] = mark
    Image.fromarray(stored).save("x.png", exif=exif)
    upright = decode("x.png", 1)[..., 0]
    x1, y1, x2, y2 = declared.turned(np.array([[20, 4, 38, 9.0]]), mark, upright.shape[1], upright.shape[0])[0].astype(
        int
    )
    assert upright[y1:y2, x1:x2].min() == 255
    assert upright.sum() == 255 * (y2 - y1) * (x2 - x1)
    assert declared.orientation("x.png") == mark


def test_boxes_on_pictures_as_they_are_stored_are_turned_with_them() -> None:
    put("i/0.png", mark=6), put("i/1.png", mark=3), put("i/2.png"), put("i/3.png", mark=8)
    boxed()
    table, _, found = made(COCO)
    assert table["boxes"].tolist() == [
        '[["cat",8,1,28,11]]', '[["cat",29,8,39,28]]', '[["cat",1,2,11,22]]', '[["cat",2,29,22,39]]',
    ]  # fmt: skip
    assert found == [
        "3 images of train are rotated by EXIF, first '0': their boxes are rotated with them, since width and height are those "
        "of the stored file; the boxes would fit the upright image too, so check some in the report"
    ]


def test_boxes_on_upright_pictures_stay() -> None:
    put("i/0.png", mark=6), put("i/1.png", mark=3)
    upright = [
        {"id": 0, "file_name": "0.png", "width": 30, "height": 40},
        {"id": 1, "file_name": "1.png", "width": 40, "height": 30},
    ]
    table, _, found = made({**COCO, "train": boxed(images=upright)})
    assert (set(table["boxes"]), found) == ({'[["cat",1,2,11,22]]'}, [])
    stored = [{**entry, "width": 40, "height": 30} for entry in upright]
    notes = [{"image_id": 0, "category_id": 1, "bbox": [5, 10, 10, 29]}]
    table, _, found = made({**COCO, "train": boxed(images=stored, notes=notes)})
    assert table["boxes"].tolist()[0] == '[["cat",5,10,15,39]]', "it does not fit the stored picture"
    assert "their boxes fit the upright image, and are kept" in found[0]


# --- forms of boxes


def test_boxes_in_another_form_are_refused() -> None:
    corners = [[10, 5, 35, 28], [20, 10, 39, 29], [1, 1, 30, 20], [15, 15, 38, 29], [5, 8, 33, 27]]
    sizes = [(40, 30)] * 5
    message = r"^a: 4 of 5 boxes do not fit their images as \[x, y, width, height\], .* first \[10\.0, .*; as \[x1, y1, x2, y2\] "
    with pytest.raises(DataError, match=message):
        refuse_other_form(corners, sizes, TOP_LEFT, "a")
    refuse_other_form(corners, sizes, CORNERS, "a")
    refuse_other_form(corners, [None] * 5, TOP_LEFT, "a")
    with pytest.raises(DataError, match="5 of 5 boxes lie between 0 and 1"):
        refuse_other_form([[0.1, 0.1, 0.5, 0.6]] * 5, [None] * 5, CORNERS, "a")
    refuse_other_form(corners[:4], sizes[:4], TOP_LEFT, "a")
    outside = [[30, 20, 20, 20], [35, 5, 10, 3], [1, 1, 5, 5], [2, 2, 5, 5], [3, 3, 5, 5]]
    refuse_other_form(outside, sizes, TOP_LEFT, "a")  # which no other form puts right, and the policy looks after
    with pytest.raises(
        DataError, match=r"lie between 0 and 1, first \[0\.1, .* fractions of the image's width and height, but pixels"
    ):
        refuse_other_form([[0.1, 0.1, 0.5, 0.6]] * 5, sizes, TOP_LEFT, "a")
    with pytest.raises(DataError, match=r"as \[x1, y1, x2, y2\] they would\. Convert them to \[centre x"):
        refuse_other_form([[0.3, 0.2, 0.9, 0.6]] * 5, [(1, 1)] * 5, CENTRE, "a")


# --- repeated boxes


def test_a_box_is_repeated_where_label_and_place_are_one() -> None:
    boxes = np.array(
        [
            [0, 0, 10, 10],
            [5, 5, 9, 9],
            [0, 0, 10, 10],
            [0.1, 0, 10, 10.1],
            [0, 0, 10, 10],
            [NAN, 0, 1, 1],
            [0, 0, 11, 10],
        ]
    )
    assert repeated(["a", "a", "a", "a", "b", "a", "a"], boxes) == [None, None, 0, 0, None, None, None]
    assert repeated([], np.zeros((0, 4))) == []
    assert sum(first == 0 for first in repeated(["a"] * 3000, np.tile([0.0, 0, 1, 1], (3000, 1)))) == 2999


def test_a_repeated_box_is_a_doubt_and_goes_where_the_policy_drops() -> None:
    put(*(f"i/{number}.png" for number in range(4)))
    notes = [{"image_id": n, "category_id": kind, "bbox": [1, 2, 10, 20]} for n in range(4) for kind in (1, 1, 2)]
    boxed(notes=notes)
    table, lost, _ = made({**COCO, "on_bad_label": "quarantine"})
    assert (len(table), len(lost)) == (4, 0)
    assert list(about_repeated(table)) == [
        "4 boxes of 4 training images are listed twice, first in '0': every model is scored as missing one of the two; "
        "data.on_bad_label: drop leaves the second out",
        "4 boxes of 4 training images are listed with two classes, first in '0'",
    ]
    table, lost, _ = made({**COCO, "on_bad_label": "drop"})
    assert set(table["boxes"]) == {'[["cat",1,2,11,22],["dog",1,2,11,22]]'}
    assert set(lost["reason"]) == {"box 2 (cat) is the same as box 1"}
    assert len(lost) == 4
    assert check('[["a",0,0,5,5],["b",1,1,1,1],["a",0,0,5,5]]', 9, 9).twice == ["box 3 (a) is the same as box 1"]


# --- rare classes


def test_a_class_of_one_box_neither_ends_the_split_nor_lowers_the_folds() -> None:
    table = pd.DataFrame({"id": [str(number) for number in range(20)]})
    content = pd.DataFrame({"cat": [1] * 20, "dog": [2] * 20, "rare": [1] + [0] * 19})
    for splitter in ("stratified", "multilabel_stratified"):
        folds = split(table, content, splitter, 5, 0, rare_classes="spread")
        assert sorted(np.bincount(folds)) == [4] * 5
    with pytest.raises(DataError, match="class 'rare' has 1 image, fewer than folds"):
        split(table, content, "stratified", 5, 0)


def test_what_leaves_a_rare_class_out_is_a_line_to_paste() -> None:
    texts = ['[["cat",0,0,1,1],["no",0,0,1,1]]', '[["cat",0,0,1,1]]', "[]"]
    table = pd.DataFrame({"id": list("abc"), "boxes": texts})
    assert list(about_rare_boxes(table, ["cat", "no"], 2)) == [
        "1 class has boxes in fewer images than the 2 folds, first 'no' in 1 image: some folds are scored on it without training "
        "on it, or not at all. To leave it out, write under data: classes: [cat] and on_bad_label: drop"
    ]
    assert list(about_rare_boxes(table, ["cat"], 2)) == []


# --- voc


def voc_file(name: str, *things: str, size: str = "<size><width>40</width><height>30</height></size>") -> None:
    write(name, f"<annotation>{size}{''.join(f'<object>{thing}</object>' for thing in things)}</annotation>")


def thing(x1: float = 1, y1: float = 2, x2: float = 11, y2: float = 22, mark: str = "0") -> str:
    sides = zip(("xmin", "ymin", "xmax", "ymax"), (x1, y1, x2, y2), strict=True)
    corners = "".join(f"<{side}>{number}</{side}>" for side, number in sides)
    return f"<name>cat</name><difficult>{mark}</difficult><bndbox>{corners}</bndbox>"


VOC = {"source": "voc", "annotations": "x", "images": "i"}


def test_difficult_objects_follow_the_policy() -> None:
    put("i/0.png", "i/1.png", "i/2.png")
    voc_file("x/0.xml", thing(), thing(5, 5, 9, 9, "1")), voc_file("x/1.xml", thing(mark="1")), voc_file("x/2.xml")
    table, _, found = made(VOC)
    assert [len(json.loads(text)) for text in table["boxes"]] == [2, 1, 0]
    assert found == ["2 objects are marked difficult and trained on like others; data.difficult: drop leaves them out"]
    table, lost, found = made({**VOC, "difficult": "drop"})
    assert table[["id", "boxes"]].to_numpy().tolist() == [["0", '[["cat",1,2,11,22]]'], ["2", "[]"]]
    assert lost[["id", "reason"]].to_numpy().tolist() == [["1", "image has no annotation"]]
    assert found == ["2 difficult objects left out; 1 image had no others"]


def test_sizes_in_xml_are_held_against_the_images_where_they_are_said() -> None:
    put("i/0.png", "i/1.png", "i/2.png")
    sizes = ["<size><width>80</width><height>60</height></size>", "<size><width>0</width><height>0</height></size>", ""]
    for number, size in enumerate(sizes):
        voc_file(f"x/{number}.xml", thing(), size=size)
    with pytest.raises(
        DataError, match=r"^train: 1 of 1 image differs .* first '0' .* annotated as 80 x 60\)\. It differs by the fa"
    ):
        made(VOC)
    voc_file("x/0.xml", thing())
    assert len(made(VOC)[0]) == 3


def test_where_pixels_are_counted_from_is_doubted() -> None:
    for number in range(4):
        voc_file(f"x/{number}.xml", thing(1, 1, 40, 30))
    put("i/0.png")
    assert voc.read("x", "i")["notes"]["note"].tolist() == [
        "no box begins at 0, 4 begin at 1 and 4 end at the last pixel: these files seem to count pixels from 1; set "
        "data.one_based: true"
    ]
    assert "notes" not in voc.read("x", "i", one_based=True)
    voc_file("x/0.xml", thing(0, 5, 9, 9))
    assert "notes" not in voc.read("x", "i")
    assert voc.read("x", "i", one_based=True)["notes"]["note"].tolist() == [
        "1 box begins at 0, and data.one_based says that pixels count from 1: set it to false"
    ]


def test_sizes_given_for_boxes_in_xml_are_refused() -> None:
    put("i/0.png")
    for number in range(5):
        voc_file(f"x/{number}.xml", thing(20, 15, 10, 9))
    with pytest.raises(
        DataError,
        match=r"^data\.annotations: 5 of 5 boxes do not fit their images as \[x1, y1, x2, y2\], .*; as \[x, y",
    ):
        voc.read("x", "i")
