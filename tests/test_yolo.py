"""Boxes in YOLO's text files: layouts, names, what is wrong with a file, and the way through the manifest."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest

from conftest import COCO, NETS, SHAPES, write_scenes
from goldfold.base.errors import DataError
from goldfold.config import parse, slices
from goldfold.sources import read
from goldfold.sources.yolo_names import read_names
from goldfold.stages import manifest
from goldfold.targets.boxes import in_pixels

pytestmark = pytest.mark.usefixtures("in_tmp")
BOX = "1 0.5 0.5 0.25 0.5"
SHARES = '[["dog",0.375,0.25,0.625,0.75]]'


def write(name: str, text: str = "") -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_text(text, encoding="utf-8")
    return name


def put(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(cv2.imencode(Path(name).suffix, np.full((6, 6, 3), 128, np.uint8))[1].tobytes())


def tables(**settings: Any) -> dict[str, pd.DataFrame]:
    """Of the data set below raw/ with the classes cat and dog."""
    write("raw/data.yaml", "path: ../elsewhere\ntrain: images/train\nnc: 2\nnames: [cat, dog]\n")
    return read("yolo", **{"train": "raw", "names": "raw/data.yaml", **settings})


def rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return table.astype(object).where(table.notna(), None).to_dict("records")


# --- layouts

LAYOUTS = {
    "a folder of images and one of labels, each with splits": ("images/{}/", "labels/{}/"),
    "a folder a split, each with images and labels": ("{}/images/", "{}/labels/"),
    "labels beside the images of a split": ("{}/", "{}/"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("validation", ["val", "valid"])
def test_train_and_validation_are_pooled_and_a_test_folder_is_left_out(layout: str, validation: str) -> None:
    images, labels = (f"raw/{folder}" for folder in LAYOUTS[layout])
    for split in ("train", validation, "test"):
        put(f"{images.format(split)}a.jpg")
        write(f"{labels.format(split)}a.txt", BOX)
    write("raw/README.txt", "no label")
    first, second = sorted(("train", validation))
    assert rows(tables()["train"]) == [
        {"id": f"{first}/a", "path": f"{images.format(first)}a.jpg", "shares": SHARES},
        {"id": f"{second}/a", "path": f"{images.format(second)}a.jpg", "shares": SHARES},
    ]


@pytest.mark.parametrize(("images", "labels"), [("", ""), ("images/", "labels/")])
def test_a_data_set_without_splits(images: str, labels: str) -> None:
    put(f"raw/{images}a.jpg", f"raw/{images}sub/b.png", f"raw/{images}c.png")
    write(f"raw/{labels}a.txt", f"{BOX}\n\n0 .5 .5 1e-1 1\n"), write(f"raw/{labels}sub/b.txt", "\n")
    write(f"raw/{labels}classes.txt", "cat\ndog\n")
    assert rows(tables(names=f"raw/{labels}classes.txt")["train"]) == [
        {"id": "a", "path": f"raw/{images}a.jpg", "shares": SHARES[:-1] + ',["cat",0.45,0,0.55,1]]'},
        {"id": "c", "path": f"raw/{images}c.png", "shares": None},
        {"id": "sub/b", "path": f"raw/{images}sub/b.png", "shares": "[]"},
    ]


def test_labels_may_lie_elsewhere_and_test_images_below_the_others_are_not_learnt_from() -> None:
    put("raw/images/a.jpg", "raw/images/held/t.jpg", "raw/images/pool/u.jpg")
    write("other/a.txt", BOX), write("truth/t.txt", "0 0.5 0.5 1 1")
    write("groups.csv", "id,group\na,g\n")
    found = tables(
        train="raw/images", labels="other", test="raw/images/held", test_answers="truth", groups="groups.csv",
        unlabeled="./raw/images/pool",
    )  # fmt: skip
    assert rows(found["train"]) == [{"id": "a", "path": "raw/images/a.jpg", "shares": SHARES, "group": "g"}]
    assert rows(found["test"]) == [{"id": "t", "path": "raw/images/held/t.jpg"}]
    assert rows(found["answers"]) == [{"id": "t", "shares": '[["cat",0,0,1,1]]'}]
    assert rows(found["unlabeled"]) == [{"id": "u", "path": "raw/images/pool/u.jpg"}]
    assert rows(found["categories"]) == [{"name": "cat", "id": 0}, {"name": "dog", "id": 1}]


def test_a_label_without_its_image_keeps_its_row_for_the_message() -> None:
    put("raw/images/train/a.jpg", "raw/images/val/b.jpg")
    for name in ("train/a", "train/gone", "val/b"):
        write(f"raw/labels/{name}.txt", BOX)
    assert rows(tables()["train"])[-1] == {"id": "train/gone", "path": "raw/images/train/gone.*", "shares": SHARES}


@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        (["raw/a.jpg"], {}, r"^data\.labels: no \.txt of an image below raw\. Set data\.labels to the folder"),
        (["raw/a.jpg"], {"labels": "no"}, r"^data\.labels: no is not a folder\. Correct the path\."),
        (
            ["raw/a.jpg", "raw/a.txt", "raw/labels/a.txt"],
            {},
            r"^data\.labels: image 'a' has two labels, raw/a\.txt and raw/labels/a\.txt\. Remove one\.",
        ),
        (
            ["raw/train/a.jpg", "raw/train/a.txt", "raw/val/a.jpg", "raw/more/a.jpg"],
            {},
            r"^data\.train: raw holds train and validation folders next to 'more', so it is unclear what to train on",
        ),
        (["raw/a.jpg", "raw/a.txt"], {"test_answers": "raw"}, r"^data\.test_answers is set, but there are no test im"),
        (
            ["raw/a.jpg", "raw/a.txt", "new/a.jpg", "new/t.jpg"],
            {"test": "new", "test_answers": "raw"},
            r"^data\.test_answers: 1 of 2 test images have no \.txt below raw, first 't'\. Add them \(empty for",
        ),
    ],
)
def test_layouts_that_do_not_fit_are_refused(files: list[str], settings: dict[str, str], message: str) -> None:
    for name in files:
        put(name) if name.endswith("jpg") else write(name, BOX)
    with pytest.raises(DataError, match=message):
        tables(**settings)


# --- one file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 0.5 0.5 0.2", r"has 4 fields, not 5 \(class, centre x, centre y, width, height\)\. Correct the file\."),
        ("1 0.5 0.5 0.2 0.2 0.9", r"has 6 fields, not 5"),
        ("1,0.5,0.5,0.2,0.2", r"has 1 fields, not 5"),
        (
            "1 0.1 0.1 0.9 0.1 0.5 0.9 1",
            r"has 8 fields, not 5 \(.*\)\. Correct the file\. An outline has a class, and x and y",
        ),
        ("2 0.5 0.5 0.2 0.2", r"has the class 2, and raw/data\.yaml names 0 cat, 1 dog\. Correct one of them\."),
        ("-1 0.5 0.5 0.2 0.2", r"has the class '-1', not a whole number"),
        ("1.5 0.5 0.5 0.2 0.2", r"has the class '1\.5', not a whole number"),
        ("inf 0.5 0.5 0.2 0.2", r"has the class 'inf', not a whole number"),
        ("dog 0.5 0.5 0.2 0.2", r"has the class 'dog', not a whole number"),
        ("1 0,5 0.5 0.2 0.2", r"has '0,5', not a number\. Write class, .*, with a decimal point\."),
        ("1 0_5 0.5 0.2 0.2", r"has '0_5', not a number"),
    ],
)
def test_a_line_that_is_no_box_is_named(text: str, message: str) -> None:
    put("raw/a.jpg")
    write("raw/a.txt", f"{BOX}\n{text}\n")
    with pytest.raises(DataError, match=rf"^raw/a\.txt: line 2 {message}"):
        tables()


def test_a_label_that_is_no_text_is_named() -> None:
    put("raw/a.jpg")
    Path("raw/a.txt").write_bytes(b"\xff\xfe1")
    with pytest.raises(DataError, match=r"^raw/a\.txt: cannot be read: .*\. Restore the file, or remove it\."):
        tables()


def test_boxes_in_pixels_are_told_once_for_the_whole_data_set() -> None:
    put("raw/a.jpg", "raw/b.jpg")
    write("raw/a.txt", f"{BOX}\n1 320 240 64 48\n"), write("raw/b.txt", "0 10 20 5 5\n")
    message = (
        r"^data\.labels: 2 of 3 boxes have a number above 1, first \[320\.0, 240\.0, 64\.0, 48\.0\]\. YOLO's boxes are "
        r"fractions of image width and height, from 0 to 1; divide pixels by them\."
    )
    with pytest.raises(DataError, match=message):
        tables()
    write("raw/b.txt", BOX)
    assert len(tables()["train"]) == 2, "single ones are the policy's"


@pytest.mark.parametrize("word", ["1", "1.0", "1.", "1.000000", "1.000000e+00", "+1"])
def test_a_class_is_a_number_however_it_is_written(word: str) -> None:
    put("raw/a.jpg")
    write("raw/a.txt", f"{word} 0.5 0.5 0.25 0.5")
    assert tables()["train"]["shares"].tolist() == [SHARES]


def test_outlines_give_the_boxes_around_them_beside_boxes() -> None:
    put("raw/a.jpg")
    write("raw/a.txt", f"{BOX}\n1.000000 0.375 0.5 0.5 0.25 0.625 0.4 0.5 0.75\n")
    assert tables()["train"]["shares"].tolist() == [f"{SHARES[:-1]},{SHARES[1:]}"]


def test_keypoints_are_read_where_their_shape_is_given_and_are_no_outlines() -> None:
    put("raw/a.jpg")
    write("raw/a.txt", f"{BOX} 0.4 0.4 2 0.6 0.6 2\n" * 3)
    with pytest.raises(
        DataError, match=r"^data\.labels: 3 lines of 11 fields are boxes with 2 points .*kpt_shape: \[2, 3\]"
    ):
        tables()
    write("raw/pose.yaml", "names: [cat, dog]\nkpt_shape: [2, 3]\n")
    assert tables(names="raw/pose.yaml")["train"]["shares"].tolist() == [f"[{','.join([SHARES[1:-1]] * 3)}]"]


@pytest.mark.parametrize(
    "corners",
    [
        "0.5 0.5 0.6 0.5 0.6 0.6 0.5 0.6",  # a turned box, as most have no turn
        "0.5 0.45 0.55 0.5 0.5 0.55 0.45 0.5",
        "0.4 0.4 0.6 0.4 0.6 0.6",
        "0.5 0.45 0.55 0.5 0.53 0.55 0.47 0.55 0.45 0.5",
    ],
)
def test_small_outlines_of_as_many_corners_are_no_boxes_with_points_inside(corners: str) -> None:
    put("raw/a.jpg")
    write("raw/a.txt", f"0 {corners}\n" * 3)
    xs, ys = (list(map(float, corners.split()[start::2])) for start in (0, 1))
    box = json.loads(tables()["train"]["shares"][0])[0]
    assert box[1:] == [min(xs), min(ys), max(xs), max(ys)]


def test_keypoints_without_a_mark_are_known_by_sizes_that_are_no_corner() -> None:
    put("raw/a.jpg")
    write(
        "raw/a.txt",
        "0 0.3 0.3 0.2 0.6 0.31 0.3 0.3 0.25\n0 0.7 0.7 0.1 0.1 0.7 0.7 0.72 0.7\n0 0.5 0.5 0.4 0.4 0.5 0.5 0 0\n",
    )
    with pytest.raises(DataError, match=r"3 lines of 9 fields are boxes with 2 points .*kpt_shape: \[2, 2\]"):
        tables()


def test_a_text_file_without_an_image_and_without_boxes_is_no_label() -> None:
    put("raw/images/train/a.jpg", "raw/images/val/b.jpg")
    write("raw/labels/train/a.txt", BOX), write("raw/labels/val/b.txt")
    for name, text in (
        ("README", "1 2 3 4 five"),
        ("notes", "so it is\n"),
        ("empty", ""),
        ("train", "images/train/a.jpg"),
    ):
        write(f"raw/labels/train/{name}.txt", text)
    assert tables()["train"]["id"].tolist() == ["train/a", "val/b"]
    assert tables(labels="raw/labels", train="raw/images")["train"]["id"].tolist() == ["train/a", "val/b"]


# --- splits of data.yaml

SPLITS = {
    "folders": "train: images/a\nval: images/b\ntest: images/t\n",
    "lists of folders": "train: [images/a, images/b]\nval: images/b\ntest: [images/t]\n",
    "files of lists": "train: train.txt\nval: [lists/val.txt]\ntest: test.txt\n",
    "a path": "path: .\ntrain: images/a\nval: images/b\ntest: images/t\n",
    "a path of another machine": "path: /content/fish\ntrain: images/a/\nval: ./images/b\ntest: images/t\n",
    "folders of another machine": "train: /content/fish/images/a\nval: C:\\data\\images\\b\ntest: /content/fish/images/t\n",
    "as Roboflow writes them": "train: ../images/a\nval: ../images/b\ntest: ../images/t\n",
    "no test images": "train: images/a\nval: images/b\n",
    "one of train and val": "train: [images/a, images/b]\n",
}


@pytest.mark.parametrize("case", SPLITS)
def test_the_images_that_data_yaml_names_are_learnt_from(case: str) -> None:
    for name in ("a/1", "b/2", "c/3", "t/4"):
        put(f"raw/images/{name}.jpg")
        write(f"raw/labels/{name}.txt", BOX)
    write("raw/train.txt", "./images/a/1.jpg\n\n"), write("raw/lists/val.txt", "/content/fish/images/b/2.jpg\n")
    write("raw/test.txt", "images\\t\\4.jpg\n")
    write("raw/splits.yaml", f"names: [cat, dog]\n{SPLITS[case]}")
    found = read("yolo", train="raw", names="raw/splits.yaml")
    assert found["train"][["id", "path"]].to_numpy().tolist() == [
        ["a/1", "raw/images/a/1.jpg"],
        ["b/2", "raw/images/b/2.jpg"],
    ]
    n, first = ("1 image", "c/3") if "test:" in SPLITS[case] else ("2 images", "c/3")
    assert found["notes"]["note"].tolist() == [
        f"{n} below raw not among train, val and test of raw/splits.yaml: not trained on, first 'images/{first}.jpg'"
    ]
    if "test:" in SPLITS[case]:
        tests = read("yolo", train="raw", names="raw/splits.yaml", test="raw/splits.yaml")["test"]
        assert [Path(path).as_posix() for path in tests["path"]] == ["raw/images/t/4.jpg"]


def test_what_data_yaml_names_and_is_not_there() -> None:
    put("raw/train/1.jpg", "raw/val/2.jpg")
    write("raw/train/1.txt", BOX), write("raw/val/2.txt", BOX)
    write("s.yaml", "names: [cat, dog]\ntrain: /no/a\nval: /no/b\n")
    found = read("yolo", train="raw", names="s.yaml")
    assert found["train"]["id"].tolist() == ["train/1", "val/2"]
    assert found["notes"]["note"].tolist() == ["s.yaml: train: '/no/a' does not exist; all of raw is read instead"]
    write("raw/s.yaml", "names: [cat, dog]\ntrain: train\nval: vall\n")
    with pytest.raises(
        DataError, match=r"^data\.names: raw/s\.yaml: val: 'vall' does not exist \(1 of 2 such\)\. Correct the path"
    ):
        read("yolo", train="raw", names="raw/s.yaml")
    write("raw/s.yaml", "names: [cat, dog]\ntrain: [train, [val]]\n")
    with pytest.raises(
        DataError, match=r"train is \['train', \['val'\]\]\. Write a folder, a file with one path per line, or a list"
    ):
        read("yolo", train="raw", names="raw/s.yaml")
    write("raw/t.txt", "train/1.jpg\ntrain/gone.jpg\n"), write("raw/s.yaml", "names: [cat, dog]\ntrain: t.txt\n")
    assert read("yolo", train="raw", names="raw/s.yaml")["train"]["path"].tolist() == [
        "raw/train/1.jpg",
        "raw/train/gone.jpg",
    ]
    with pytest.raises(
        DataError, match=r"^data\.test: raw/t\.txt: 1 images are missing, first .*gone\.jpg\. Restore them"
    ):
        read("yolo", train="raw", names="raw/s.yaml", test="raw/t.txt")


# --- names


@pytest.mark.parametrize(
    ("name", "text", "names"),
    [
        ("data.yaml", "names: [cat, dog]", {0: "cat", 1: "dog"}),
        ("data.yml", "nc: 2\nnames:\n  0: cat\n  3: dog\n", {0: "cat", 3: "dog"}),
        ("data.yaml", "names: [no, 01, 1.0]", {0: "no", 1: "01", 2: "1.0"}),
        ("obj.names", "\ufeffcat\r\nbig dog \n\n", {0: "cat", 1: "big dog"}),
    ],
)
def test_names_are_read_as_they_are_written(name: str, text: str, names: dict[int, str]) -> None:
    assert read_names(write(name, text)) == names


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "names: [", r"^data\.names: a\.yaml: not valid YAML: line 1: while parsing .*\. Correct the file\."),
        ("a.yaml", "nc: 2", r"it has no `names`, a list or \{number: name\}\. Correct the file\."),
        ("a.yaml", "- a", r"it has no `names`"),
        ("a.yaml", "nc: 3\nnames: [a, b]", r"nc is 3, and names has 2\. Correct the file\."),
        ("a.yaml", "names: {0: a, 0: b}", r"key '0' is given twice"),
        ("a.yaml", "names: {a: 0}", r"names has the key 'a', not a class number"),
        ("a.yaml", "names: {00: a}", r"names has the key '00', not a class number"),
        ("a.yaml", "names: [a, [b]]", r"a\.yaml: class 1 has no name\. Give it one\."),
        ("a.yaml", "names: []", r"a\.yaml names no classes"),
        ("a.txt", "a\n\nb", r"^data\.names: a\.txt: class 1 has no name\. Give it one\."),
        ("a.txt", "a\na", r"a\.txt: two classes are called 'a'\. Give each its own name\."),
        ("a.txt", "\n", r"^data\.names: a\.txt names no classes\. Write one name per line"),
        (
            "no.txt",
            None,
            r"^data\.names: cannot read no\.txt: .*\. Name data\.yaml, or a text file with one name per line",
        ),
    ],
)
def test_names_that_cannot_be_used_are_refused(name: str, text: str | None, message: str) -> None:
    if text is not None:
        write(name, text)
    with pytest.raises(DataError, match=f"(?s){message}"):
        read_names(name)


def test_a_python_object_in_yaml_is_not_made() -> None:
    text = "names: !!python/object/apply:os.system ['touch made']"
    assert read_names(write("a.yaml", text)) == {0: "touch made"}
    assert not Path("made").exists()


# --- through the manifest

YOLO = {"source": "yolo", "train": "raw/images", "labels": "raw/labels", "names": "raw/names.txt"}


def made(data: dict[str, Any]) -> dict[str, Any]:
    """Tables that the manifest stage writes, by name, and its files of classes."""
    config = parse({"name": "t", "task": "detection", "data": data, "models": [{"name": "net", **NETS["detection"]}]})
    manifest.run(folder="out", workers=1, **slices.manifest(config))
    found = {path.stem: pd.read_csv(path, dtype=str, keep_default_na=False) for path in Path("out").glob("*.csv")}
    return found | {path.stem: json.loads(path.read_text()) for path in Path("out").glob("class*.json")}


@pytest.fixture
def labelled(in_tmp: Path) -> None:
    """raw/ of the small scenes, 64 x 48 pixels each, with its training boxes as YOLO files."""
    write_scenes(in_tmp)
    write("raw/names.txt", "\n".join(SHAPES))
    content = json.loads(Path("raw/train.json").read_text())
    for entry in content["images"]:
        lines = []
        for box in content["annotations"]:
            if box["image_id"] == entry["id"]:
                x, y, width, height = box["bbox"]
                shares = (x + width / 2) / 64, (y + height / 2) / 48, width / 64, height / 48
                lines.append(f"{box['category_id'] - 1} " + " ".join(f"{share:.6f}" for share in shares))
        write(f"raw/labels/{Path(entry['file_name']).stem}.txt", "\n".join(lines))


def test_boxes_of_yolo_and_coco_give_the_same_targets(labelled: None) -> None:
    first, second = made(YOLO), made(COCO)
    assert list(first["train"]["id"]) == list(second["train"]["id"])
    assert list(first["train"]["boxes"]) == list(second["train"]["boxes"])
    assert "shares" not in first["train"]
    assert first["classes"] == SHAPES
    assert first["class_ids"] == {"dim": 0, "lit": 1}


def test_true_boxes_of_test_images_are_in_pixels_too(labelled: None) -> None:
    for path in Path("raw/test").iterdir():
        write(f"truth/{path.stem}.txt", "0 0.5 0.5 0.5 0.5")
    found = made({**YOLO, "test": "raw/test", "test_answers": "truth"})
    assert set(found["answers"]["boxes"]) == {'[["dim",16,12,48,36]]'}


def test_a_share_is_a_thousandth_of_a_pixel_exact_and_what_is_no_number_stays() -> None:
    assert in_pixels('[["a",0.123456,0,NaN,1]]', 1000, 10) == '[["a",123.456,0,NaN,10]]'
    assert in_pixels("[]", 3, 4) == "[]"


WRONG = {
    "1 nan 0.5 0.2 0.2": "has a coordinate that is not a number",
    "1 0.5 0.5 0 0.2": "has no area",
    "1 0.5 0.5 -0.2 0.2": "is reversed",
    "1 1.5 0.5 0.2 0.2": "lies outside the image",
    "1 0.95 0.5 0.3 0.2": "reaches outside the image",
}


@pytest.mark.parametrize("line", WRONG)
@pytest.mark.parametrize("policy", ["fail", "quarantine", "drop"])
def test_a_box_that_cannot_be_used_follows_the_policy(labelled: None, line: str, policy: str) -> None:
    write("raw/labels/im02.txt", f"0 0.5 0.5 0.5 0.5\n{line}\n")
    data, reason = {**YOLO, "on_bad_label": policy}, f"box 2 (lit) {WRONG[line]}"
    if policy == "fail":
        with pytest.raises(DataError) as caught:
            made(data)
        assert f"first 'im02': {reason}. Correct it, or set data.on_bad_label: drop or quarantine." in str(caught.value)
        return
    found = made(data)
    assert found["quarantine"][["id", "reason"]].to_numpy().tolist() == [["im02", reason]]
    boxes = dict(zip(found["train"]["id"], found["train"]["boxes"], strict=True))
    cut = ',["lit",51.2,19.2,64,28.8]' if "reaches" in reason else ""
    assert boxes.get("im02") == (f'[["dim",16,12,48,36]{cut}]' if policy == "drop" else None)


def test_an_empty_label_is_a_negative_and_a_missing_one_follows_the_policy(labelled: None) -> None:
    write("raw/labels/im01.txt"), Path("raw/labels/im02.txt").unlink()
    found = made(YOLO)
    assert dict(zip(found["train"]["id"], found["train"]["boxes"], strict=True))["im01"] == "[]"
    assert found["quarantine"][["id", "reason"]].to_numpy().tolist() == [["im02", "image has no annotation"]]
    with pytest.raises(DataError, match=r"first 'im02': image has no annotation\. .* set data\.on_missing_label: quar"):
        made({**YOLO, "on_missing_label": "fail"})


def test_a_label_without_an_image_follows_the_policy(labelled: None) -> None:
    write("raw/labels/im99.txt", BOX)
    with pytest.raises(
        DataError, match=r"first 'im99' \(raw/images/im99\.\*: file is missing\)\. Restore the files, or"
    ):
        made(YOLO)
    found = made({**YOLO, "on_missing_image": "quarantine"})
    assert found["quarantine"][["id", "path"]].to_numpy().tolist() == [["im99", "raw/images/im99.*"]]


def test_labels_and_names_are_tracked_as_raw_data() -> None:
    config = parse({"name": "t", "task": "detection", "data": YOLO, "models": [{"name": "net", **NETS["detection"]}]})
    assert config.data.raw_paths() == ["raw/images", "raw/labels", "raw/names.txt"]
