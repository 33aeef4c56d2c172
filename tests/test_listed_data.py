"""What tables, lists and annotation files of users hold that is easily read wrong: separators, names, numbers, paths."""

import json
import tracemalloc
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
import pandas as pd
import pytest

from conftest import FORM, TASK, save_picture
from goldfold.base.errors import DataError
from goldfold.images.files import inside
from goldfold.sources import read
from goldfold.sources.reading import read_csv
from goldfold.stages import manifest

pytestmark = pytest.mark.usefixtures("in_tmp")
POLICIES = {
    "on_bad_image": "quarantine", "on_missing_image": "fail", "on_missing_label": "quarantine", "on_bad_label": "fail",
}  # fmt: skip


def write(name: str, text: str | bytes) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def put(*names: str, size: tuple[int, int] = (8, 8)) -> None:
    for number, name in enumerate(names):
        save_picture(Path(name), np.full((*size, 3), 20 * number, np.uint8))


def csv(text: str | bytes) -> pd.DataFrame:
    return read_csv(write("t.csv", text), "data.train")


# --- tables


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (
            b'\xef\xbb\xbf"id","label"\r\n"a,1"," x"\r\nb,"say ""y"""\r\n',
            {"id": ["a,1", "b"], "label": ["x", 'say "y"']},
        ),
        ("id,label\n\na,x\n \nb,y", {"id": ["a", "b"], "label": ["x", "y"]}),
        (",id\n0,a\n", {"column 1": ["0"], "id": ["a"]}),
        ("id,,\na,,\n", {"id": ["a"], "column 2": [None], "column 3": [None]}),
        ("id\na;1\n", {"id": ["a;1"]}),
        ("a;b,c\n1,2\n", {"a;b": ["1"], "c": ["2"]}),
    ],
    ids=[
        "BOM, CRLF, quotes",
        "empty lines",
        "index of pandas",
        "unnamed columns",
        "semicolon in a value",
        "and a name",
    ],
)
def test_a_table_is_read_as_it_is_meant(text: str | bytes, columns: dict[str, list[Any]]) -> None:
    table = csv(text)
    assert table.astype(object).where(table.notna(), None).to_dict("list") == columns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id;label\na;x\n", r"^data\.train: t\.csv is separated by semicolons, not by commas\. Write it with commas\."),
        ("id\tlabel\na\tx\n", r"t\.csv is separated by tabs"),
        ("id|label\na|x\n", r"t\.csv is separated by bars"),
        ("id;label;w\na;x;1,5\n", r"t\.csv is separated by semicolons"),
        ("id,label,label\na,x,y\n", r"^data\.train: t\.csv has two columns called 'label'\. Rename or remove one\."),
        ("id, id\na,b\n", r"has two columns called 'id'"),
        (
            "id,label\na,x\nb,y,z\n",
            r"^data\.train: cannot read t\.csv as CSV: .*2 fields in line 3, saw 3\. Write UTF-8",
        ),
        (
            "id,label\na,x,y\n",
            r"2 fields in line 2, saw 3\. Write UTF-8, with a header and as many fields in every row",
        ),
        (
            "id,label\na,x\n".encode("utf-16"),
            r"cannot read t\.csv as CSV: it holds NUL bytes, so it is not UTF-8 text\. Write UTF-8",
        ),
        ("id,label", r"^data\.train: t\.csv has no rows\."),
    ],
)
def test_a_table_that_would_be_read_wrong_is_refused(text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        csv(text)


def manifest_of(labels: list[str], classes: list[str] | None = None) -> list[str]:
    """Classes of a csv source whose images have these labels."""
    names = [f"i{number}" for number in range(len(labels))]
    put(*(f"images/{name}.png" for name in names))
    rows = "".join(f"{name},{label}\n" for name, label in zip(names, labels, strict=True))
    source = {"source": "csv", "train": write("train.csv", f"id,label\n{rows}"), "images": "images"}
    manifest.run("out", source, TASK, POLICIES, "accuracy", classes, sample=None, submission=FORM, workers=1)
    return json.loads(Path("out/classes.json").read_text())


@pytest.mark.parametrize(("first", "second"), [("01", "1"), ("1", "1.0"), ("2", "2.00")])
def test_two_ways_to_write_a_number_are_not_taken_for_two_classes(first: str, second: str) -> None:
    said = (
        rf"^train: labels '{first}' and '{second}' are the same number\. Write them alike, or name both in data\.classes if they "
        r"are two classes\."
    )
    with pytest.raises(DataError, match=said):
        manifest_of(["7", second, first, "x"])
    assert manifest_of(["7", second, first], classes=[second, first, "7"]) == [second, first, "7"]


def test_two_ways_to_write_a_letter_are_not_taken_for_two_classes() -> None:
    one, two = normalize("NFC", "café"), normalize("NFD", "café")
    said = r"^train: labels 'cafe\\u0301' and 'caf\\xe9' look the same: .*\(in NFC\), or name both in data\.classes"
    with pytest.raises(DataError, match=said):
        manifest_of([one, "tea", two])
    assert manifest_of([one, "tea", two], classes=[one, two, "tea"]) == [one, two, "tea"]
    put(f"pooled/train/{one}/1.png", "pooled/train/tea/1.png", f"pooled/val/{two}/2.png", "pooled/val/tea/2.png")
    with pytest.raises(DataError, match=said):  # as folders of a Mac beside those of other systems are
        manifest.run(
            "out", {"source": "folder", "train": "pooled"}, TASK, POLICIES, "accuracy", None, None, FORM, workers=1
        )


def test_blanks_around_a_label_are_no_other_class() -> None:
    assert manifest_of(["cat", "cat  ", "\tcat", '" dog"', "dog"]) == ["cat", "dog"]


def test_memory_of_a_table_grows_no_faster_than_its_rows() -> None:
    """A million rows, and their time: docs/data-figures.md."""
    put("images/a.png")
    rows = "".join(f"r{number},a.png,c{number % 10}\n" for number in range(15_000))
    source = {"train": write("t.csv", f"id,file,label\n{rows}"), "images": "images", "image_column": "file"}
    tracemalloc.start()
    assert len(read("csv", **source)["train"]) == 15_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak / 15_000 < 2_000, "bytes per row"


# --- paths that lead elsewhere

OUT = [
    "../secret.png",
    "a/../../secret.png",
    "..\\secret.png",
    "/secret.png",
    "C:\\secret.png",
    "\\\\host\\secret.png",
    '["/secret.png"]',
]
"""The last is how goldfold's own tables write an image of several files."""


@pytest.mark.parametrize("name", OUT)
def test_a_path_that_leads_out_of_the_data_is_refused_wherever_it_is_listed(name: str) -> None:
    put("data/images/a.png", "data/secret.png", "secret.png")
    write("data/secret.xml", "<annotation/>"), write("data/xml/a.xml", "<annotation/>")
    entry = {"images": [{"id": 1, "file_name": name}], "annotations": [], "categories": []}
    sources: dict[str, dict[str, Any]] = {
        "csv": {"train": write("t.csv", f"id,label\na,x\n{name},y\n"), "images": "data/images"},
        "coco": {"train": write("t.json", json.dumps(entry)), "images": "data/images"},
        "voc": {"annotations": "data/xml", "images": "data/images", "train": write("t.txt", f"a\n{name}\n")},
    }
    for source, settings in sources.items():
        with pytest.raises(DataError) as caught:
            read(source, **settings)
        assert str(caught.value) == (
            f"{settings['train']}: {name!r} leads out of the folder of the data. Write paths relative to it, without '..' "
            f"and without a leading '/' or '[\"'."
        )


def test_dots_and_colons_in_names_lead_nowhere() -> None:
    names = ["a..b/1.png", "./x.png", "...", "a:b.png", "sub\\1.png"]
    assert [inside(name, "t") for name in names] == ["a..b/1.png", "x.png", "...", "a:b.png", "sub/1.png"]


@pytest.mark.parametrize("source", ["voc", "yolo"])
def test_no_file_of_boxes_may_be_a_link_to_outside(source: str) -> None:
    xml = "<annotation><object><name>a</name><bndbox>{}</bndbox></object></annotation>".format(
        "".join(
            f"<{side}>{number}</{side}>" for side, number in zip(("xmin", "ymin", "xmax", "ymax"), "1155", strict=True)
        )
    )
    secret = write("secret", xml if source == "voc" else "0 0.5 0.5 0.2 0.2")
    put("data/images/1.png")
    link = Path({"voc": "data/labels/1.xml", "yolo": "data/labels/1.txt"}[source])
    link.parent.mkdir()
    link.symlink_to(Path(secret).resolve())
    settings = {
        "voc": {"annotations": "data/labels", "images": "data/images"},
        "yolo": {"train": "data", "names": write("n.yaml", "names: [a]")},
    }[source]
    with pytest.raises(DataError, match=rf"{link.name} leads to .*secret, which lies outside the folders"):
        read(source, **settings)
    assert len(read(source, **settings, outside_links="follow")["train"]) == 1


@pytest.mark.parametrize("what", ["stack", "instances"])
def test_no_file_of_an_image_or_mask_of_several_may_be_a_link_to_outside(what: str) -> None:
    put("secret.png", "data/1/images/1.png", "data/1/masks/a.png", "data/s_red.png", "data/s_green.png")
    link = Path("data/1/masks/b.png" if what == "instances" else "data/s_blue.png")
    link.symlink_to(Path("secret.png").resolve())
    settings = {
        "stack": ("csv", {"train": write("t.csv", "id,label\ns,x\n"), "images": "data", "stack": ["red", "blue"]}),
        "instances": ("instances", {"train": "data/../data2"}),
    }
    Path("data2").mkdir(), Path("data/1").rename("data2/1")
    source, named = settings[what]
    with pytest.raises(DataError, match=rf"{link.name} leads to .*secret\.png, which lies outside the folders"):
        read(source, **named)
    assert len(read(source, **named, outside_links="follow")["train"]) >= 1


def test_a_name_that_would_break_goldfold_s_own_tables_is_refused() -> None:
    put("data/a/one\nline.png", "data/b/x.png")
    assert read("folder", train="data")["train"]["id"].tolist() == ["a/one\nline", "b/x"]
    put("data/b/car\rriage.png")
    with pytest.raises(DataError, match=r"^train: id 'b/car\\rriage' has a carriage return in it\. Rename it\."):
        read("folder", train="data")


def test_nested_beyond_reading_is_told_as_broken() -> None:
    put("data/a.png"), write("data/a.txt", "0 .5 .5 .2 .2")
    with pytest.raises(DataError, match=r"^data\.train: t\.json is not JSON: maximum recursion depth"):
        read("coco", train=write("t.json", "[" * 200_000), images="data")
    with pytest.raises(DataError, match=r"^data\.names: n\.yaml: line 1: nested deeper than 50 levels"):
        read("yolo", train="data", names=write("n.yaml", "names: " + "[" * 2000))


# --- annotation files


def test_coco_categories_may_begin_at_0_have_gaps_and_stand_in_any_order() -> None:
    numbers = {"tv": 72, "person": 0, "cat": 17}
    content = {
        "images": [{"id": 0, "file_name": "a.png"}],
        "annotations": [
            {"id": n, "image_id": 0, "category_id": number, "bbox": [n, 0, 1, 1]}
            for n, number in enumerate(numbers.values())
        ],
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
    }
    found = read("coco", train=write("t.json", json.dumps(content)), images="data")
    assert found["train"]["boxes"][0] == '[["tv",0,0,1,1],["person",1,0,2,1],["cat",2,0,3,1]]'
    assert dict(zip(found["categories"]["name"], found["categories"]["id"], strict=True)) == numbers


def test_a_box_that_counts_from_1_fills_its_image() -> None:
    """VOC's first pixel is 1 and its last is the width: as corners from 0, with the last exclusive, 0 and the width."""
    put("images/a.png", size=(48, 64))
    box = "<xmin>1</xmin><ymin>1</ymin><xmax>64</xmax><ymax>48</ymax>"
    write("xml/a.xml", f"<annotation><object><name>x</name><bndbox>{box}</bndbox></object></annotation>")
    found = read("voc", annotations="xml", images="images", one_based=True)["train"]
    assert list(found["boxes"]) == ['[["x",0,0,64,48]]']
