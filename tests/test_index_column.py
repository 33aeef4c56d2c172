"""Columns that only number the rows of a table: passed over by init, and by readers that go by a column's place."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from conftest import picture, save_picture
from goldfold.commands.init import command
from goldfold.commands.init.table_files import tables_of
from goldfold.commands.init.walk import walk
from goldfold.config import load, slices
from goldfold.sources.index_column import is_index, may_be_ids
from goldfold.sources.reading import read_csv, without_index
from goldfold.sources.table import answers
from goldfold.stages import manifest

pytestmark = pytest.mark.usefixtures("in_tmp")
N = 12


@pytest.mark.parametrize(
    ("name", "values", "wanted"),
    [
        ("", ["0", "1", "2"], True),
        ("Unnamed: 0", ["7", "2", "2"], True),
        ("Unnamed: 0.1", ["0.0", "1.0"], True),
        ("", [None, None], True),
        ("", ["a.png", "b.png"], False),
        ("Unnamed: 0", ["0", None], False),
        ("index", ["0", "1", "2"], True),
        ("Index", ["1", "2", "3"], True),
        ("index", ["2", "0", "1"], False),
        ("index", ["0"], False),
        ("unnamed: 0", ["4", "9"], True),
        ("...1", ["4", "9"], True),
        ("X", ["1", "2", "3"], True),
        ("x", ["4", "9"], False),
        ("id", ["0", "1", "2"], False),
        ("grade", ["0", "1", "2"], False),
    ],
)
def test_an_index_has_no_name_or_counts_the_rows(name: str, values: list[str | None], wanted: bool) -> None:
    assert is_index(name, values) == wanted


def test_ids_are_text_or_whole_numbers_that_differ() -> None:
    assert may_be_ids(["a", "a", "3"])
    assert may_be_ids(["3", "1"])
    assert not may_be_ids(["0.25", "0.75"])
    assert not may_be_ids(["1", "0", "1"])
    assert not may_be_ids([None])


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (",id,label\n0,a,x\n1,b,y\n", ["id", "label"]),
        ("Unnamed: 0,Unnamed: 0.1,id,label\n0,0,a,x\n1,1,b,y\n", ["id", "label"]),
        ("\ufeff,id,label\n0,a,x\n1,b,y\n", ["id", "label"]),
        (",label\n0,x\n1,y\n", ["column 1", "label"]),
        (",cat,dog\n0,0.5,0.5\n1,0.5,0.5\n", ["column 1", "cat", "dog"]),
        ("index,cat,dog\n0,0.25,0.75\n1,0.3,0.7\n", ["index", "cat", "dog"]),
        ("id,label,\na,x,\nb,y,\n", ["id", "label"]),
        (",label,site\n7.png,x,1\n8.png,y,1\n", ["column 1", "label", "site"]),
    ],
)
def test_readers_by_place_pass_over_an_index_and_keep_ids(text: str, columns: list[str]) -> None:
    Path("t.csv").write_text(text, encoding="utf-8")
    assert list(without_index(read_csv("t.csv", "t")).columns) == columns


def test_true_labels_behind_an_index_are_those_of_the_images() -> None:
    Path("a.csv").write_text("Unnamed: 0,image,class\n0,x1,cat\n1,x2,dog\n")
    assert answers("a.csv")["answers"].to_dict("list") == {"id": ["x1", "x2"], "label": ["cat", "dog"]}


def write(name: str, header: str, rows: list[tuple[Any, ...]]) -> None:
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    Path("raw", name).write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("header", ["", "Unnamed: 0", "index"])
def test_init_and_the_first_job_join_by_the_ids_and_not_by_the_index(header: str) -> None:
    """Images are called 0.png, 1.png, ... too, so the index would match them, each with the label of another."""
    for number in range(N + 4):
        save_picture(Path(f"raw/images/{number}.png"), picture(number, (16, 16)))
    labels = {str(number): "cat" if number % 3 else "dog" for number in range(N)}
    write("train.csv", f"{header},file,kind", [(row, N - 1 - row, labels[str(N - 1 - row)]) for row in range(N)])
    write("sample_submission.csv", f"{header},file,kind", [(row, N + 3 - row, "cat") for row in range(4)])
    found = json.loads(command.init(Path("raw"), Path("mine.yaml"), None, True, True))
    assert found["values"]["data"]["id_column"] == "file"
    assert found["values"]["data"]["label_column"] == "kind"
    assert "metadata" not in found["values"]["data"]
    assert found["values"]["submission"] == {"sample": "raw/sample_submission.csv"}
    manifest.run(folder="made", workers=1, **slices.manifest(load("mine.yaml")))
    train = pd.read_csv("made/train.csv", dtype=str)
    assert dict(zip(train["id"], train["label"], strict=True)) == labels
    assert pd.read_csv("made/test.csv", dtype=str)["id"].tolist() == ["15", "14", "13", "12"]


def test_a_column_without_a_name_may_name_the_images() -> None:
    for name in ("a", "b", "c", "d"):
        save_picture(Path(f"raw/images/{name}.png"), picture(ord(name), (16, 16)))
    write("train.csv", ",kind", [("a.png", "cat"), ("b.png", "dog"), ("c.png", "cat"), ("d.png", "dog")])
    (table,) = tables_of(walk(Path("raw")))
    assert (table.match and table.match.column, table.columns) == ("column 1", ["column 1", "kind"])


def test_a_name_of_two_columns_is_said_by_init_as_the_reader_refuses_it() -> None:
    save_picture(Path("raw/images/a.png"), picture(0, (16, 16)))
    write("train.csv", "id,kind,kind", [("a", "cat", "dog"), ("a", "cat", "dog")])
    (table,) = tables_of(walk(Path("raw")))
    assert [(doubt.text, doubt.stops) for doubt in table.doubts] == [
        ("raw/train.csv has two columns named 'kind'. Rename or remove one.", True)
    ]
