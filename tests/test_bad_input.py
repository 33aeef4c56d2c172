import json
import os
import shutil
import unicodedata
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from conftest import FORM, TASK
from goldfold import sources
from goldfold.base.errors import DataError
from goldfold.base.numbers import number_of
from goldfold.commands.init.columns import columns_of
from goldfold.commands.init.tables import Table
from goldfold.predictions.arrays import save
from goldfold.splits.splitting import split as split_into
from goldfold.stages import folds, manifest, submit
from goldfold.targets.classes import classes_of, natural_order, one_number, refuse_unordered
from whole_task import classification

pytestmark = pytest.mark.usefixtures("in_tmp")
POLICIES = {
    "on_bad_image": "quarantine",
    "on_missing_image": "fail",
    "on_missing_label": "quarantine",
    "on_bad_label": "fail",
}


class Raw:
    """A csv source in the working folder: images a0..a5 and b0..b5 of classes a and b, test images t0..t2."""

    def __init__(self, write_picture: Any, make_picture: Any) -> None:
        self.labels = {f"{label}{number}": label for label in "ab" for number in range(6)}
        self.tests = ["t0", "t1", "t2"]
        self.write = lambda path: write_picture(Path(path), make_picture(zlib.crc32(path.encode()), (8, 8)))
        for id in self.labels:
            self.write(f"train/{id}.png")
        for id in self.tests:
            self.write(f"test/{id}.png")

    def manifest(self, rows: list[str] | None = None, sample: str | None = None, **settings: Any) -> dict[str, Any]:
        """Run the manifest stage; its tables by name."""
        lines = rows if rows is not None else ["id,label", *(f"{id},{label}" for id, label in self.labels.items())]
        Path("train.csv").write_text("\n".join(lines) + "\n")
        Path("test.csv").write_text("\n".join(["id", *self.tests]) + "\n")
        policies = {key: settings.pop(key, value) for key, value in POLICIES.items()}
        metric, classes = settings.pop("metric", "accuracy"), settings.pop("classes", None)
        asked = {"sample": sample, "classes": classes, "submission": {**FORM, "format": settings.pop("format", "auto")}}
        source = {"source": "csv", "train": "train.csv", "images": "train", "test": "test.csv", "test_images": "test"}
        source |= settings
        manifest.run(
            "out",
            source,
            TASK,
            policies,
            metric=metric,
            **asked,
            workers=1,
        )
        tables = {path.stem: pd.read_csv(path, dtype=str, keep_default_na=False) for path in Path("out").glob("*.csv")}
        return tables | {"classes": json.loads(Path("out/classes.json").read_text())}

    def rows(self, **changed: str | None) -> list[str]:
        """Lines of train.csv with some labels changed, or left out where None."""
        labels = {**self.labels, **changed}
        return ["id,label", *(f"{id},{label}" for id, label in labels.items() if label is not None)]


@pytest.fixture
def raw(in_tmp: Path, write_picture: Any, make_picture: Any) -> Raw:
    return Raw(write_picture, make_picture)


def test_sound_input_gives_a_row_an_image_and_an_empty_quarantine(raw: Raw) -> None:
    made = raw.manifest()
    assert list(made["train"].columns) == ["id", "path", "sha256", "width", "height", "label"]
    assert dict(zip(made["train"]["id"], made["train"]["label"], strict=True)) == raw.labels
    assert list(made["test"]["id"]) == raw.tests
    assert len(made["quarantine"]) == 0
    assert list(made["quarantine"].columns) == ["split", "id", "path", "part", "reason", "outcome"]
    assert made["classes"] == ["a", "b"]
    assert set(made["train"]["width"]) == {"8"}
    assert (made["train"]["sha256"].str.len() == 64).all()


def test_no_images_at_all(raw: Raw) -> None:
    for path in Path("train").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"data\.images: no images below train\. Looked for files ending in"):
        raw.manifest()


# --- unreadable and missing images


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.write_bytes(b""), "file is empty"),
        (lambda path: path.write_bytes(b"hello"), "cannot be decoded as an image"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "file is truncated"),
    ],
    ids=["empty", "no image", "truncated"],
)
def test_an_unreadable_image_goes_to_quarantine_with_the_reason(raw: Raw, spoil: Any, reason: str) -> None:
    spoil(Path("train/a3.png"))
    made = raw.manifest()
    assert made["quarantine"].to_dict("records") == [
        {"split": "train", "id": "a3", "path": "train/a3.png", "part": "image", "reason": reason, "outcome": "left out"}
    ]
    assert set(made["train"]["id"]) == set(raw.labels) - {"a3"}


def test_an_unreadable_image_ends_the_job_where_the_policy_is_fail(raw: Raw) -> None:
    Path("train/a3.png").write_bytes(b"")
    said = (
        r"train: 1 of 12 images cannot be used, first 'a3' \(train/a3\.png: file is empty\)\. "
        r"Restore the files, or set data\.on_bad_image: quarantine\."
    )
    with pytest.raises(DataError, match=said):
        raw.manifest(on_bad_image="fail")
    assert not Path("out").exists()


def test_an_unreadable_test_image_always_ends_the_job(raw: Raw) -> None:
    Path("test/t1.png").write_bytes(b"x")
    with pytest.raises(DataError, match=r"test: 1 of 3 images cannot be used, first 't1' .*Restore the files\."):
        raw.manifest()


def test_a_label_file_that_names_missing_images_ends_the_job(raw: Raw) -> None:
    said = (
        r"train: 2 of 14 images cannot be used, first 'gone' \(train/gone\.\*: file is missing\), "
        r"'lost' .*Restore the files, or set data\.on_missing_image: quarantine\."
    )
    with pytest.raises(DataError, match=said):
        raw.manifest(rows=[*raw.rows(), "gone,a", "lost,b"])


def test_missing_images_go_to_quarantine_where_the_policy_says_so(raw: Raw) -> None:
    made = raw.manifest(rows=[*raw.rows(), "gone,a"], on_missing_image="quarantine")
    assert made["quarantine"].to_dict("records") == [
        {
            "split": "train",
            "id": "gone",
            "path": "train/gone.*",
            "part": "image",
            "reason": "file is missing",
            "outcome": "left out",
        }
    ]
    assert len(made["train"]) == 12


def test_a_missing_test_image_ends_the_job_whatever_the_policy(raw: Raw) -> None:
    raw.tests.append("t9")
    with pytest.raises(DataError, match=r"test: 1 of 4 images cannot be used, first 't9' .*file is missing"):
        raw.manifest(on_missing_image="quarantine")


# --- labels


def test_an_image_without_a_label_goes_to_quarantine(raw: Raw) -> None:
    made = raw.manifest(rows=raw.rows(a0="", b5=""))
    found = made["quarantine"][["split", "id", "reason"]].to_dict("records")
    assert found == [
        {"split": "train", "id": "a0", "reason": "image has no label"},
        {"split": "train", "id": "b5", "reason": "image has no label"},
    ]


def test_an_image_without_a_label_ends_the_job_where_the_policy_is_fail(raw: Raw) -> None:
    said = (
        r"train: 1 of 12 images have a target that cannot be used, first 'b5': image has no label\. "
        r"Correct it, or set data\.on_missing_label: quarantine\."
    )
    with pytest.raises(DataError, match=said):
        raw.manifest(rows=raw.rows(b5=""), on_missing_label="fail")


def test_a_table_that_names_a_part_of_its_folder_fills_no_quarantine(
    raw: Raw, capsys: pytest.CaptureFixture[str]
) -> None:
    made = raw.manifest(rows=raw.rows(a0=None, b5=None), on_missing_label="fail")
    assert (len(made["train"]), len(made["quarantine"])) == (10, 0)
    assert "2 images below train are in no table, first train/a0.png: left out" in capsys.readouterr().out
    made = raw.manifest(rows=raw.rows(a0=None, b5=None), unlabeled="train")
    assert list(made["unlabeled"]["id"]) == ["a0", "b5"]


def test_one_class_only(raw: Raw) -> None:
    only_a = dict.fromkeys(raw.labels, "a")
    with pytest.raises(DataError, match=r"train: all 12 images have one class, 'a'\. At least two are needed\."):
        raw.manifest(rows=raw.rows(**only_a))


def test_no_label_at_all(raw: Raw) -> None:
    with pytest.raises(
        DataError, match=r"train: no usable images \(12 in quarantine, the first: .+\)\. Look at the paths and labels"
    ):
        raw.manifest(rows=raw.rows(**dict.fromkeys(raw.labels, "")))


def test_classes_that_are_numbers_are_ordered_by_value_and_stay_text(raw: Raw) -> None:
    values = iter(["10", "9", "2", "01"] * 3)
    made = raw.manifest(rows=raw.rows(**{id: next(values) for id in raw.labels}))
    assert made["classes"] == ["01", "2", "9", "10"]


@pytest.mark.parametrize(
    "names",
    [["1_1", "11"], ["0x10", "16"], ["9007199254740992", "9007199254740993"], ["nan", "NaN"], ["1e999", "1e9999"],
     ["True", "1"], ["1d", "1"], ["1e", "1"]],
)  # fmt: skip
def test_names_that_only_python_takes_for_one_number_are_two_classes(names: list[str]) -> None:
    assert sorted(classes_of(pd.Series(names), None, "train")) == sorted(names)
    assert list(one_number(names)) == []


@pytest.mark.parametrize("names", [["1.0", "1"], ["1e5", "100000"], ["+1", "1"], ["１２", "12"], [".5", "0.50"]])
def test_one_number_in_two_spellings_is_refused(names: list[str]) -> None:
    with pytest.raises(DataError, match=r"are the same number\. Write them alike, or name both in data\.classes"):
        classes_of(pd.Series(names), None, "train")


def test_text_that_is_no_decimal_number_is_a_name_for_all_readers() -> None:
    assert natural_order(["1_1", "12", "2"]) == ["2", "12", "1_1"]
    assert columns_of(Table("t.csv", ["id", "y"], [[f"a{n}", f"{n}_{n}"] for n in range(30)])).target is None
    assert number_of("-1.5e2") == -150
    assert [number_of(text) for text in ("1_1", "inf", "nan", "", "١", "1 2", "0x10")] == [None] * 7


# --- ids


def test_duplicate_ids(raw: Raw) -> None:
    with pytest.raises(
        DataError, match=r"train: 1 duplicate ids, first 'a0'\. Give every image one row and its own id"
    ):
        raw.manifest(rows=[*raw.rows(), "a0,b"])


def test_duplicate_test_ids(raw: Raw) -> None:
    raw.tests.append("t0")
    with pytest.raises(DataError, match=r"test: 1 duplicate ids, first 't0'"):
        raw.manifest()


def test_two_files_of_one_name_in_image_folders_of_classes(raw: Raw) -> None:
    raw.write("flat/a/1.png")
    raw.write("flat/a/1.bmp")
    raw.write("flat/b/1.png")
    source = {"source": "folder", "train": "flat"}
    with pytest.raises(DataError, match=r"train: 1 duplicate ids, first 'a/1'"):
        manifest.run(
            "out",
            source,
            TASK,
            POLICIES,
            metric="accuracy",
            classes=None,
            sample=None,
            submission=FORM,
            workers=1,
        )


def test_ids_that_train_and_test_share_are_told_apart_and_the_test_ids_stay(raw: Raw) -> None:
    raw.write("test/a0.png")
    raw.tests.append("a0")
    made = raw.manifest()
    assert "a0" in list(made["test"]["id"])
    assert {id.split("/")[0] for id in made["train"]["id"]} == {"train"}
    assert len(made["train"]) == 12


def test_a_sample_may_write_ids_with_suffix(raw: Raw) -> None:
    names = [f"{id}.png" for id in raw.tests]
    Path("sample.csv").write_text("image,label\n" + "".join(f"{name},a\n" for name in names))
    assert sorted(raw.manifest(sample="sample.csv")["test"]["id"]) == sorted(names)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_sample_may_write_accented_letters_otherwise_than_files_are_called(raw: Raw, form: Any) -> None:
    ids = [unicodedata.normalize(form, id) for id in ("ü0", "ü1", "t2")]
    for id in ids:
        raw.write(f"more/{unicodedata.normalize('NFC' if form == 'NFD' else 'NFD', id)}.png")
    Path("sample.csv").write_text("id,label\n" + "".join(f"{id},a\n" for id in ids))
    for split in ("a", "b"):
        shutil.copytree(
            "train", f"classes/{split}", ignore=lambda _, names, own=split: [n for n in names if n[0] != own]
        )
    source = {"source": "folder", "train": "classes", "test": "more"}
    manifest.run("out", source, TASK, POLICIES, "accuracy", None, "sample.csv", FORM, workers=1)
    assert sorted(pd.read_csv("out/test.csv")["id"]) == sorted(ids)


def test_true_labels_of_a_test_image_that_stands_twice_are_refused(raw: Raw) -> None:
    Path("true.csv").write_text("id,label\nt0,a\nt1,b\nt0,b\nother,a\nother,b\n")
    with pytest.raises(DataError, match=r"data\.test_answers: 1 test images have two rows, first 't0'\. Keep one"):
        raw.manifest(test_answers="true.csv")


def test_classes_in_the_order_of_the_config(raw: Raw) -> None:
    present = sorted(set(raw.labels.values()))
    assert raw.manifest()["classes"] == present
    assert raw.manifest(classes=present[::-1])["classes"] == present[::-1]
    with pytest.raises(DataError, match=rf"label '{present[0]}' is not in data.classes"):
        raw.manifest(classes=[*present[1:], "zebra"])
    with pytest.raises(DataError, match="class 'zebra' has no training image"):
        raw.manifest(classes=[*present, "zebra"])


def test_an_order_of_classes_that_the_score_hangs_on_is_not_guessed(raw: Raw) -> None:
    present = sorted(set(raw.labels.values()))
    with pytest.raises(DataError, match="quadratic_kappa needs ordered grades, but"):
        raw.manifest(metric="quadratic_kappa")
    assert raw.manifest(metric="quadratic_kappa", classes=present)["classes"] == present


def test_one_probability_needs_to_know_the_positive_class() -> None:
    refuse_unordered(["0", "1"], None, "roc_auc", True)
    refuse_unordered(["cancer", "healthy"], ["healthy", "cancer"], "roc_auc", True)
    with pytest.raises(DataError, match="unclear which of cancer and healthy is positive"):
        refuse_unordered(["cancer", "healthy"], None, "roc_auc", True)


@pytest.mark.parametrize("junk", [".ipynb_checkpoints/a.png", "__MACOSX/a.png", ".git/a.png"])
def test_folders_of_tools_are_no_classes(tmp_path: Path, junk: str) -> None:
    for name in ("train/cat/0.png", "train/dog/0.png", "val/cat/1.png", "val/dog/1.png", junk):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    table = sources.read("folder", train=str(tmp_path))["train"]
    assert set(table["label"]) == {"cat", "dog"}
    assert len(table) == 4


def test_a_file_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    for name in (b"cat/0.png", b"dog/caf\xe9.png"):
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    said = r"the names of 1 files are not UTF-8, first 'dog/caf\\udce9\.png', so tables cannot hold them\. Rename them"
    with pytest.raises(DataError, match=said):
        sources.read("folder", train=str(tmp_path))


def test_a_class_folder_without_an_image_is_named(tmp_path: Path) -> None:
    for name in ("cat/0.png", "dog/0.heic"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(DataError, match=r"class folder .*dog holds no image in a format that goldfold reads"):
        sources.read("folder", train=str(tmp_path))


def linked(folder: Path, to: str) -> dict[str, str]:
    """A folder source of classes cat and dog, cat a link to the folder ``to``."""
    for name in (f"{to}/0.png", "data/dog/1.png"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"x")
    (folder / "data/cat").symlink_to(folder / to)
    (folder / "data/dog/loop").symlink_to(folder / "data")
    (folder / "named").symlink_to(folder / "data")
    return {"source": "folder", "train": str(folder / "named")}


@pytest.mark.parametrize("policy", ["follow", "fail"])
def test_class_folders_may_be_links_to_outside_where_the_config_says_so(tmp_path: Path, policy: str) -> None:
    settings = linked(tmp_path, "elsewhere")
    if policy == "fail":
        with pytest.raises(
            DataError, match=r"cat/0\.png leads to .*/elsewhere/0\.png, .* \(1 such files\).*outside_links: fol"
        ):
            sources.read(**settings)
    else:
        assert sorted(sources.read(**settings, outside_links="follow")["train"]["label"]) == ["cat", "dog"]


def test_links_within_the_data_and_folders_that_are_links_themselves_are_followed(tmp_path: Path) -> None:
    settings = linked(tmp_path, "data/.cats")
    assert sorted(sources.read(**settings)["train"]["label"]) == ["cat", "dog"]


@pytest.mark.parametrize("name", ["images", "masks"])
def test_a_file_that_is_a_link_to_outside_is_refused(name: str, tmp_path: Path) -> None:
    for part in ("images", "masks", "secret"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "1.png").write_bytes(b"x")
    (tmp_path / name / "1.png").unlink()
    (tmp_path / name / "1.png").symlink_to("../secret/1.png")
    with pytest.raises(DataError, match=rf"{name}/1\.png leads to .*secret/1\.png"):
        sources.read("masks", train=str(tmp_path / "images"), masks=str(tmp_path / "masks"))


def test_a_group_in_two_predefined_folds_is_refused() -> None:
    table = pd.DataFrame({"id": list("abcd"), "label": list("xyxy"), "group": list("1123"), "fold": list("0110")})
    with pytest.raises(DataError, match="group '1' is in more than one fold"):
        split_into(table, classification(["x", "y"]).content(table), "predefined", 2, 0)


def test_ids_of_a_pool_that_repeat_others_are_told_apart(raw: Raw) -> None:
    raw.write("pool/a0.png")
    raw.write("pool/new.png")
    made = raw.manifest(unlabeled="pool")
    assert list(made["unlabeled"]["id"]) == ["unlabeled/a0", "unlabeled/new"]
    assert len(made["train"]) == 12


def test_a_pool_image_that_is_a_copy_of_a_training_image_goes_to_quarantine(raw: Raw) -> None:
    raw.write("pool/new.png")
    shutil.copy("train/b2.png", "pool/copy.png")
    made = raw.manifest(unlabeled="pool")
    assert list(made["unlabeled"]["id"]) == ["new"]
    assert made["quarantine"].to_dict("records") == [
        {
            "split": "unlabeled",
            "id": "copy",
            "path": "pool/copy.png",
            "part": "image",
            "reason": "has the same bytes as training image b2",
            "outcome": "left out",
        }
    ]


# --- columns


def test_a_missing_column_is_told_with_the_nearest(raw: Raw) -> None:
    rows = ["id,lable", *raw.rows()[1:]]
    with pytest.raises(
        DataError, match=r"no column 'label': nearest is 'lable'; it has: id, lable\. Set data\.label_c"
    ):
        raw.manifest(rows=rows)


def test_a_missing_id_column_in_the_test_table(raw: Raw) -> None:
    rows = [line.replace("id,", "image,") for line in raw.rows()]
    with pytest.raises(DataError, match=r"test\.csv has no column 'image': it has: id\. Set data\.id_column"):
        raw.manifest(rows=rows, id_column="image")


# --- folds


def facts_of(splitter: str = "stratified", n_folds: int = 3) -> dict[str, Any]:
    return folds.run("out", "folds", TASK, ["train", "test"], splitter, n_folds, 0, 2)


def split(raw: Raw, splitter: str = "stratified", n_folds: int = 3) -> pd.DataFrame:
    facts_of(splitter, n_folds)
    return pd.read_csv("folds/train.csv", dtype=str)


def test_folds_are_written_whole_and_shards_hold_every_image_once(raw: Raw) -> None:
    raw.manifest()
    table = split(raw)
    for number in range(3):
        part = pd.read_csv(f"folds/fold{number}.csv", dtype=str)
        assert list(part.columns) == ["id", "split", "sha256", "label"], "other pixels are another image"
        assert part.set_index("id")["sha256"].to_dict() == table.set_index("id")["sha256"].to_dict()
        assert set(part["id"][part["split"] == "val"]) == set(table["id"][table["fold"] == str(number)])
        assert set(part["split"]) == {"train", "val"}
    for name, n in (("train", 12), ("test", 3)):
        pieces = [pd.read_csv(f"folds/shards/{name}-{piece}.csv", dtype=str) for piece in range(2)]
        assert sum(map(len, pieces)) == n == pd.concat(pieces)["id"].nunique()
    assert pd.read_csv("folds/summary.csv")["(all)"].sum() == 12
    facts = facts_of()
    assert facts["images"] == {"train": 12, "test": 3}
    made = [str(path) for path in Path("folds").rglob("*") if path.is_file()]
    assert facts["files"] == sorted(made)
    assert len(made) == 3 + 5 + 4 + 4, (
        "folds; tables, summary, groups and rule; shards; quarantine, duplicates and two of classes"
    )


def test_the_same_folds_are_not_written_again_and_stale_ones_go(raw: Raw) -> None:
    raw.manifest()
    split(raw, n_folds=4)
    kept = {path: path.stat().st_mtime_ns for path in Path("folds").rglob("*.csv")}
    assert len(kept) == 4 + 5 + 4
    split(raw, n_folds=4)
    assert {path: path.stat().st_mtime_ns for path in Path("folds").rglob("*.csv")} == kept
    split(raw, n_folds=2)
    assert sorted(path.name for path in Path("folds").glob("fold*.csv")) == ["fold0.csv", "fold1.csv"]


def test_a_class_with_fewer_images_than_folds(raw: Raw) -> None:
    raw.manifest(rows=raw.rows(a0="rare", a1="rare"))
    said = (
        r"class 'rare' has 2 images, fewer than folds\.n_folds: 3 \(1 such class\)\. "
        r"Lower n_folds, add images, or merge or remove the class\."
    )
    with pytest.raises(DataError, match=said):
        split(raw)


def grouped(raw: Raw, group_of: dict[str, str], **settings: str) -> None:
    column = settings.get("fold_column") or "who"
    rows = [f"id,label,{column}", *(f"{id},{label},{group_of[id]}" for id, label in raw.labels.items())]
    raw.manifest(rows=rows, **(settings or {"group_column": "who"}))


@pytest.mark.parametrize("splitter", ["group", "stratified_group"])
def test_a_group_with_two_classes_is_allowed_and_stays_together(raw: Raw, splitter: str) -> None:
    group_of = {id: f"g{int(id[1]) % 4}" for id in raw.labels}
    grouped(raw, group_of)
    table = split(raw, splitter)
    assert (table.groupby("group")["label"].nunique() == 2).all()
    assert (table.groupby("group")["fold"].nunique() == 1).all()


@pytest.mark.parametrize("splitter", ["group", "stratified_group"])
def test_fewer_groups_than_folds(raw: Raw, splitter: str) -> None:
    grouped(raw, {id: f"g{int(id[1]) % 2}" for id in raw.labels})
    with pytest.raises(DataError, match=r"there are 2 groups, fewer than folds\.n_folds: 3\. Lower n_folds\."):
        split(raw, splitter)


@pytest.mark.parametrize("splitter", ["group", "stratified_group"])
def test_a_class_that_is_one_group_cannot_be_learnt_in_its_fold(raw: Raw, splitter: str) -> None:
    grouped(raw, {id: "all_a" if id[0] == "a" else id for id in raw.labels})
    with pytest.raises(DataError, match=r"all images of class 'a' are in fold \d, so its models would never see"):
        split(raw, splitter)


@pytest.mark.parametrize("value", ["3", "-2", "x", "0.5"])
def test_a_predefined_fold_out_of_range(raw: Raw, value: str) -> None:
    fold_of = {id: str(int(id[1]) % 3) for id in raw.labels} | {"b2": value}
    grouped(raw, fold_of, fold_column="part")
    said = rf"data\.fold_column: id 'b2' has fold '{value}'; with folds\.n_folds: 3 .* whole number from 0 to 2\."
    with pytest.raises(DataError, match=said):
        split(raw, "predefined")


def test_predefined_folds_are_kept_and_an_empty_one_is_named(raw: Raw) -> None:
    fold_of = {id: str(int(id[1]) % 3) for id in raw.labels}
    grouped(raw, fold_of, fold_column="part")
    table = split(raw, "predefined")
    assert dict(zip(table["id"], table["fold"], strict=True)) == fold_of
    with pytest.raises(DataError, match=r"data\.fold_column: no image is in fold 3\. Set folds\.n_folds to the number"):
        split(raw, "predefined", n_folds=4)


# --- the sample file, looked at before anything is trained


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        ("id,label\nt0,a\nt1,b\nt2,dog\n", r"sample\.csv: 'dog' is not a class; classes: a, b"),
        (
            "id,a,bb\nt0,0,1\nt1,0,1\nt2,0,1\n",
            r"sample\.csv: column 'bb' is not a class; nearest is 'b'; classes: a, b",
        ),
        ("id\nt0\nt1\nt2\n", r"sample\.csv: has only the column 'id'; a sample file needs a column to predict too"),
        ("id,label\nt0,a\nt1,a\n", r"sample\.csv: 1 test image is missing, first 't2'\. It must name exactly the 3"),
        (
            "id,label\nt0,a\nt1,a\nt2,a\nt3,a\n",
            r"sample\.csv: 1 id is not that of a test image, first 't3'\. .*correct it",
        ),
        (
            "id,label\nt0,a\nt7,a\nt8,a\n",
            r"sample\.csv: 2 ids are not those of a test image, first 't7'; 2 test images are missing, first 't1'\. ",
        ),
        (
            "id,label\nt0,a\nt1,a\nt2,a\nt0,a\n",
            r"sample\.csv: 1 row repeats the id of an earlier one, first 't0'\. Keep one",
        ),
        ("id,label\n,a\nt1,a\nt2,a\n", r"sample\.csv"),
        ("id,label\n", r"submission\.sample: sample\.csv has no rows"),
    ],
)
def test_a_sample_file_that_cannot_be_filled_ends_the_first_job(raw: Raw, sample: str, said: str) -> None:
    Path("sample.csv").write_text(sample)
    with pytest.raises(DataError, match=said):
        raw.manifest(sample="sample.csv")


def test_a_sample_file_without_test_images(raw: Raw) -> None:
    Path("sample.csv").write_text("id,label\nt0,a\n")
    with pytest.raises(DataError, match=r"submission\.sample is set, but there are no test images: set data\.test"):
        raw.manifest(sample="sample.csv", test=None)


@pytest.mark.parametrize(
    "sample",
    [
        "id,label\nt2,a\nt0,b\nt1,a\n",
        "id,label\nt0,\nt1,\nt2,\n",
        "id,b,a\nt0,0,0\nt1,0,0\nt2,0,0\n",
        "id,target\nt0,0.5\nt1,0.5\nt2,0.5\n",
        "id,b\nt0,0\nt1,0\nt2,0\n",
    ],
    ids=["labels", "empty", "probabilities", "one probability", "the probability of a class"],
)
def test_a_sample_file_that_can_be_filled_is_taken(raw: Raw, sample: str) -> None:
    Path("sample.csv").write_text(sample)
    assert len(raw.manifest(sample="sample.csv", classes=["a", "b"])["test"]) == 3


# --- the submission


class Submission:
    """Predictions of t0, t1, t2 for the classes a, b (, c): certain of a, b and, where there is one, c."""

    def __init__(self, classes: str = "abc", ids: tuple[str, ...] = ("t1", "t0", "t2")) -> None:
        self.classes = list(classes)
        Path("classes.json").write_text(json.dumps(self.classes))
        Path("class_ids.json").write_text("{}")
        Path("test.csv").write_text("id\nt0\nt1\nt2\n")
        rows = {f"t{n}": np.full(len(classes), 0.1) + 0.7 * (np.arange(len(classes)) == n) for n in range(3)}
        rows = {id: row / row.sum() for id, row in rows.items()}
        values = np.array([rows.get(id, rows["t0"]) for id in ids])
        made = {"ids": np.array(ids), "classes": np.array(self.classes), "probabilities": values}
        save("test.npz", made.items())

    def run(self, sample: str | None = None, metric: str = "accuracy", format: str = "auto") -> str:
        if sample is not None:
            Path("sample.csv").write_text(sample)
        submit.run(
            predictions="test.npz",
            test="test.csv",
            classes="classes.json",
            class_ids="class_ids.json",
            out="out.csv",
            task=TASK,
            metric=metric,
            sample=None if sample is None else "sample.csv",
            settings={"format": format, "id_column": "image", "label_column": "class"},
        )
        return Path("out.csv").read_text()


def test_without_a_sample_a_metric_of_labels_gives_labels_in_the_order_of_the_test_table() -> None:
    assert Submission().run() == "image,class\nt0,a\nt1,b\nt2,c\n"


def test_without_a_sample_a_metric_of_probabilities_gives_a_column_a_class() -> None:
    made = Submission().run(metric="log_loss").splitlines()
    assert made[0] == "image,a,b,c"
    assert [float(value) for value in made[1].split(",")[1:]] == pytest.approx([0.8, 0.1, 0.1])


@pytest.mark.parametrize(("format", "head"), [("label", "image,class"), ("probabilities", "image,a,b,c")])
def test_the_format_can_be_set_whatever_the_metric(format: str, head: str) -> None:
    for metric in ("accuracy", "log_loss"):
        assert Submission().run(metric=metric, format=format).splitlines()[0] == head


def test_a_sample_of_labels_gives_labels_in_its_order() -> None:
    assert Submission().run("Id,Answer\nt2,a\nt0,a\nt1,a\n") == "Id,Answer\nt2,c\nt0,a\nt1,b\n"


def test_a_sample_of_classes_gives_probabilities_in_the_order_of_its_columns() -> None:
    made = Submission().run("Id,c,a,b\nt2,0,0,0\nt0,0,0,0\nt1,0,0,0\n").splitlines()
    assert made[0] == "Id,c,a,b"
    assert [float(value) for value in made[1].split(",")[1:]] == pytest.approx([0.8, 0.1, 0.1])
    assert [float(value) for value in made[2].split(",")[1:]] == pytest.approx([0.1, 0.8, 0.1])


@pytest.mark.parametrize(("column", "expected"), [("target", [1 / 9, 8 / 9, 0.5]), ("a", [8 / 9, 1 / 9, 0.5])])
def test_a_sample_with_one_number_of_two_classes_gives_the_second_s_probability_or_the_named_one_s(
    column: str, expected: list[float]
) -> None:
    made = Submission("ab").run(f"Id,{column}\nt0,0.5\nt1,0.5\nt2,0.5\n")
    assert pd.read_csv("out.csv")[column].tolist() == pytest.approx(expected)
    assert made.startswith(f"Id,{column}\n")


def test_a_sample_of_0_and_1_for_classes_named_0_and_1_asks_for_labels() -> None:
    assert Submission("01").run("Id,y\nt0,0\nt1,0\nt2,0\n") == "Id,y\nt0,0\nt1,1\nt2,0\n"


def test_probabilities_of_one_column_can_be_asked_for_where_the_sample_shows_labels() -> None:
    Submission("01").run("Id,y\nt0,0\nt1,0\nt2,0\n", format="probabilities")
    assert pd.read_csv("out.csv")["y"].tolist() == pytest.approx([1 / 9, 8 / 9, 0.5])


def test_labels_into_a_sample_of_many_columns_are_refused() -> None:
    with pytest.raises(DataError, match=r"sample\.csv|format"):
        Submission().run("Id,c,a,b\nt2,0,0,0\nt0,0,0,0\nt1,0,0,0\n", format="label")


def test_probabilities_of_three_classes_into_one_column_are_refused() -> None:
    with pytest.raises(DataError, match=r"sample\.csv|format"):
        Submission().run("Id,Answer\nt2,a\nt0,a\nt1,a\n", format="probabilities")


@pytest.mark.parametrize(
    ("sample", "said"),
    [
        (
            "id,y\nt0,a\nt1,a\n",
            r"sample\.csv: 1 test image is missing, first 't2'; it must name exactly the 3 test images",
        ),
        (
            "id,y\nt0,a\nt1,a\nt2,a\nt3,a\n",
            r"sample\.csv: 1 id is not that of a test image, first 't3'; it must name exact",
        ),
        ("id,y\nt0,a\nt1,a\nt2,a\nt2,a\n", r"sample\.csv: 1 row repeats the id of an earlier one, first 't2'\. Keep"),
    ],
)
def test_a_sample_with_other_ids_is_refused(sample: str, said: str) -> None:
    with pytest.raises(DataError, match=said):
        Submission().run(sample)
    assert not Path("out.csv").exists()


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        (("t0", "t1"), r"ensemble: 1 test image is missing, first 't2'; it must .* run the workflow again"),
        (("t0", "t1", "t2", "t3"), r"ensemble: 1 id is not that of a test image, first 't3'"),
        (("t0", "t1", "t2", "t1"), r"ensemble: 1 row repeats the id of an earlier one, first 't1'\. Its predictions"),
    ],
)
def test_predictions_of_other_images_are_refused(ids: tuple[str, ...], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Submission(ids=ids).run()
    assert not Path("out.csv").exists()
