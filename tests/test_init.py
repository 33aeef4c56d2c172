"""goldfold init: each layout as downloaded, well made and messy, read, doubted, written, and read by the first job."""

import json
import os
import subprocess
import sys
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from conftest import REPO, coco_of, picture, save_picture, scene, write_scenes
from goldfold.base.errors import DataError
from goldfold.cli import main
from goldfold.commands.init import command, pictures, rehearsal
from goldfold.commands.init.walk import common, walk
from goldfold.config import load, slices
from goldfold.config.root import Config
from goldfold.stages import folds, manifest

pytestmark = pytest.mark.usefixtures("in_tmp")


@pytest.fixture(autouse=True)
def _no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict of goldfold check is left to tests/test_readings.py; here the first jobs themselves are run."""
    monkeypatch.setattr(rehearsal, "refusal", lambda values, looked: None)


def images(folder: str, names: Sequence[str], suffix: str = ".jpg", size: tuple[int, int] = (24, 32)) -> None:
    for name in names:
        seed = zlib.crc32(f"{folder}/{name}{suffix}".encode())
        save_picture(Path("raw") / folder / f"{name}{suffix}", picture(seed, size))


def table(name: str, rows: Sequence[Sequence[Any]], mark: str = ",", encoding: str = "utf-8") -> None:
    path = Path("raw") / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(mark.join(map(str, row)) for row in rows) + "\n", encoding=encoding)


def init() -> dict[str, Any]:
    """What the command says for machines, and the text that it says for people, under ``text``."""
    told: list[str] = []
    for path, as_json in ((Path("mine.yaml"), False), (Path("other.yaml"), True)):
        told.append(command.init(Path("raw"), path, None, True, as_json))
    return {**json.loads(told[1]), "text": told[0]}


def texts(found: dict[str, Any], stops: bool | None = None) -> str:
    return "\n".join(doubt["text"] for doubt in found["doubts"] if stops is None or doubt["stops"] == stops)


def first_jobs() -> tuple[Config, dict[str, pd.DataFrame]]:
    """The written config, and the tables that manifest and folds make with it."""
    config = load("mine.yaml")
    manifest.run(folder="made", workers=1, **slices.manifest(config))
    folds.run(manifest="made", folder="folds", **slices.folds(config))
    names = [*config.tables, "quarantine"]
    return config, {name: pd.read_csv(f"folds/{name}.csv", dtype=str, keep_default_na=False) for name in names}


def numbered(word: str, n: int) -> list[str]:
    return [f"{word}{number:02d}" for number in range(n)]


# --- class folders
def test_flat_class_folders_below_a_wrapper() -> None:
    images("set/all/cat", numbered("c", 6))
    images("set/all/dog house", numbered("d", 7))
    Path("raw/README.txt").write_text("photos, many\n")
    found = init()
    assert (found["source"], found["classes"], found["images"]) == ("folder", {"dog house": 7, "cat": 6}, {"train": 13})
    assert found["values"]["data"]["train"] == "raw/set/all"
    assert found["sizes"] == "all 32 x 24"
    assert "no test images" in texts(found)
    assert texts(found, stops=True) == ""
    config, made = first_jobs()
    assert (config.name, len(made["train"]), config.folds.n_folds) == ("raw", 13, 5)


def test_train_and_validation_folders_are_pooled_and_test_is_predicted() -> None:
    for label in ("cat", "dog"):
        images(f"train/{label}", numbered(label, 6))
        images(f"val/{label}", numbered(f"v{label}", 3))
        images(f"test/{label}", numbered(f"t{label}", 2))
    found = init()
    assert found["images"] == {"train": 18, "test": 4}
    assert found["classes"] == {"cat": 9, "dog": 9}
    assert "raw/val (6 images) is pooled" in texts(found)
    assert "raw/test has class folders: its labels are known" in texts(found)
    _, made = first_jobs()
    assert (len(made["train"]), len(made["test"])) == (18, 4)


def test_validation_folder_that_the_source_cannot_pool_is_said() -> None:
    for label in ("cat", "dog"):
        images(f"train/{label}", numbered(label, 6))
        images(f"val/{label}", numbered(label, 3))
    images("unlabeled", numbered("u", 4))
    found = init()
    assert "raw/val (6 images) is not used" in texts(found)
    config, made = first_jobs()
    assert (config.data.train, len(made["train"]), len(made["unlabeled"])) == ("raw/train", 12, 4)  # type: ignore[union-attr]


def test_sample_submission_of_class_folders() -> None:
    for label in ("cat", "dog"):
        images(f"train/train/{label}", numbered(label, 6))
    images("test1", ["1", "2", "3"])
    images("test", ["1", "2", "3"])
    for stray in Path("raw/test1").iterdir():
        stray.unlink()
    table("sampleSubmission.csv", [("id", "label"), (1, 0.5), (2, 0.5), (3, 0.5)])
    found = init()
    assert found["values"]["submission"] == {"sample": "raw/sampleSubmission.csv"}
    assert found["values"]["data"]["classes"] == ["cat", "dog"]
    assert "taken for that of 'dog'" in texts(found)
    assert found["values"]["metric"] == "roc_auc"
    assert "metric: roc_auc # the sample submission holds probabilities" in Path("mine.yaml").read_text()
    _, made = first_jobs()
    assert made["test"]["id"].tolist() == ["1", "2", "3"]


def test_sample_submission_that_does_not_fit_is_left_out() -> None:
    for label in ("cat", "dog", "owl"):
        images(f"train/{label}", numbered(label, 6))
    images("test", ["a", "b"])
    table("sample_submission.csv", [("id", "cat", "dog"), ("a", 0, 1), ("b", 1, 0)])
    assert "cannot be filled, and is not used: raw/sample_submission.csv: no column for class 'owl'" in texts(init())
    table("sample_submission.csv", [("id", "label"), ("a", "cat"), ("c", "cat")])
    assert "its ids are not those of the test images" in texts(init())
    first_jobs()


@pytest.mark.parametrize(
    ("rows", "metric"),
    [
        ([("id", "cat", "dog", "owl"), ("a", 0.2, 0.5, 0.3), ("b", 1, 0, 0)], "log_loss"),
        ([("id", "cat", "dog", "owl"), ("a", 0, 1, 0), ("b", 1, 0, 0)], "accuracy"),
        ([("id", "cat", "dog"), ("a", 0.5, 0.5), ("b", 1, 0)], "accuracy"),
        ([("id", "label"), ("a", "cat"), ("b", "owl")], "accuracy"),
    ],
)
def test_the_metric_suits_what_the_sample_submission_holds(rows: Sequence[tuple[Any, ...]], metric: str) -> None:
    for label in ("cat", "dog", "owl"):
        images(f"train/{label}", numbered(label, 6))
    images("test", ["a", "b"])
    table("sample_submission.csv", rows)
    assert init()["values"]["metric"] == metric
    assert load("mine.yaml").metric == metric


def test_what_the_folder_source_refuses_is_to_be_put_right_first() -> None:
    images("cat", [*numbered("c", 5), "same"])
    images("cat", ["same"], ".png")
    images("dog", numbered("d", 5))
    images("", ["loose"])
    Path("raw/empty").mkdir()
    stops = texts(init(), stops=True)
    assert "1 image directly in raw, outside the class folders: 'loose.jpg'" in stops
    assert "1 folder in raw without images: 'empty'" in stops
    assert "2 files are named 'cat/same' with different suffixes" in stops


def test_test_folder_among_class_folders_is_to_be_moved() -> None:
    for name in ("cat", "dog", "test"):
        images(name, numbered(name, 5))
    found = init()
    assert "raw/test is among the class folders" in texts(found, stops=True)
    assert found["classes"] == {"cat": 5, "dog": 5}


def test_a_class_that_is_called_train_is_a_class() -> None:
    for name in ("bus", "car", "train"):
        images(name, numbered(name, 5))
    assert init()["classes"] == {"bus": 5, "car": 5, "train": 5}
    first_jobs()


# --- tables
def labelled(
    n: int = 12, label: Callable[[int], str] = lambda number: "cat" if number % 2 else "dog"
) -> list[tuple[str, str]]:
    return [(f"im{number:02d}", label(number)) for number in range(n)]


def test_csv_with_groups_test_and_sample_submission() -> None:
    rows = labelled(20)
    images("train_images", [id for id, _ in rows])
    images("test_images", numbered("te", 4))
    table(
        "train.csv",
        [
            ("image_id", "width", "label", "patient_id"),
            *((id, 32, label, f"p{n // 4}") for n, (id, label) in enumerate(rows)),
        ],
    )
    table("test.csv", [("image_id",), *((name,) for name in numbered("te", 4))])
    table("sample_submission.csv", [("image_id", "label"), *((name, "cat") for name in numbered("te", 4))])
    found = init()
    data = found["values"]["data"]
    assert (found["source"], found["groups"], found["images"]) == ("csv", 5, {"train": 20, "test": 4})
    assert data["test"] == "raw/test.csv"
    assert (data["images"], data["test_images"]) == ("raw/train_images", "raw/test_images")
    assert (data["id_column"], data["label_column"], data["group_column"]) == ("image_id", "label", "patient_id")
    assert found["values"]["submission"]["sample"] == "raw/sample_submission.csv"
    config, made = first_jobs()
    assert config.folds.splitter == "stratified_group"
    assert made["train"].groupby("group")["fold"].nunique().max() == 1
    assert len(made["test"]) == 4


def test_names_with_suffix_and_folder_beside_an_id_of_their_own() -> None:
    for label in ("a", "b"):
        images(f"photos/{label}", numbered("x", 6))
    rows = [(n, f"{'ab'[n % 2]}/x{n // 2:02d}.jpg", "AB"[n % 2] * 3) for n in range(12)]
    table("meta/labels.csv", [("id", "file", "species"), *rows])
    data = init()["values"]["data"]
    assert (data["source"], data["images"]) == ("csv", "raw/photos")
    assert (data["id_column"], data["image_column"], data["label_column"]) == ("id", "file", "species")
    _, made = first_jobs()
    assert made["train"]["id"].tolist()[:3] == ["0", "1", "2"]


def test_two_ways_to_read_a_folder_are_both_said() -> None:
    for label in ("a", "b"):
        images(f"photos/{label}", numbered(label, 6))
    table(
        "labels.csv",
        [("file", "label"), *((f"{label}/{name}", label) for label in "ab" for name in numbered(label, 6))],
    )
    found = init()
    assert (found["source"], found["other_sources"]) == ("csv", ["folder"])
    row = next(line for line in found["text"].splitlines() if line.startswith("  runner-up"))
    assert row.endswith("one folder per class (source: folder, 12 images), explains 70%; check accepts it")


def test_messy_table() -> None:
    rows = [(f"im{n:02d}.jpg", ("Cat", "cat ", "dog", "unknown")[n % 4]) for n in range(16)]
    images("images", [f"im{n:02d}" for n in range(14)] + ["spare", "more"])
    table("labels.csv", [("filename", "label"), *rows, ("im01.jpg", "dog")], encoding="utf-8-sig")
    told = texts(init())
    assert "raw/labels.csv begins with a byte order mark" in told
    assert "2 rows of labels.csv without an image below raw/images, first 'im14.jpg'" in told
    assert "2 images below raw/images in no table, first 'images/more.jpg'" in told
    assert "labels 'Cat', 'cat' differ only in case or blanks" in told
    assert "labels 'unknown' (3) may mean that there is no label" in told
    assert "names 1 image repeatedly, first 'im01.jpg'. Give every image one row." in texts(init(), stops=True)
    table("labels.csv", [("filename", "label"), *rows], encoding="utf-8-sig")
    config, made = first_jobs_after_init()
    assert (len(made["train"]), len(made["quarantine"])) == (14, 2)
    assert config.data.on_missing_image == "quarantine"


def first_jobs_after_init() -> tuple[Config, dict[str, pd.DataFrame]]:
    init()
    return first_jobs()


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (lambda rows: table("t.csv", [("id", "label"), *rows], ";"), "raw/t.csv is separated by semicolons, goldfold reads"),
        (lambda rows: table("t.tsv", [("id", "label"), *rows], "\t"), "raw/t.tsv is separated by tabs"),
        (lambda rows: table("t.csv", [("id", "label"), *rows], encoding="utf-16"), "raw/t.csv is utf-16, not UTF-8"),
        (lambda rows: table("t.csv", [("id", "label"), *rows, ("im00", "cat", "and more")]), "1 row with another number"),
    ],
)  # fmt: skip
def test_tables_that_goldfold_cannot_read_are_to_be_put_right(write: Callable[..., None], text: str) -> None:
    rows = labelled()
    images("images", [id for id, _ in rows])
    write(rows)
    assert text in texts(init(), stops=True)


def test_fold_column() -> None:
    rows = [(*row, n // 2 % 3) for n, row in enumerate(labelled(18))]
    images("images", [row[0] for row in rows])
    table("train.csv", [("id", "label", "kfold"), *rows])
    config, made = first_jobs_after_init()
    assert (config.folds.splitter, config.folds.n_folds) == ("predefined", 3)
    assert made["train"]["fold"].tolist() == [str(row[2]) for row in rows]
    table("train.csv", [("id", "label", "fold"), *((*row[:2], row[2] + 1) for row in rows)])
    found = init()
    assert "column 'fold' of train.csv does not number folds from 0 ('1', '2', '3'); not used" in texts(found)
    assert found["values"]["folds"] == {"splitter": "stratified", "n_folds": 5}


def test_groups_are_kept_where_one_holds_a_whole_class() -> None:
    rows = [(*row, "north" if row[1] == "cat" else f"south{n % 3}") for n, row in enumerate(labelled())]
    images("images", [row[0] for row in rows])
    table("train.csv", [("id", "label", "site"), *rows])
    found = init()
    assert "all images of 1 class ('cat') are of one 'site'" in texts(found)
    assert found["values"]["data"]["group_column"] == "site"
    assert found["values"]["folds"] == {"splitter": "stratified_group", "n_folds": 4, "rare_classes": "spread"}
    _, made = first_jobs()
    assert made["train"].groupby("group")["fold"].nunique().max() == 1
    rows = [(*row[:2], f"south{n % 4}") for n, row in enumerate(rows)]
    table("train.csv", [("id", "label", "site"), *rows])
    assert "2 classes with fewer than 5 groups of 'site' ('cat', 'dog')" in texts(init())
    table("train.csv", [("id", "label", "site"), *((*row[:2], row[1]) for row in rows)])
    found = init()
    assert "each class is all in one 'site'" in texts(found)
    assert "group_column" not in found["values"]["data"]


def test_cells_of_several_labels_are_parted_before_groups_are_judged() -> None:
    kinds = ("Effusion", "Mass", "Nodule", "Effusion|Mass", "Mass|Nodule", "Effusion|Mass|Nodule", "Effusion|Nodule")
    rows = [(name, kinds[n % 7], f"p{n // 2}") for n, name in enumerate(numbered("im", 21))]
    images("images", [row[0] for row in rows])
    table("train.csv", [("id", "labels", "patient"), *rows, ("gone", "Hernia|Mass", "p0")])
    found = init()
    assert (found["values"]["task"], found["groups"]) == ("multilabel", 11)
    assert found["values"]["folds"] == {"splitter": "stratified_group", "n_folds": 5}
    assert "groups" not in texts(found)
    table("train.csv", [("id", "labels", "patient"), (rows[0][0], "Hernia|Mass", "p0"), *rows[1:]])
    found = init()
    assert found["values"]["folds"] == {"splitter": "stratified_group", "n_folds": 5, "rare_classes": "spread"}
    assert "1 class with fewer than 5 images ('Hernia'), 1 of them with 1 image, which is scored as missed" in texts(
        found
    )
    _, made = first_jobs()
    assert made["train"].groupby("group")["fold"].nunique().max() == 1


def test_columns_of_0_and_1_are_several_labels_an_image() -> None:
    images("images", numbered("im", 15))
    table("train.csv", [("id", "a", "b", "c"), *((f"im{n:02d}", n % 2, n % 3 % 2, int(n > 9)) for n in range(15))])
    found = init()
    assert found["classes"] == {"a": 7, "b": 5, "c": 5}
    values = found["values"]
    assert (values["task"], values["metric"]) == ("multilabel", "f1_macro")
    assert values["data"]["label_columns"] == ["a", "b", "c"]
    assert "4 images of no class in train.csv" in texts(found)
    assert texts(found, stops=True) == ""
    _, made = first_jobs()
    assert made["train"]["labels"].tolist()[:4] == ["[]", '["a","b"]', "[]", '["a"]']
    table(
        "train.csv", [("id", "a", "b", "c"), *((f"im{n:02d}", *(int(n % 3 == k) for k in range(3))) for n in range(15))]
    )
    assert "every image of train.csv has exactly one of 3 columns ('a', 'b', 'c')" in texts(init())
    assert "idxmax(axis=1)" in texts(init())
    table("train.csv", [("id", "a", "b", "c"), *((f"im{n:02d}", 1, n % 2, 0) for n in range(15))])
    assert "column 'c' of train.csv is 0 for every image" in texts(init(), stops=True)


def test_several_labels_in_one_column() -> None:
    labels = ["haze water", "clear", "haze road", "clear water road", "clear water", "haze"]
    images("images", numbered("im", 24))
    table("train.csv", [("id", "tags"), *((f"im{n:02d}", labels[n % 6]) for n in range(24))])
    found = init()
    assert "labels such as 'clear water road' are read as several, separated by ' '" in texts(found)
    assert found["values"]["task"] == "multilabel"
    assert found["classes"] == {"haze": 12, "clear": 12, "water": 12, "road": 8}
    config, made = first_jobs()
    assert config.data.label_separator == " "  # type: ignore[union-attr]
    assert made["train"]["labels"][0] == '["haze","water"]'
    table("train.csv", [("id", "tags"), *((f"im{n:02d}", labels[n % 6].replace(" ", "||")) for n in range(24))])
    found = init()
    assert "16 cells with an empty label, first 'haze||water': it is left out" in texts(found)
    assert len(first_jobs()[1]["train"]) == 24


def test_names_of_two_words_are_one_label() -> None:
    names = [f"{size} {kind}" for size in ("big", "small", "old") for kind in ("cat", "dog", "owl")]
    images("images", numbered("im", 27))
    table("train.csv", [("id", "breed"), *((f"im{n:02d}", names[n % 9]) for n in range(27))])
    assert init()["values"]["task"] == "classification"


def test_a_number_to_predict_and_what_else_is_known() -> None:
    images("images", numbered("im", 30))
    rows = [
        (f"im{n:02d}", n * n / 7, ("north", "south")[n % 2], "" if n == 3 else n % 5, f"note {n}") for n in range(30)
    ]
    table("train.csv", [("id", "score", "region", "kids", "note"), *rows])
    found = init()
    values = found["values"]
    assert (values["task"], values["metric"], values["data"]["target_column"]) == ("regression", "rmse", "score")
    assert values["data"]["metadata"] == {"numeric": ["kids"], "categorical": ["region"]}
    assert found["facts"]["target"] == "score: 0 to 120.143, mean 40.74"
    assert found["facts"]["metadata"] == "numeric: kids; categorical: region"
    assert "column 'score' of train.csv is taken to be a number to predict." in texts(found)
    _, made = first_jobs()
    assert list(made["train"].columns[-2:]) == ["value", "fold"]
    known = pd.read_csv("made/train.csv", dtype=str, keep_default_na=False)
    assert list(known.columns[-3:]) == ["value", "meta_kids", "meta_region"]
    assert known["meta_kids"][3] == ""


def test_the_number_that_the_sample_submission_asks_for_is_learnt() -> None:
    images("train", numbered("im", 40))
    images("test", numbered("te", 4))
    table(
        "train.csv",
        [("Id", "Eyes", "Face", "Blur", "Pop"), *((f"im{n:02d}", n % 2, 1, n % 3 % 2, n) for n in range(40))],
    )
    table("sample_submission.csv", [("Id", "Pop"), *((f"te{n:02d}", 38.5) for n in range(4))])
    found = init()
    assert (found["values"]["task"], found["values"]["data"]["target_column"]) == ("regression", "Pop")
    assert found["values"]["submission"] == {"sample": "raw/sample_submission.csv"}
    first_jobs()


def test_classes_small_rare_and_with_zeros() -> None:
    counts = {"007": 40, "7": 3, "cat": 20}
    rows = [(f"im{label}_{n}", label) for label, count in counts.items() for n in range(count)]
    images("images", [id for id, _ in rows])
    table("train.csv", [("id", "class"), *rows])
    found = init()
    told = texts(found)
    assert "1 class with fewer than 5 images ('7')" in told
    assert "labels such as '007' are numbers with leading zeros: kept as text, zeros included." in told
    assert "'007' and the same number without zeros: write them alike" in texts(found, stops=True)
    assert "classes are imbalanced, 40 '007' against 3 '7': f1_macro is chosen instead of accuracy" in told
    assert (found["values"]["metric"], found["values"]["folds"]["n_folds"]) == ("f1_macro", 5)
    with pytest.raises(DataError, match="labels '007' and '7' are the same number"):
        first_jobs()
    table("train.csv", [("id", "class"), *rows[:41], *rows[43:]])
    assert "1 class with fewer than 5 images ('7'), 1 of them with 1 image" in texts(init(), stops=False)


def test_two_imbalanced_classes_are_scored_by_roc_auc() -> None:
    rows = labelled(30, lambda number: "1" if number % 6 == 0 else "0")
    images("images", [id for id, _ in rows])
    table("train.csv", [("id", "target"), *rows])
    found = init()
    assert (found["values"]["metric"], found["classes"]) == ("roc_auc", {"0": 25, "1": 5})
    first_jobs()


def test_test_table_with_other_names_or_without_images() -> None:
    rows = labelled()
    images("train", [id for id, _ in rows])
    images("test", ["te00"])
    table("train.csv", [("id", "label"), *rows])
    found = init()
    assert "raw/test has 1 image, but no table of their names with a column 'id'" in texts(found)
    table("test.csv", [("file",), ("te00",)])
    assert "raw/test.csv has the images' names in column 'file', train.csv in 'id'" in texts(init())
    table("test.csv", [("id",), ("te00",), ("te01",)])
    assert "1 row of raw/test.csv without an image, first 'te01'" in texts(init(), stops=True)


def test_label_is_what_the_sample_asks_for_and_names_are_of_many_values() -> None:
    rows = [(n % 2, "MF"[n % 3 % 2], 20 + n % 4, n, ("y", "n")[n // 3 % 2]) for n in range(24)]
    images("photos", [str(n) for n in range(24)])
    images("test", ["t1", "t2"])
    table("train.csv", [("target", "sex", "age", "picture", "smokes"), *rows])
    data = init()["values"]["data"]
    assert (data["id_column"], data["label_column"]) == ("picture", "target")
    table("sample_submission.csv", [("picture", "smokes"), ("t1", "n"), ("t2", "n")])
    assert init()["values"]["data"]["label_column"] == "smokes"
    first_jobs()
    table("train.csv", [("sex", "age", "picture", "smokes"), *(row[1:] for row in rows)])
    Path("raw/sample_submission.csv").unlink()
    found = init()
    assert found["values"]["data"]["label_column"] == "smokes"
    assert "the label is taken to be column 'smokes' of train.csv; it could also be 'sex', 'age'" in texts(found)


def test_answers_and_grades() -> None:
    rows = labelled(18, lambda number: str(number % 3))
    images("images", [id for id, _ in rows] + numbered("te", 3))
    table("train.csv", [("id", "label"), *rows])
    table("test.csv", [("id",), *((name,) for name in numbered("te", 3))])
    table("test_answers.csv", [("id", "label"), *((name, n) for n, name in enumerate(numbered("te", 3)))])
    found = init()
    assert found["values"]["data"]["test_answers"] == "raw/test_answers.csv"
    assert "labels are the numbers 0, 1, 2: names or grades?" in texts(found)
    _, made = first_jobs()
    assert made["answers"]["label"].tolist() == ["0", "1", "2"]


def test_images_of_one_table_may_lie_in_several_folders_where_their_names_tell_them_apart() -> None:
    rows = labelled()
    images("part_1", [id for id, _ in rows[:7]])
    images("part_2", [id for id, _ in rows[7:]])
    table("metadata.csv", [("image_id", "dx"), *rows])
    found = init()
    assert (found["source"], found["images"], found["values"]["data"]["images"]) == ("csv", {"train": 12}, "raw")
    _, made = first_jobs()
    assert made["train"]["path"].tolist()[6:8] == ["raw/part_1/im06.jpg", "raw/part_2/im07.jpg"]
    images("part_2", ["im00"])
    stops = texts(init(), stops=True)
    assert "images of raw/metadata.csv are in several folders: 5 rows not in raw/part_1 but e.g. in raw/part_2" in stops


# --- masks
def write_mask(path: str, values: np.ndarray) -> None:
    Path("raw", path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(Path("raw", path))


def mask(*values: int, kind: type = np.uint8) -> np.ndarray:
    """24 x 32 pixels in stripes of these values."""
    return np.resize(np.repeat(np.array(values, kind), 4), (32, 24)).T.copy()


def test_masks_in_a_folder_beside_with_a_suffix() -> None:
    images("images", numbered("im", 10))
    for number in range(9):
        write_mask(f"masks/im{number:02d}_mask.png", mask(0, 255))
    found = init()
    data = found["values"]["data"]
    assert (found["source"], found["values"]["task"], found["values"]["metric"]) == ("masks", "segmentation", "dice")
    assert (data["masks"], data["mask_suffix"], data["mask_values"]) == ("raw/masks", "_mask", "nonzero")
    assert found["facts"]["masks"] == "0 and 255"
    assert "1 image without a mask, first 'images/im09.jpg': it is left out" in texts(found)
    assert found["values"]["models"][0]["image_size_px"] == 32
    _, made = first_jobs()
    assert (len(made["train"]), len(made["quarantine"])) == (9, 1)


def test_masks_in_the_images_own_folders() -> None:
    for patient in ("p1", "p2", "p3"):
        images(patient, numbered("s", 4), ".png")
        for name in numbered("s", 4):
            write_mask(f"{patient}/{name}_mask.png", mask(0, 1))
    found = init()
    assert (found["source"], found["images"], found["values"]["data"]["mask_pattern"]) == (
        "tiles",
        {"train": 12},
        "{id}_mask",
    )
    assert (found["groups"], found["other_sources"]) == (3, ["masks"])
    _, made = first_jobs()
    assert len(made["train"]) == 12


def test_masks_of_indices_with_what_is_to_be_ignored_in_splits() -> None:
    for split, n in (("train", 8), ("test", 3)):
        images(f"{split}/images", numbered(split, n))
        for name in numbered(split, n):
            write_mask(f"{split}/masks/{name}.png", mask(0, 1, 3, 255))
    found = init()
    data = found["values"]["data"]
    assert (data["mask_values"], data["ignore_value"]) == ("index", 255)
    assert (data["test"], data["test_answers"]) == ("raw/test/images", "raw/test/masks")
    assert "value 255 is taken for pixels to ignore" in texts(found)
    assert "values are not 1, 2, ...: 1, 3" in texts(found)
    _, made = first_jobs()
    assert (len(made["train"]), len(made["answers"])) == (8, 3)


def test_splits_within_the_folders_of_images_and_masks() -> None:
    for split, n in (("train", 6), ("val", 3)):
        images(f"images/{split}", numbered(split, n))
        for name in numbered(split, n):
            write_mask(f"annotations/{split}/{name}.png", mask(0, 1, 2))
    found = init()
    assert (found["images"], found["values"]["data"]["train"]) == ({"train": 9}, "raw/images")
    images("images/test", numbered("test", 2))
    found = init()
    data = found["values"]["data"]
    assert data["train"] == ["raw/images/train", "raw/images/val"]
    assert data["masks"] == ["raw/annotations/train", "raw/annotations/val"]
    assert (found["images"], data["test"]) == ({"train": 9, "test": 2}, "raw/images/test")
    first_jobs()


def test_numbered_objects() -> None:
    images("images", numbered("im", 8))
    for number in range(8):
        write_mask(f"labels/im{number:02d}.png", mask(*range(2 + 3 * number), kind=np.uint16))
    found = init()
    assert found["values"]["data"]["mask_values"] == "nonzero"
    assert "the masks number objects" in texts(found)
    first_jobs()


def test_flawed_masks() -> None:
    images("images", numbered("im", 8))
    for number in range(8):
        write_mask(f"masks/im{number:02d}.png", mask(0, 1, 2))
    write_mask("masks/im00.png", mask(0, 1)[:20])
    write_mask("masks/im01.png", picture(0, (24, 32)))
    write_mask("masks/other.png", mask(0, 1))
    stops = texts(init(), stops=True)
    assert "1 of 8 masks looked at is not of its image's size. First: 'images/im00.jpg'" in stops
    assert "1 of 8 masks looked at cannot be used: a colour image" in stops
    assert "1 mask without an image: 'masks/other.png'" in stops
    for path in Path("raw/masks").iterdir():
        path.unlink()
    for number in range(8):
        noise = np.random.default_rng(number).integers(0, 30, (24, 32))
        write_mask(f"masks/im{number:02d}.jpg", (mask(0, 200) + noise).astype(np.uint8))
    assert "masks are JPEG, and lossy compression smears values" in texts(init())


def painted(picture: np.ndarray, *colours: tuple[int, int, int]) -> np.ndarray:
    """The mask with a colour for each value."""
    return np.array(colours, np.uint8)[picture]


def test_colours_of_all_masks_are_listed_to_be_named() -> None:
    images("images", numbered("im", 70))
    for number in range(70):
        values = mask(0, 1, 2) if number == 68 else mask(0, 1)
        write_mask(f"masks/im{number:02d}.png", painted(values, (0, 0, 0), (255, 0, 0), (9, 9, 9)))
    found = init()
    assert found["values"]["data"]["mask_values"] == {"class_1": "#ff0000", "class_2": "#090909"}
    assert found["classes"] == {"class_1": 70, "class_2": 1}, "also the colour of a mask that no sample has"
    assert found["facts"]["colours"] == (
        "#000000 49.76% in 70 masks, #ff0000 49.76% in 70 masks, #090909 0.48% in 1 mask"
    )
    assert "2 colours are classes: name them in data.mask_values." in texts(found)
    assert "black, 49.76% of the pixels, is no class of data.mask_values, so it is background" in texts(found)


@pytest.mark.parametrize(
    ("palettes", "data", "said"),
    [
        ([(255, 255, 255, 0, 0, 0)], {"mask_values": "nonzero"}, ""),
        ([(0, 0, 0, 255, 0, 0, 0, 0, 255)], {"mask_values": "nonzero"}, "all masks share one palette"),
        ([(0, 0, 0, 255, 0, 0), (0, 0, 0, 0, 0, 255)],
         {"mask_values": {"class_1": "#0000ff", "class_2": "#ff0000"}, "mask_palette": "colour"},
         "the palettes of the masks differ: entry 1 is #ff0000 in masks/im00.png and #0000ff in masks/im01.png; the masks are "
         "read by colour."),
    ],
)  # fmt: skip
def test_palettes_of_masks(palettes: list[tuple[int, ...]], data: dict[str, Any], said: str) -> None:
    images("images", numbered("im", 8))
    for number in range(8):
        write_mask(f"masks/im{number:02d}.png", mask(0, 1))
        picture = Image.frombytes("P", (32, 24), mask(0, 1).tobytes())
        picture.putpalette(palettes[number % len(palettes)])
        picture.save(f"raw/masks/im{number:02d}.png")
    found = init()
    chosen = {key: found["values"]["data"].get(key) for key in ("mask_values", "mask_palette")}
    assert chosen == {"mask_palette": None, **data}
    assert said in texts(found)
    first_jobs()


def test_smeared_masks_of_a_format_without_loss() -> None:
    images("images", numbered("im", 8))
    clean = Image.fromarray(np.kron(np.array([[0, 0, 0], [0, 255, 0]], np.uint8), np.ones((12, 11), np.uint8))[:, :32])
    for number in range(8):
        write_mask(
            f"masks/im{number:02d}.png", np.asarray(clean.resize((20, 15)).resize((32, 24), Image.Resampling.BICUBIC))
        )
    found = init()
    data = found["values"]["data"]
    assert (data["mask_values"], data["unlisted_values"]) == ({"foreground": 255}, "nearest")
    assert "they are smeared, most likely by" in texts(found)
    assert "Nearest clean values: 0, 255. data.unlisted_values: nearest maps" in texts(found)
    first_jobs()


def groups_table(name: str, ids: Sequence[str], *columns: str) -> None:
    table(name, [("id", *columns), *((id, *(f"g{n // 3}" for _ in columns)) for n, id in enumerate(ids))])


def test_groups_in_a_table_beside_masks() -> None:
    images("images", numbered("im", 12))
    for name in numbered("im", 12):
        write_mask(f"masks/{name}.png", mask(0, 1))
    groups_table("groups.csv", numbered("im", 12), "group")
    found = init()
    assert (found["groups"], found["values"]["data"]["groups"]) == (4, "raw/groups.csv")
    config, made = first_jobs()
    assert (config.folds.splitter, config.folds.n_folds) == ("stratified_group", 4)
    assert made["train"].groupby("group")["fold"].nunique().max() == 1
    groups_table("groups.csv", numbered("im", 12), "patient")
    found = init()
    assert "column 'patient' of raw/groups.csv may say which images belong together" in texts(found)
    assert "groups" not in found["values"]["data"]


# --- boxes
def test_coco_with_crowds_gaps_test_and_a_missing_image() -> None:
    write_scenes(Path())
    content = json.loads(Path("raw/train.json").read_text())
    content["annotations"][0]["bbox"][2] = 0
    content["annotations"].append({"id": 99, "image_id": 7, "category_id": 9, "bbox": [0, 0, 5, 5], "iscrowd": 1})
    content["categories"] += [{"id": 9, "name": "rest"}]
    content["images"].append({"id": 1000, "file_name": "gone.png", "width": 64, "height": 48})
    Path("raw/train.json").write_text(json.dumps(content))
    for folder in ("masks", "test_masks"):
        for path in Path("raw", folder).iterdir():
            path.unlink()
    found = init()
    told, data = texts(found), found["values"]["data"]
    assert (found["source"], found["values"]["metric"], found["images"]) == ("coco", "ap50", {"train": 13, "test": 4})
    assert (data["images"], data["test_images"], data["on_bad_label"]) == ("raw/images", "raw/test", "drop")
    assert found["facts"]["category ids"] == "1 to 9 with gaps; submission.json uses the same"
    for text in (
        "1 crowd annotation",
        "1 box has no area",
        "1 category without a box ('rest')",
        "1 image of raw/train.json not below raw/images",
    ):
        assert text in told
    _, made = first_jobs()
    assert (len(made["train"]), len(made["test"])) == (12, 4)


def test_coco_file_in_each_split_folder() -> None:
    for split, n in (("train", 8), ("valid", 3), ("test", 3)):
        scenes = {f"{split}{number}": scene(number, ("dim", "lit")) for number in range(n)}
        for name, made in scenes.items():
            save_picture(Path(f"raw/{split}/{name}.png"), made.image)
        Path(f"raw/{split}/_annotations.coco.json").write_text(json.dumps(coco_of(scenes)))
    found = init()
    data = found["values"]["data"]
    assert data["train"] == ["raw/train/_annotations.coco.json", "raw/valid/_annotations.coco.json"]
    assert data["images"] == ["raw/train", "raw/valid"]
    assert data["test"] == data["test_answers"] == "raw/test/_annotations.coco.json"
    assert found["images"] == {"train": 11, "test": 3}
    _, made = first_jobs()
    assert (len(made["train"]), len(made["answers"])) == (11, 3)


def test_coco_that_contradicts_itself() -> None:
    write_scenes(Path())
    content = json.loads(Path("raw/train.json").read_text())
    content["annotations"] += [
        {"id": 1, "image_id": 5555, "category_id": 1, "bbox": [0, 0, 5, 5]},
        {"id": 2, "image_id": 7, "category_id": 1},
    ]
    Path("raw/train.json").write_text(json.dumps(content))
    stops = texts(init(), stops=True)
    assert "1 annotation with an unknown image_id, first 5555 of annotation id 1. Correct it" in stops
    assert "1 annotation without a bbox of four numbers, first id 2" in stops


def test_coco_box_of_no_category_is_no_class() -> None:
    write_scenes(Path())
    sound = init()
    content = json.loads(Path("raw/train.json").read_text())
    content["annotations"].append({"id": 77, "image_id": 7, "category_id": 99, "bbox": [0, 0, 5, 5]})
    Path("raw/train.json").write_text(json.dumps(content))
    found = init()
    assert texts(found, stops=True).startswith(
        "1 annotation with an unknown category_id, first 99 of annotation id 77."
    )
    assert texts(found, stops=False) == texts(sound, stops=False)
    assert (found["classes"], found["values"]) == (sound["classes"], sound["values"])


def test_coco_without_boxes_is_none() -> None:
    for label in ("a", "b"):
        images(f"photos/{label}", numbered(label, 6))
    entries = [
        {"id": n, "file_name": f"{label}/{name}.jpg"} for label in "ab" for n, name in enumerate(numbered(label, 6))
    ]
    content = {
        "images": entries,
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1}],
        "categories": [{"id": 1, "name": "x"}],
    }
    Path("raw/train.json").write_text(json.dumps(content))
    assert (init()["source"], init()["other_sources"]) == ("folder", [])
    Path("raw/train.json").write_text(json.dumps({**content, "annotations": [3], "categories": {}}))
    assert init()["source"] == "folder"


def voc(folder: str, name: str, boxes: Sequence[tuple[Any, ...]], database: str = "mine") -> None:
    things = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
        for label, x1, y1, x2, y2 in boxes
    )
    size = "<size><width>64</width><height>48</height></size>"
    path = Path("raw", folder, f"{name}.xml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"<annotation><source><database>{database}</database></source>{size}{things}</annotation>")


def test_voc_with_lists() -> None:
    images("VOC/JPEGImages", numbered("im", 12), size=(48, 64))
    for number, name in enumerate(numbered("im", 12)):
        voc(
            "VOC/Annotations",
            name,
            [("cat", 3, 4, 20, 30), ("dog", 30, 5, 30 if number == 1 else 60, 40)],
            "The VOC2007 Database",
        )
    lists = Path("raw/VOC/ImageSets/Main")
    lists.mkdir(parents=True)
    for split, names in (
        ("train", numbered("im", 6)),
        ("val", ["im06", "im07", "gone"]),
        ("test", numbered("im", 12)[8:]),
    ):
        (lists / f"{split}.txt").write_text("\n".join(names) + "\n")
    found = init()
    data = found["values"]["data"]
    assert (found["source"], found["images"]) == ("voc", {"train": 9, "test": 4})
    assert data["train"] == ["raw/VOC/ImageSets/Main/train.txt", "raw/VOC/ImageSets/Main/val.txt"]
    assert (data["one_based"], data["on_bad_label"], data["test_answers"]) == (True, "drop", "raw/VOC/Annotations")
    assert found["classes"] == {"cat": 8, "dog": 8}
    assert "1 box has no area, first in 'im01'" in texts(found)
    assert "1 name without an image below raw/VOC/JPEGImages: 'gone'" in texts(found)
    _, made = first_jobs()
    assert (len(made["train"]), len(made["answers"])) == (8, 4)


def test_voc_whose_boxes_begin_at_1_and_end_at_the_last_pixel_counts_from_1() -> None:
    images("raw", numbered("im", 8), size=(48, 64))
    for number, name in enumerate(numbered("im", 8)):
        voc("raw", name, [("cat", 1, 1, 64, 48), ("dog", 5 + number, 6, 30, 40)])
    found = init()
    assert found["values"]["data"]["one_based"] is True
    voc("raw", "im00", [("cat", 0, 1, 64, 48)])
    assert "one_based" not in init()["values"]["data"]


def test_voc_files_beside_their_images() -> None:
    images("train", numbered("im", 8), size=(48, 64))
    images("valid", numbered("va", 2), size=(48, 64))
    for folder, names in (("train", numbered("im", 8)), ("valid", numbered("va", 2))):
        for name in names:
            voc(folder, name, [("cat", 3, 4, 5, 5)])
    found = init()
    assert found["images"] == {"train": 10}
    assert found["values"]["data"]["train"] == ["raw/train", "raw/valid"]
    assert found["values"]["models"][0]["params"]["strides"] == [4, 8, 16]
    _, made = first_jobs()
    assert len(made["train"]) == 10


def test_flawed_xml_is_to_be_put_right() -> None:
    images("photos", numbered("im", 8), size=(48, 64))
    for name in numbered("im", 8):
        voc("notes", name, [])
    assert "there is no box to train on" in texts(init(), stops=True)
    for name in numbered("im", 8):
        voc("notes", name, [("cat", 3, 4, 20, 30)])
    voc("notes", "im01", [("cat", 3, 4, "wide", 30)])
    Path("raw/notes/im02.xml").write_text("<annotation>")
    stops = texts(init(), stops=True)
    assert "2 XML files of 8 read have an object without name or corners, or are not VOC files: 'im01', 'im02'" in stops


def test_a_class_of_few_images_leaves_the_folds_of_all_as_they_are() -> None:
    images("images", numbered("im", 8))
    for number, name in enumerate(numbered("im", 8)):
        write_mask(f"masks/{name}.png", mask(0, 1, 2) if number < 3 else mask(0, 1))
    found = init()
    assert "1 class with fewer than 5 images ('2')" in texts(found)
    config, _ = first_jobs()
    assert (config.folds.n_folds, config.folds.rare_classes) == (5, "spread")
    for name in numbered("im", 8)[3:]:
        Path(f"raw/images/{name}.jpg").unlink()
        Path(f"raw/masks/{name}.png").unlink()
    assert init()["values"]["folds"] == {"splitter": "stratified", "n_folds": 3}


def test_a_class_of_one_folder_of_patients_is_spread() -> None:
    for label, patients in (("ill", 11), ("well", 1)):
        for number in range(patients):
            images(f"{label}/patient {number}", numbered(f"{label}{number}", 5))
    found = init()
    assert found["values"]["data"]["group_level"] == 2
    assert found["values"]["folds"] == {"splitter": "stratified_group", "n_folds": 5, "rare_classes": "spread"}
    _, made = first_jobs()
    assert made["train"].groupby("group")["fold"].nunique().max() == 1


def test_a_long_tail_keeps_five_folds() -> None:
    counts = {"cat": 12, "dog": 9, "owl": 3, "elk": 1, "yak": 1}
    for label, n in counts.items():
        images(label, numbered(label, n))
    found = init()
    assert found["values"]["folds"] == {"splitter": "stratified", "n_folds": 5, "rare_classes": "spread"}
    assert "3 classes with fewer than 5 images ('yak', 'elk', 'owl'), 2 of them with 1 image" in texts(found)
    assert texts(found, stops=True) == ""
    _, made = first_jobs()
    assert set(made["train"]["fold"]) == set("01234")


# --- boxes of YOLO, a file an object


def yolo(split: str, names: Sequence[str], rows: str = "0 0.5 0.5 0.5 0.5\n1 0.3 0.3 0.2 0.2\n") -> None:
    images(f"images/{split}", names)
    for name in names:
        path = Path(f"raw/labels/{split}/{name}.txt")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rows)


def test_yolo_with_splits_and_flaws() -> None:
    yolo("train", numbered("im", 8))
    yolo("val", numbered("v", 4))
    yolo("test", ["t0", "t1"])
    Path("raw/data.yaml").write_text("names: [cat, dog]\n")
    Path("raw/labels/train/im00.txt").write_text("")
    Path("raw/labels/train/im01.txt").write_text("0 0.9 0.5 0.5 0.5\n")
    Path("raw/labels/train/im02.txt").unlink()
    Path("raw/labels/train/gone.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    found = init()
    assert (found["source"], found["values"]["task"], found["images"]) == (
        "yolo",
        "detection",
        {"train": 12, "test": 2},
    )
    assert found["classes"] == {"cat": 11, "dog": 9}
    for told in ("1 box reaches outside", "1 image without a label file", "1 label file without an image"):
        assert told in texts(found)
    config, made = first_jobs()
    assert (len(made["train"]), len(made["test"])) == (11, 2)
    assert config.data.has_answers


def test_yolo_files_beside_their_images_and_without_names() -> None:
    images("", numbered("im", 6))
    for name in numbered("im", 6):
        Path(f"raw/{name}.txt").write_text("0 0.5 0.5 0.5 0.5\n1 0.3 0.3 0.2 0.2\n")
    assert "no data.yaml and no classes.txt with class names" in texts(init(), stops=True)
    Path("raw/classes.txt").write_text("cat\ndog\n")
    assert init()["classes"] == {"cat": 6, "dog": 6}
    _, made = first_jobs()
    assert len(made["train"]) == 6
    Path("raw/im00.txt").write_text("7 0.5 0.5 0.5 0.5\n")
    assert "im00.txt: line 1 has the class 7" in texts(init(), stops=True)


def test_yolo_line_of_no_class_leaves_the_rest_of_the_look() -> None:
    yolo("train", numbered("im", 8))
    Path("raw/data.yaml").write_text("names: [cat, dog]\n")
    Path("raw/labels/train/im03.txt").write_text("0 0.9 0.5 0.5 0.5\n")
    sound = init()
    Path("raw/labels/train/im03.txt").write_text("0 0.9 0.5 0.5 0.5\n7 0.5 0.5 0.5 0.5\n")
    found = init()
    stops = texts(found, stops=True)
    assert stops.splitlines()[0] == (
        "raw/labels/train/im03.txt: line 2 has the class 7, and raw/data.yaml names 0 cat, 1 dog. Correct one of them."
    )
    assert "1 box reaches outside" in texts(found, stops=False) == texts(sound, stops=False)
    same = ("classes", "images", "sizes", "values")
    assert [found[key] for key in same] == [sound[key] for key in same]
    assert (found["classes"], found["values"]["data"]["on_bad_label"]) == ({"cat": 8, "dog": 7}, "drop")
    Path("raw/labels/train/im04.txt").write_text("8 0.5 0.5 0.5 0.5\n0 0.5 0.5\n")
    assert "3 lines of the label files cannot be read, the first: raw/labels/train/im03.txt" in texts(
        init(), stops=True
    )


def test_yolo_boxes_in_pixels_leave_sizes_and_images() -> None:
    yolo("train", numbered("im", 8), "0 16 12 8 8\n")
    Path("raw/data.yaml").write_text("names: [cat]\n")
    found = init()
    assert "8 of 8 boxes have a number above 1" in texts(found, stops=True)
    assert (found["images"], found["median_width"]) == ({"train": 8}, 32)


def test_a_folder_an_image_with_a_file_an_object() -> None:
    for number, name in enumerate(numbered("im", 10)):
        split = "stage1_test" if number > 7 else "stage1_train"
        images(f"{split}/{name}/images", [name])
        for part in range(2 if number < 7 else 0):
            write_mask(f"{split}/{name}/masks/{part}.png", mask(0, 255 if part else 0))
    found = init()
    assert (found["source"], found["values"]["task"], found["images"]) == (
        "instances",
        "segmentation",
        {"train": 8, "test": 2},
    )
    assert "1 image without masks: it is left out." in texts(found)
    _, made = first_jobs()
    assert (len(made["train"]), len(made["test"])) == (7, 2)


def test_images_and_masks_in_folders_of_splits_are_no_folder_an_image() -> None:
    for split in ("train", "val"):
        images(f"{split}/images", numbered(split, 6))
        for name in numbered(split, 6):
            write_mask(f"{split}/masks/{name}.png", mask(0, 1))
    assert init()["source"] == "masks"


# --- images
def test_odd_images() -> None:
    images("cat", numbered("c", 6))
    images("dog", numbered("d", 6))
    save_picture(Path("raw/cat/deep.png"), (picture(0)[..., 0].astype(np.uint16) * 256))
    Path("raw/cat/is_png.jpg").write_bytes(cv2.imencode(".png", picture(1))[1].tobytes())
    Image.fromarray(picture(2)).convert("CMYK").save("raw/cat/print.jpg")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(picture(3, (20, 60))).save("raw/cat/turned.jpg", exif=turned)
    Path("raw/dog/broken.jpg").write_bytes(b"not an image")
    found = init()
    told = texts(found)
    for text in (
        "1 of 17 images looked at has 16 bits per channel, which are kept; data.scale_16bit sets how they are scaled to "
        "8 for networks. First: 'cat/deep.png'",
        "has the suffix of another format, but are read. First: 'cat/is_png.jpg'",
        "is CMYK, read as RGB, with colours that may be slightly wrong. First: 'cat/print.jpg'",
        "is rotated by an EXIF entry",
        "cannot be read (cannot be decoded as an image): such training images go to quarantine",
        "1 of 16 images whose pixels were looked at is grey, the others coloured",
        "widths are 0.33 to 1.3 times the heights",
    ):
        assert text in told, told
    _, made = first_jobs()
    assert (len(made["train"]), len(made["quarantine"])) == (16, 1)


def test_grey_images_are_read_with_one_channel() -> None:
    for label in ("1", "2"):
        for number in range(6):
            save_picture(Path(f"raw/{label}/{number}.png"), picture(number, (12, 12), 1))
    found = init()
    assert found["values"]["data"]["channels"] == 1
    assert found["values"]["models"][0]["image_size_px"] == 32


def test_very_large_images_are_measured_by_their_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "LARGE_PX", 700)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    images("a", numbered("im", 3))
    images("b", numbered("im", 3))
    assert "6 of 6 images looked at have over 25 million pixels" in texts(init())
    assert Image.MAX_IMAGE_PIXELS == 100


def test_only_a_sample_is_opened_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "N_LOOKED", 8)
    images("a", numbered("im", 20))
    images("b", numbered("im", 20))
    names = walk("raw").images()
    looked = [picture.name for picture in pictures.look(Path("raw"), names).sample]
    assert looked == [names[place] for place in range(0, 40, 5)]
    assert "(8 of 40 looked at)" in init()["text"]


def test_same_name_in_training_and_test() -> None:
    for split in ("train", "test"):
        rows = labelled(10)
        images(split, [id for id, _ in rows])
    table("train.csv", [("id", "label"), *labelled(10)])
    table("test.csv", [("id",), *((id,) for id, _ in labelled(10))])
    found = init()
    assert found["values"]["data"]["images"] == "raw/train"
    assert found["values"]["data"]["test_images"] == "raw/test"
    assert "10 names shared by training and test images, e.g. 'im00'" in texts(found)
    _, made = first_jobs()
    assert made["train"]["id"][0] == "train/im00"


def test_names_that_yaml_or_a_terminal_would_trip_over() -> None:
    for label in ("no", "yes: #1", "naïve\n2", "[x]"):
        images(f"a: b # c/{label}", numbered("im ü", 5))
    found = init()
    assert set(found["classes"]) == {"no", "yes: #1", "naïve\n2", "[x]"}
    assert load("mine.yaml").data.train == "raw/a: b # c"  # type: ignore[union-attr]
    first_jobs()
    bad = os.fsencode("raw/a: b # c/no/") + b"\xff.jpg"
    os.link("raw/a: b # c/no/im ü00.jpg", bad)
    assert "1 name of an image is not UTF-8, e.g. " in texts(init(), stops=True)


def test_class_folders_that_look_alike_and_pictures_that_are_not_read() -> None:
    for form in ("NFC", "NFD"):
        images(unicodedata.normalize(form, "café"), numbered("im", 5))
    images("tea", numbered("im", 5))
    Path("raw/tea/phone.heic").write_bytes(b"x")
    found = init()
    assert "labels 'cafe\\u0301' and 'caf\\xe9' look the same" in texts(found, stops=True)
    assert "1 picture in a format that goldfold does not read, skipped: 'tea/phone.heic'. Convert" in texts(found)


# --- the command
def test_the_config_is_commented_line_by_line_and_says_what_is_next() -> None:
    images("cat", numbered("c", 6))
    images("dog", numbered("d", 6))
    text = init()["text"]
    lines = [line for line in Path("mine.yaml").read_text().splitlines() if line and not line.endswith(":")]
    assert len(lines) > 15
    assert all(" # " in line or line.startswith("# ") for line in lines)
    assert (
        "Wrote mine.yaml: classification, accuracy, 5 folds (stratified), resnet10t at 28 x 36 px, 50 epochs." in text
    )
    assert text.endswith(
        "Next: goldfold check --config mine.yaml, which tries images and networks; then snakemake -n --configfile mine.yaml."
    )


def test_overwrites_only_by_force_and_leaves_nothing_half_written(capsys: pytest.CaptureFixture[str]) -> None:
    images("cat", numbered("c", 6))
    images("dog", numbered("d", 6))
    Path("config.yaml").write_text("mine\n")
    assert main(["init", "raw"]) == 2
    assert (
        "config.yaml exists already. Name another file with --out, or overwrite it with --force."
        in capsys.readouterr().err
    )
    assert Path("config.yaml").read_text() == "mine\n"
    assert main(["init", "nowhere"]) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
    assert main(["init", "raw", "--force", "--name", "pets", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"] == "config.yaml"
    assert load("config.yaml").name == "pets"
    assert main(["init", "raw", "--out", "b.yaml", "--name", "a b"]) == 2
    assert "--name 'a b': at most 60 letters" in capsys.readouterr().err
    assert sorted(path.name for path in Path().iterdir() if path.name != ".goldfold") == ["config.yaml", "raw"]


def test_an_invalid_config_is_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    images("cat", numbered("c", 6))
    images("dog", numbered("d", 6))
    monkeypatch.setattr(command, "_name", lambda path: "a name with blanks")
    with pytest.raises(AssertionError, match="not valid, which is a bug"):
        command.init(Path("raw"), Path("mine.yaml"), None, False, False)
    assert [path.name for path in Path().iterdir()] == ["raw"]


def test_nothing_that_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    images("", numbered("im", 3))
    Path("raw/notes").mkdir()
    Path("raw/notes/a.xml").write_text("<gpx/>")
    assert main(["init", "raw"]) == 2
    told = capsys.readouterr().err
    assert "raw: no known layout. Found: 3 .jpg, 1 .xml; folders: notes/." in told
    assert "Looked for class folders" in told
    Path("raw/train.zip").touch()
    assert main(["init", "raw"]) == 2
    assert "Unpack the archives first." in capsys.readouterr().err
    assert main(["init", "nowhere"]) == 2
    assert "nowhere is not a folder" in capsys.readouterr().err


def test_a_gpu_lets_larger_networks_be_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    images("cat", numbered("c", 6), size=(300, 400))
    images("dog", numbered("d", 6), size=(300, 400))
    init()
    assert "no GPU here" in Path("mine.yaml").read_text()
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(command, "devices_of_machine", lambda: [object()])
    model = init()["values"]["models"][0]
    assert (model["backbone"], model["image_size_px"]) == ("resnet34", [192, 256])
    assert load("mine.yaml").models[0].backbone == "resnet34"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert init()["values"]["models"][0]["backbone"] == "resnet10t"


def test_paths_outside_the_working_folder_stay_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images("cat", numbered("c", 6))
    images("dog", numbered("d", 6))
    Path("work").mkdir()
    monkeypatch.chdir("work")
    assert walk("../raw").path("cat") == "../raw/cat"
    assert walk(tmp_path / "raw").path("cat") == str(tmp_path / "raw/cat")
    monkeypatch.chdir(tmp_path)
    assert walk(tmp_path / "raw").path("cat") == "raw/cat"


def test_links_in_a_circle_and_hidden_files() -> None:
    images("cat", numbered("c", 6))
    images("dog", numbered("d", 6))
    images("cat", ["._c00", ".hidden"])
    images("__MACOSX/cat", numbered("c", 2))
    os.symlink("..", "raw/cat/up")
    assert walk("raw").n_images == {"": 12, "cat": 6, "dog": 6}


def test_common_folder() -> None:
    assert common(["a/b/1", "a/b/2", "a/bc/3"]) == "a"
    assert common(["a/1", "a/b/2"]) == "a"
    assert common(["1", "a/2"]) == ""
    assert common(["a/b/1"]) == "a/b"


def test_command_loads_no_torch() -> None:
    images("cat", numbered("c", 6))
    images("dog", numbered("d", 6))
    code = (
        "import sys; from goldfold.cli import main; main(['init', 'raw']);"
        "print(sorted({'torch', 'timm'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(REPO / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


# --- run lengths


def test_run_lengths_with_classes_test_images_and_images_in_no_row() -> None:
    images("train", numbered("im", 9))
    images("test", ["t0"])
    rows = [(f"im{n:02d}.jpg", kind, "1 20 60 30" if kind == "1" else "300 9") for n in range(7) for kind in "12"]
    table(
        "train.csv", [("ImageId", "ClassId", "EncodedPixels"), *rows, ("im07.jpg", "1", "-1"), ("no.jpg", "1", "5 5")]
    )
    found = init()
    assert (found["source"], found["images"]) == ("rle", {"train": 8, "test": 1})
    assert found["classes"] == {"1": 7, "2": 7}
    for told in (
        "1 name of train.csv without an image",
        "1 image below raw/train in no row",
        "counted down the columns",
    ):
        assert told in texts(found)
    _, made = first_jobs()
    assert (len(made["train"]), len(made["quarantine"])) == (9, 1)


def test_four_numbers_under_another_name_are_no_run_lengths() -> None:
    images("train", numbered("im", 8))
    rows = [(f"im{n:02d}", "ab"[n % 2], "1 2 3 4") for n in range(8)]
    table("train.csv", [("id", "label", "place"), *rows])
    assert init()["source"] == "csv"
