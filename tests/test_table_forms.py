"""Tables that are no CSV with a header: JSON, lists without one, names of classes; and the nearest name of what is missing."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import downloads
from goldfold.base.errors import ConfigError, DataError
from goldfold.config import parse, slices
from goldfold.images.nearest import nearest_file, nearest_of
from goldfold.sources import read
from goldfold.stages import manifest

pytestmark = pytest.mark.usefixtures("in_tmp")
NAMES = ("1.png", "2.png")
ROWS = [{"id": "1.png", "label": "cat"}, {"id": "2.png", "label": "7"}]
MODELS = [{"name": "a", "network": "small_resnet", "image_size_px": 8}]
PICTURE = downloads.picture(0)


def write(name: str, content: Any) -> str:
    Path(name).write_text(content if isinstance(content, str) else json.dumps(content))
    return name


def table(name: str = "t.json", content: Any = None, **settings: Any) -> list[dict[str, str]]:
    """Rows of a csv source without their paths, of which the images are all there."""
    for image in NAMES:
        downloads.save(Path("img") / image, PICTURE)
    if content is not None:
        write(name, content)
    found = read("csv", train=name, images="img", **settings)["train"]
    assert list(found["path"]) == [f"img/{image}" for image in NAMES]
    return list(found.drop(columns="path").to_dict("records"))


# --- JSON


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ({"1.png": "cat", "2.png": 7}, {}),
        ({"cat": ["1.png"], "7": ["2.png"]}, {}),
        ({"1.png": ["cat"], "2.png": [7]}, {}),
        ([{"id": "1.png", "label": "cat"}, {"label": 7, "id": "2.png", "more": {"x": 1}}], {}),
        ([{"file_name": " 1.png", "kind": "cat"}, {"file_name": "2.png", "kind": 7}],
         {"id_column": "file_name", "label_column": "kind"}),
        ({"info": {"year": 1}, "images": [{"id": "1.png", "label": "cat"}, {"id": "2.png", "label": 7}]}, {}),
        ({"id": {"0": "1.png", "1": "2.png"}, "label": {"0": "cat", "1": 7}}, {}),
        ({"id": ["1.png", "2.png"], "label": ["cat", 7]}, {}),
    ],
    ids=["path: label", "label: paths", "lists of one", "records", "named", "below one key", "columns of pandas", "columns"],
)  # fmt: skip
def test_json_is_a_table(content: Any, settings: Any) -> None:
    label = settings.get("label_column", "label")
    rows = table(content=content, **settings)
    assert [{"id": row["id"], "label": row["label"]} for row in rows] == ROWS, label


def test_json_lines_and_records_by_id_are_tables_too() -> None:
    assert table("t.jsonl", "\n".join(map(json.dumps, ROWS)) + "\n\n") == ROWS
    content = {"x": {"path": "1.png", "label": True}, "y": {"path": "2.png", "label": None, "age": 1.5}}
    rows = table(content=content, image_column="path", metadata={"numeric": ["age"], "categorical": []})
    assert [row["id"] for row in rows] == ["x", "y"]
    assert (rows[0]["label"], rows[1]["meta_age"]) == ("true", "1.5")
    assert pd.isna(rows[1]["label"])
    assert pd.isna(rows[0]["meta_age"])


def test_several_labels_of_json_need_a_separator_that_is_in_none() -> None:
    content = {"1.png": ["wet", "a dog"], "2.png": []}
    assert table(content=content, label_separator="|", empty_label="no_class") == [
        {"id": "1.png", "labels": '["wet","a dog"]'},
        {"id": "2.png", "labels": "[]"},
    ]
    with pytest.raises(DataError, match=r"^t\.json: record 1 has 2 labels\. Set data\.label_separator"):
        table()
    with pytest.raises(DataError, match=r"record 1: label 'a dog' contains data\.label_separator ' '"):
        table(label_separator=" ")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", r"^data\.train: cannot read t\.json as JSON: .*Write \{path: label\}, \{id: \{path"),
        ('{"a.png": "x", "a.png": "y"}', r"'a\.png' is given twice"),
        (
            {"train": {"a.png": "x"}, "val": ["b"]},
            r"t\.json has a table per split \('train', 'val'\)\. Write each",
        ),
        ([1, 2], r"t\.json is not a table of images\. Write"),
        ([], r"t\.json is not a table of images\. Write"),
        ([{"file": "1.png", "label": "x"}], r"no column 'id': nearest is 'file'; .*Set data\.id_column: file\."),
        ([{"id": "1.png"}, {"label": "x"}], r"t\.json: column 'id' is empty in record 2\. Fill it in\."),
        ("[" * 100_000, r"cannot read t\.json as JSON: maximum recursion depth"),
    ],
)
def test_json_of_another_form_is_refused(content: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        table(content=content)


# --- tables without a header


@pytest.mark.parametrize("mark", [", ", ",", "\t", " ", ";", "   "])
def test_a_list_without_a_header_has_the_columns_that_are_named(mark: str) -> None:
    rows = f"\ufeff1.png{mark}cat{mark}0\r\n\r\n2.png{mark}7{mark}1\r\n"
    settings = {"columns": ["file", "fine", "coarse"], "id_column": "file"}
    assert table("t.txt", rows, **settings, label_column="fine") == ROWS
    assert [row["label"] for row in table("t.txt", **settings, label_column="coarse")] == ["0", "1"]


def test_several_tables_are_pooled_and_test_lists_may_be_short() -> None:
    downloads.grocery(Path("g"))
    write("short.txt", "".join(f"{line.split(',')[0]}\n" for line in Path("g/test.txt").read_text().splitlines()))
    names = {"file": "g/classes.csv", "id": "Coarse Class ID (int)", "name": "Coarse Class Name (str)"}
    settings: dict[str, Any] = {"images": "g", "columns": ["image", "label", "coarse"], "id_column": "image"}
    lists = ["g/train.txt", "g/val.txt"]
    found = read(
        "csv", train=lists, test="short.txt", test_answers="g/test.txt", class_names="g/classes.csv", **settings
    )
    assert {split: len(rows) for split, rows in found.items()} == {"train": 24, "test": 6, "answers": 6}
    assert found["train"]["label"].value_counts().to_dict() == {name: 4 for name, _, _ in downloads.GROCERIES}
    assert list(found["answers"]["label"]) == [name for name, _, _ in downloads.GROCERIES]
    coarse = read("csv", train=lists, class_names=names, label_column="coarse", **settings)["train"]
    assert coarse["label"].value_counts().to_dict() == {"Apple": 8, "Milk": 8, "Kiwi": 4, "Carrots": 4}
    with pytest.raises(
        DataError, match=r"which columns of g/classes\.csv are the ids \(such as 0, 1, 2\) and their names\?"
    ):
        read("csv", train=lists, class_names="g/classes.csv", label_column="coarse", **settings)
    with pytest.raises(DataError, match=r"id 'train/Fruit/.*' is in g/train\.txt and in copy\.txt\. Keep it in one"):
        read("csv", train=["g/train.txt", write("copy.txt", Path("g/train.txt").read_text())], **settings)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("1.png,cat\n2.png,7\n", r"t\.txt has 2 fields in line 1, and data\.columns names 3 \(image, label, more\)"),
        ("1.png,cat,0\n\n2.png,7\n", r"t\.txt has 2 fields in line 3, and"),
        ("image,label,more\n1.png,x,0\n", r"the first line of t\.txt \(image, label, more\) is a header.*Remove data\.columns"),
        ("file,class,z\n1.png,x,0\n2.png,x,0\n", r"the first line of t\.txt \(file, class, z\) is a header"),
        ("1.png,,0\n,x,0\n", r"t\.txt: column 'image' is empty in line 2"),
        ("\n", r"t\.txt has no rows"),
        ("1.png,x,\"0\n", r"cannot read t\.txt: unexpected end of data"),
    ],
)  # fmt: skip
def test_a_list_without_a_header_that_would_be_read_wrong_is_refused(content: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        table("t.txt", content, columns=["image", "label", "more"], id_column="image")


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"columns": ["image", "label"]}, "columns has no 'id': it has: image, label. Name the columns that hold"),
        ({"columns": ["id", "lable"]}, "columns has no 'label': nearest is 'lable'; it has: id, lable"),
        ({"target_column": "x", "class_names": "c.csv"}, "class_names is for labels, and target_column has numbers"),
    ],
)
def test_columns_and_names_that_do_not_fit_are_refused_before_any_job(settings: Any, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"name": "t", "data": {"source": "csv", "train": "t.txt", "images": "img", **settings}, "models": MODELS})
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "settings", [{"columns": ["id", "label"]}, {"train": "pipe.json"}, {"class_names": "pipe.txt"}]
)
def test_what_is_no_file_is_refused_and_not_waited_for(settings: Any) -> None:
    downloads.save(Path("img/1.png"), PICTURE)
    for name in ("pipe.txt", "pipe.json"):
        os.mkfifo(name)
    given = {"train": "pipe.txt" if "columns" in settings else write("t.csv", "id,label\n1,x\n"), **settings}
    with pytest.raises(DataError, match=r"cannot read pipe\.\w+.*: not a regular file \(a named pipe\)\."):
        read("csv", images="img", **given)


def test_changed_lists_and_names_are_changed_inputs() -> None:
    names = {"file": "c.csv", "id": "a", "name": "b"}
    for given, path in (("c.json", "c.json"), (names, "c.csv")):
        data = {"source": "csv", "train": ["a.csv", "b.csv"], "images": "img", "class_names": given}
        config = parse({"name": "t", "data": data, "models": MODELS})
        assert config.data.raw_paths() == ["a.csv", "b.csv", "img", path]


# --- names of classes

LABELS = {"1.png": 1, "2.png": 0}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("c.csv", "id,name\n0,dog\n1,cat\n"),
        ("c.csv", "Name,Number\ncat,1\ndog,0\n"),
        ("c.csv", "0,dog\n1,cat\n"),
        ("c.csv", "name\ndog\ncat\n"),
        ("c.csv", "dog\ncat\n"),
        ("c.txt", "dog\ncat\n"),
        ("c.txt", "1 cat\n0: dog\n"),
        ("c.names", "cat, 1\ndog, 0\n"),
        ("c.json", {"0": "dog", "1": "cat"}),
        ("c.json", {"dog": 0, "cat": 1}),
        ("c.json", ["dog", "cat"]),
        ("c.json", {"classes": [{"id": 0, "name": "dog", "more": "x"}, {"id": 1, "name": "cat", "more": "x"}]}),
        ("c.json", {"0": {"name": "dog"}, "1": {"name": "cat"}}),
        ("c.yaml", "names: [dog, cat]\n"),
        ("c.yaml", "0: dog\n1: cat\n"),
    ],
)
def test_numbers_of_classes_get_the_names_of_a_file(name: str, content: Any) -> None:
    assert [row["label"] for row in table(content=LABELS, class_names=write(name, content))] == ["cat", "dog"]


def test_codes_and_sets_of_classes_get_names() -> None:
    codes = {"file": write("c.csv", "n,code,text\n7,n01,tench\n8,n02,shark\n"), "id": "code", "name": "text"}
    assert [row["label"] for row in table(content={"1.png": "n02", "2.png": "n01"}, class_names=codes)] == [
        "shark",
        "tench",
    ]
    rows = table(content={"1.png": [0, 1], "2.png": []}, label_separator=" ", class_names=write("c.json", ["a b", "c"]))
    assert rows[0]["labels"] == '["a b","c"]'


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "c.csv",
            "id,name\n0,dog\n2,cat\n",
            r"^data\.class_names: c\.csv has no name for label '1'; it names 0, 2\. Add it",
        ),
        ("c.csv", "id,name\n0,dog\n1,dog\n", r"c\.csv calls '1' and '0' both 'dog'\. Give each class its own name"),
        ("c.csv", "id,name\n0,dog\n1,cat\n0,fox\n", r"c\.csv calls '0' 'dog' and 'fox'\. Give it one name"),
        (
            "c.csv",
            "id,name,coarse\n0,dog,1\n1,cat,0\n",
            r"which columns of c\.csv are the ids .*It has: id, name, coarse\. Write",
        ),
        ("c.csv", "a,b\n0,dog,\n1,cat\n", r"cannot read c\.csv: its rows differ in the number of fields"),
        ("c.csv", "id,name\ncat,feline\ndog,canine\n", r"which columns of c\.csv are the ids \(such as 1, 0\)"),
        ("c.json", {"0": 1}, r"c\.json has no name for label|which columns of c\.json"),
        ("c.json", [[1]], r"cannot read c\.json: it is neither a list of names nor \{id: name\}"),
        ("c.txt", "", r"cannot read c\.txt: it is empty"),
    ],
)
def test_names_that_do_not_fit_are_refused(name: str, content: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        table(content=LABELS, class_names=write(name, content))


def test_labels_that_are_names_already_and_columns_that_are_not_there_are_refused() -> None:
    write("c.csv", "id,name\n0,dog\n1,cat\n")
    with pytest.raises(DataError, match=r"remove it if the labels are names"):
        table(content={"1.png": "dog", "2.png": "cat"}, class_names="c.csv")
    with pytest.raises(DataError, match=r"c\.csv has no column 'Name': nearest is 'name'; it has: id, name"):
        table(content=LABELS, class_names={"file": "c.csv", "id": "id", "name": "Name"})


# --- the nearest name


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("a.png", "a.PNG"), ("A.PNG", "a.PNG"), ("7", "007.png"), ("7.png", "007.png"), ("0007.jpg", "007.png"),
        ("b.png", "b.jpg"), ("d.png", "sub/d.png"), ("catt 1", "Cat 1.png"), ("8", None), ("Cat 2.png", None), ("zzz", None),
    ],
)  # fmt: skip
def test_the_nearest_name_differs_by_case_suffix_zeros_folder_or_a_slip(name: str, meant: str | None) -> None:
    assert nearest_of(name, ["007.png", "070.png", "Cat 1.png", "a.PNG", "b.jpg", "sub/d.png"]) == meant


def test_a_missing_image_is_reported_with_the_nearest_and_what_to_write() -> None:
    for name in ("img/007.PNG", "img/008.png", "img/s/9.png"):
        downloads.save(Path(name), PICTURE)
    for wanted, hint in (
        ("img/7.*", "nearest is img/007.PNG: write '007'"),
        ("img/007.png", "nearest is img/007.PNG: write '007.PNG'"),
        ("img/9.png", "nearest is img/s/9.png: write 's/9.png' below img"),
        ("img/S/9.png", "nearest is img/s/9.png: write 's/9.png' below img"),
        ("img/5.png", ""),
    ):
        assert nearest_file(wanted) == hint
    write("t.csv", "id,label\n7,x\n008,y\n")
    config = parse({"name": "t", "data": {"source": "csv", "train": "t.csv", "images": "img"}, "models": MODELS})
    said = (
        r"1 of 2 images cannot be used, first '7' \(img/7\.\*: file is missing; nearest is img/007\.PNG: write '007'\)\. "
        r"Restore"
    )
    with pytest.raises(DataError, match=said):
        manifest.run(folder="out", workers=1, **slices.manifest(config))


def test_ids_of_groups_and_samples_are_reported_with_the_nearest() -> None:
    for name in ("raw/a/07.png", "raw/b/2.png"):
        downloads.save(Path(name), PICTURE)
    write("groups.csv", "id,group\na/7,g\nb/2,h\n")
    with pytest.raises(
        DataError, match=r"1 of 2 training images have no group, first 'a/07'\. The nearest id is 'a/7'\. Add"
    ):
        read("folder", train="raw", groups="groups.csv")


def test_a_subset_of_run_lengths_is_left_out_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("1", "2", "3"):
        downloads.save(Path(f"img/{name}.png"), PICTURE)
    settings = {"train": write("t.csv", "id,rle\n1,1 2\n"), "images": "img", "unlisted": "left_out"}
    assert list(read("rle", **settings)["train"]["id"]) == ["1"]
    assert "2 images below img are in no table, first img/2.png: left out" in capsys.readouterr().out
    assert list(read("rle", **settings, unlabeled="img")["unlabeled"]["id"]) == ["2", "3"]
    assert "no table" not in capsys.readouterr().out
