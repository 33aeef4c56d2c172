"""Layouts that people download: tiles with images and masks inside, classes within classes, lists beside class folders."""

import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

import downloads
from goldfold.base.errors import ConfigError, DataError
from goldfold.base.files import read_json
from goldfold.commands.check import check
from goldfold.commands.checked import as_text
from goldfold.config import parse, slices
from goldfold.images.files import passed_over
from goldfold.sources import read
from goldfold.sources.class_folders import parts_to_pool
from goldfold.stages import folds, manifest

pytestmark = pytest.mark.usefixtures("in_tmp")
PICTURE = downloads.picture(0)
MODELS = [{"name": "a", "network": "small_resnet", "image_size_px": 8}]
UNET = [{"name": "a", "network": "unet", "backbone": "resnet18", "image_size_px": 32}]


def put(*names: str) -> None:
    for name in names:
        downloads.save(Path(name), PICTURE)


def labels(**settings: Any) -> dict[str, str]:
    """Label of each training image of a folder source by its id."""
    table = read("folder", **settings)["train"]
    return dict(zip(table["id"], table["label"], strict=True))


# --- classes within classes


def test_innermost_folders_are_classes_named_by_their_paths(capsys: pytest.CaptureFixture[str]) -> None:
    downloads.photos(Path("photos"), n=1)
    found = labels(train="photos")
    assert sorted(set(found.values())) == ["Animals/Dogs/Husky", "Animals/Other", "Plants/Other", "Plants/Rose"]
    assert found["Animals/Dogs/Husky/IMG_0000"] == "Animals/Dogs/Husky"
    assert capsys.readouterr().out.splitlines() == [
        "data.train: the innermost folders are the classes: 4, up to 3 deep; with data.class_level: 1 there are 2",
        "skipped 6 files and folders of other tools: 1 .DS_Store, 1 ._*, 1 .ipynb_checkpoints, 1 @eaDir, 1 Thumbs.db, "
        "1 __MACOSX",
    ]


@pytest.mark.parametrize(
    ("level", "classes"),
    [(1, {"Animals", "Plants"}), (2, {"Animals/Dogs", "Animals/Other", "Plants/Other", "Plants/Rose"})],
)
def test_a_level_says_which_folders_are_classes(
    level: int, classes: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    downloads.photos(Path("photos"), n=1)
    assert set(labels(train="photos", class_level=level).values()) == classes
    assert "innermost" not in capsys.readouterr().out


def test_pooled_parts_are_no_part_of_a_class() -> None:
    put("raw/train/A/x/1.png", "raw/Val/A/x/2.png", "raw/Val/B/3.png", "raw/test/C/4.png")
    assert labels(train="raw") == {"Val/A/x/2": "A/x", "Val/B/3": "B", "train/A/x/1": "A/x"}


@pytest.mark.parametrize(
    ("names", "settings", "said"),
    [
        (
            ["Fruit/cover.png", "Fruit/Apple/1.png", "Fruit/Kiwi/a/2.png", "Milk/2.png"],
            {},
            r"raw/Fruit holds images next to folders of images, first 'Fruit/Apple', so the classes are unclear\. Set "
            r"data\.class_level: 1 to make all of 'Fruit' one class",
        ),
        (
            ["daisy/train/1.png", "daisy/val/2.png", "rose/train/3.png"],
            {},
            r"all folders in raw/daisy \(train, val\) are named like parts of a split, .* Set data\.class_level: 1 to pool them",
        ),
        (
            ["val/a/1.png", "test/b/2.png"],
            {},
            r"all folders in raw \(test, val\) are named like parts of a split.*to train on",
        ),
        (
            ["Fruit/Apple/1.png", "Milk/2.png"],
            {"class_level": 2},
            r"raw/Milk/2\.png is 1 folder deep, and data\.class_level is 2\. .*set data\.class_level: 1 or leaf\.",
        ),
        (
            ["a/p/1.png", "b/2.png"],
            {"class_level": 1, "group_level": 2},
            r"raw/b/2\.png is 1 folder deep.*group_level: 1",
        ),
    ],
)
def test_folders_that_may_be_no_classes_are_refused(names: list[str], settings: Any, said: str) -> None:
    put(*(f"raw/{name}" for name in names))
    with pytest.raises(DataError, match=said):
        read("folder", train="raw", **settings)


def test_a_single_folder_within_a_class_belongs_to_it(capsys: pytest.CaptureFixture[str]) -> None:
    put("raw/cat/1.png", "raw/cat/more/2.png", "raw/dog/3.png")
    assert labels(train="raw") == {"cat/1": "cat", "cat/more/2": "cat", "dog/3": "dog"}
    assert capsys.readouterr().out == "data.train: raw/cat holds images, and those of 'cat/more': one class, 'cat'\n"


def test_an_empty_folder_within_a_class_is_no_class_and_an_empty_class_is_refused() -> None:
    put("raw/Fruit/Apple/1.png", "raw/Fruit/Kiwi/2.png")
    Path("raw/Fruit/Kiwi/notes").mkdir()
    assert len(labels(train="raw")) == 2
    Path("raw/Fruit/Pear").mkdir()
    with pytest.raises(DataError, match=r"class folder raw/Fruit/Pear holds no image"):
        labels(train="raw")
    assert set(labels(train="raw", class_level=1).values()) == {"Fruit"}


def test_folders_within_a_class_may_be_groups() -> None:
    put("raw/daisy/anna/1.png", "raw/daisy/bert/deep/2.png", "raw/rose/anna/3.png")
    table = read("folder", train="raw", class_level=1, group_level=2)["train"]
    assert list(table["group"]) == ["daisy/anna", "daisy/bert", "rose/anna"]
    data = {"source": "folder", "train": "raw", "class_level": 1, "group_level": 2}
    with pytest.raises(ConfigError, match=r"there are groups .* but folds\.splitter is 'stratified'"):
        parse({"name": "t", "data": data, "models": MODELS})
    with pytest.raises(ConfigError, match="group_level and groups both say which images belong together"):
        parse({"name": "t", "data": {**data, "groups": "g.csv"}, "models": MODELS, "folds": {"splitter": "group"}})


@pytest.mark.parametrize(
    ("names", "pooled"),
    [
        ({"train", "val", "test"}, ["train", "val"]),
        ({"Training", "Testing"}, ["Training"]),
        ({"TRAIN", "Valid"}, ["TRAIN", "Valid"]),
        ({"train", "plane"}, None),
        ({"val", "test"}, None),
    ],
)
def test_parts_are_known_whatever_their_case(names: set[str], pooled: list[str] | None) -> None:
    assert parts_to_pool(names, "raw") == pooled


# --- lists beside class folders


@pytest.mark.parametrize("start", ["list", "root", "above"])
@pytest.mark.parametrize("form", ["{}.png", "{}", "{}.png, 0, 4", "{}.png 3", "{}\t0"])
def test_lists_name_images_from_where_they_lie_or_from_the_root(start: str, form: str) -> None:
    put("data/img/A b/1, 2.png", "data/img/A b/2.png", "data/img/C/3 4.png", "data/img/C/5.png")
    before = {"list": "img/", "root": "", "above": "img/"}[start]
    where = Path({"list": "data", "root": "data/img", "above": "lists"}[start])
    where.mkdir(exist_ok=True)
    for name, images in (("train", ["A b/1, 2", "C/5"]), ("test", ["C/3 4"])):
        (where / f"{name}.txt").write_text(
            "\ufeff\n" + "\r\n".join(form.format(before + image) for image in images) + "\n\n"
        )
    found = read("folder", train="data/img", train_list=str(where / "train.txt"), test_list=[str(where / "test.txt")])
    assert found["train"].to_dict("records") == [
        {"id": "A b/1, 2", "path": "data/img/A b/1, 2.png", "label": "A b"},
        {"id": "C/5", "path": "data/img/C/5.png", "label": "C"},
    ]
    assert found["test"].to_dict("records") == [{"id": "C/3 4", "path": "data/img/C/3 4.png"}]


def test_what_no_list_names_is_counted_or_unlabeled(capsys: pytest.CaptureFixture[str]) -> None:
    downloads.grocery(Path("g"))
    settings = {"train": "g", "train_list": ["g/train.txt", "g/val.txt"], "test_list": "g/test.txt"}
    found = read("folder", **settings)
    assert {split: len(table) for split, table in found.items()} == {"train": 24, "test": 6}
    assert set(found["train"]["label"]) == {f"{folder}/{name}" for name, folder, _ in downloads.GROCERIES}
    said = "6 images below g are in no table, first g/iconic/Fruit/Apple/Granny-Smith/Granny-Smith_Iconic.jpg: left out"
    assert said in capsys.readouterr().out
    found = read("folder", **settings, unlabeled="g")
    assert [name.partition("/")[0] for name in found["unlabeled"]["id"]] == ["iconic"] * 6
    assert "in no table" not in capsys.readouterr().out


def test_a_list_of_test_images_alone_leaves_them_out_of_training() -> None:
    put("raw/a/1.png", "raw/a/2.png", "raw/b/3.png")
    Path("test.txt").write_text("a/2\n")
    assert labels(train="raw", test_list="test.txt") == {"a/1": "a", "b/3": "b"}
    config = parse(
        {"name": "t", "data": {"source": "folder", "train": "raw", "test_list": "test.txt"}, "models": MODELS}
    )
    assert config.splits == ["train", "test"]
    assert config.data.raw_paths() == ["raw", "test.txt"], "a changed list is a changed input"


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (
            "a/1\n",
            "b/3.png\na/1.png\n",
            r"1 training images are test images too, first raw/a/1\.png\. Name each in one list",
        ),
        ("\n", None, r"data\.train_list: train\.txt names no images"),
        (
            "A/01.png\n",
            None,
            r"none of the 1 images .* first 'A/01\.png'\. Nearest is 'a/1'\. Write paths relative to raw",
        ),
        ("../up.png\n", None, r"'\.\./up\.png' leads out of the folder of the data"),
    ],
)
def test_lists_that_cannot_be_used_are_refused(train: str, test: str | None, said: str) -> None:
    put("raw/a/1.png", "raw/b/3.png")
    Path("train.txt").write_text(train)
    if test is not None:
        Path("test.txt").write_text(test)
    with pytest.raises(DataError, match=said):
        read("folder", train="raw", train_list="train.txt", test_list="test.txt" if test else None)


# --- tiles


def test_the_group_of_an_image_is_its_tile() -> None:
    downloads.tiles(Path("tiles"), n_tiles=2, n_parts=1)
    assert read("tiles", train="tiles")["train"].to_dict("records") == [
        {
            "id": f"Tile {n}/images/image_part_001", "path": f"tiles/Tile {n}/images/image_part_001.jpg",
            "mask": f"tiles/Tile {n}/masks/image_part_001.png", "group": f"Tile {n}",
        }
        for n in (1, 2)
    ]  # fmt: skip


def test_tiles_are_split_whole_and_their_colours_are_classes() -> None:
    downloads.tiles(Path("tiles"))
    config: dict[str, Any] = {"name": "t", "task": "segmentation", "models": UNET, "folds": {"n_folds": 2}}
    config["data"] = {"source": "tiles", "train": "tiles", "mask_values": downloads.COLOURS}
    manifest.run(folder="manifest", workers=1, **slices.manifest(parse(config)))
    folds.run(manifest="manifest", folder="folds", **slices.folds(parse(config)))
    assert read_json(Path("folds/classes.json")) == list(downloads.COLOURS)
    table = pd.read_csv("folds/train.csv")
    assert table.groupby("group")["fold"].nunique().to_dict() == {f"Tile {n}": 1 for n in range(1, 5)}
    assert table["fold"].value_counts().to_dict() == {0: 6, 1: 6}
    assert parse(config).folds.splitter == "stratified_group"
    assert parse({**config, "data": {**config["data"], "group_level": 0}}).folds.splitter == "stratified"
    with pytest.raises(ConfigError, match=r"there are groups .* folds\.splitter is 'stratified'"):
        parse({**config, "folds": {"splitter": "stratified"}})


@pytest.mark.parametrize(
    ("names", "settings", "found"),
    [
        (["s/x.jpg", "s/x_mask.png"], {"image_folder": ".", "mask_folder": ".", "mask_pattern": "{id}_mask"}, ["s/x", "s"]),
        (["a/s/IMAGES/x.jpg", "a/s/Masks/x.png"], {}, ["a/s/IMAGES/x", "a/s"]),
        (["a/s/images/x.jpg", "a/s/masks/x.png"], {"group_level": 1}, ["a/s/images/x", "a"]),
        (["a/images/deep/x.jpg", "a/masks/deep/x.png"], {}, ["a/images/deep/x", "a"]),
        (["images/s/x.jpg", "masks/s/x.png"], {}, ["images/s/x", "s"]),
        (["images/train/s/x.jpg", "masks/train/s/x.png"], {}, ["images/train/s/x", "s"]),
        (["s/x_sat.jpg", "s/gt/mask_x.png"],
         {"image_folder": ".", "mask_folder": "gt", "image_pattern": "{id}_sat", "mask_pattern": "mask_{id}"}, ["s/x_sat", "s"]),
        (["images/x.jpg", "masks/x.png"], {}, ["images/x", "."]),
        (["images/x.jpg", "masks/x.png"], {"group_level": 0}, ["images/x"]),
        (["train/s/images/x.jpg", "train/s/masks/x.png", "test/u/images/y.jpg"], {}, ["train/s/images/x", "s"]),
    ],
)  # fmt: skip
def test_images_and_masks_are_paired_within_a_tile(names: list[str], settings: Any, found: list[str]) -> None:
    put(*(f"raw/{name}" for name in names))
    [row] = read("tiles", train="raw", **settings)["train"].to_dict("records")
    assert [row[key] for key in ("id", "group") if key in row] == found
    assert [row["path"], row["mask"]] == [f"raw/{name}" for name in names[:2]]


def test_test_tiles_below_train_are_not_trained_on_and_their_masks_are_answers() -> None:
    downloads.tiles(Path("raw"), n_tiles=2, n_parts=1)
    put("raw/test/Tile 9/images/z.jpg", "raw/test/Tile 9/masks/z.png", "flat/q.jpg", "raw/Tile 3/images/bare.png")
    with pytest.raises(
        DataError, match=r"Tile 9/images/z\.jpg is in a folder that is named like a test set\. Set data\.test"
    ):
        read("tiles", train="raw")
    found = read("tiles", train="raw", test="raw/test", test_answers="raw/test", unlabeled="flat")
    assert list(found["train"]["group"]) == ["Tile 1", "Tile 2", "Tile 3"]
    assert found["train"]["mask"].isna().tolist() == [False, False, True]
    assert list(found["test"]["id"]) == ["Tile 9/images/z"]
    assert list(found["answers"]["mask"]) == ["raw/test/Tile 9/masks/z.png"]
    assert list(found["unlabeled"]["id"]) == ["q"]


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ["s/images/007.png", "s/masks/7.png"],
            r"1 mask has no image, first raw/s/masks/7\.png\. The nearest image is .*007",
        ),
        (["s/images/x.png", "s/masks/x.png", "s/masks/x.gif"], r"image 's/images/x\.png' has two masks"),
        (
            ["s/images/x.png", "s/images/y.png"],
            r"all 2 images are of one tile, 's', .* Set data\.group_level: 0 for no groups",
        ),
        (["s/pictures/x.png", "s/masks/x.png"], r"no images of tiles below raw; the first file is s/masks/x\.png"),
    ],
)
def test_tiles_that_do_not_fit_are_refused(names: list[str], said: str) -> None:
    put(*(f"raw/{name}" for name in names))
    with pytest.raises(DataError, match=said):
        read("tiles", train="raw")


def test_pictures_of_a_tile_that_are_neither_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    put("raw/s/images/x.png", "raw/s/masks/x.png", "raw/s/preview.png")
    assert len(read("tiles", train="raw")["train"]) == 1
    assert "data.train: left out 1 image below raw that is in no folder 'images' or 'masks'" in capsys.readouterr().out


def test_a_link_that_leads_out_of_the_tiles_is_refused_wherever_snakemake_starts() -> None:
    put("secret/x.png", "raw/s/x_mask.png")
    Path("raw/s/x.png").symlink_to(Path("secret/x.png").resolve())
    here = {"image_folder": ".", "mask_folder": ".", "mask_pattern": "{id}_mask"}
    with pytest.raises(DataError, match=r"raw/s/x\.png leads to .*secret/x\.png, which lies outside"):
        read("tiles", train="raw", **here)


# --- other tools


def test_files_and_folders_of_other_tools_are_passed_over_and_counted() -> None:
    names = ("@eaDir", "__MACOSX", ".ipynb_checkpoints", "#recycle", "@EADIR", "$RECYCLE.BIN", "lost+found", ".git")
    put("raw/a/1.png", "raw/b/2.png", *(f"raw/b/{name}/{name}.png" for name in names))
    for name in ("Thumbs.db", ".DS_Store", "._1.png", "._2.png", "desktop.ini"):
        Path(f"raw/a/{name}").write_bytes(b"x")
    assert labels(train="raw") == {"a/1": "a", "b/2": "b"}
    counted = passed_over(["raw", "raw/a"])
    assert counted == {**dict.fromkeys((*names, "Thumbs.db", ".DS_Store", "desktop.ini"), 1), "._*": 2}


def test_check_counts_what_is_passed_over_and_what_no_list_names() -> None:
    downloads.photos(Path("raw"), n=4)
    Path("train.txt").write_text(
        "\n".join(f"{folder}/IMG_000{n}" for folder in ("Plants/Rose", "Plants/Other") for n in range(4))
    )
    data = {"source": "folder", "train": "raw", "train_list": "train.txt"}
    config = {"name": "t", "data": data, "folds": {"n_folds": 2}, "models": MODELS}
    Path("c.yaml").write_text(yaml.safe_dump(config))
    found = check("c.yaml")
    assert found.left_out == []
    said = as_text(found)
    assert "skipped 6 files and folders of other tools: 1 .DS_Store" in said
    assert "8 images below raw are in no table, first raw/Animals/Dogs/Husky/IMG_0000.jpg: left out" in said


# --- parts of a fixed split, and names that follow a pattern


def test_folders_of_masks_are_one_training_set() -> None:
    put(*(f"raw/{part}/{kind}/1.png" for part in ("train", "val") for kind in ("images", "masks")))
    both = [[f"raw/{part}/{kind}" for part in ("train", "val")] for kind in ("images", "masks")]
    rows = read("masks", train=both[0], masks=both[1])["train"]
    assert list(rows["id"]) == ["train/1", "val/1"]
    assert list(rows["mask"]) == ["raw/train/masks/1.png", "raw/val/masks/1.png"]
    with pytest.raises(DataError, match="is in two of the folders"):
        read("masks", train=[both[0][0], "raw/train/../train/images"], masks=[both[1][0]] * 2)


def test_images_in_folders_of_their_own_are_paired_by_a_pattern_without_an_id() -> None:
    put(*(f"raw/case{number}/{name}.png" for number in (1, 2) for name in ("image", "mask", "depth")))
    how = {"image_folder": ".", "mask_folder": ".", "image_pattern": "image", "mask_pattern": "mask", "group_level": 0}
    rows = read("tiles", train="raw", **how)["train"]
    assert list(rows["id"]) == ["case1/image", "case2/image"]
    assert list(rows["mask"]) == ["raw/case1/mask.png", "raw/case2/mask.png"]


def test_a_test_set_within_the_folder_of_images_takes_its_masks_with_it() -> None:
    put(*(f"raw/{kind}/{part}/x/1.png" for kind in ("images", "masks") for part in ("train", "val", "test")))
    tables = read("tiles", train="raw", test="raw/images/test", test_answers="raw/masks/test", group_level=0)
    assert list(tables["train"]["path"]) == ["raw/images/train/x/1.png", "raw/images/val/x/1.png"]
    assert list(tables["test"]["path"]) == ["raw/images/test/x/1.png"]
    assert list(tables["answers"]["mask"]) == ["raw/masks/test/x/1.png"]


def test_the_class_may_be_the_innermost_folder_and_the_patient_the_first() -> None:
    put(*(f"raw/{patient}/{name}/1.png" for patient in ("8863", "8864") for name in "01"))
    rows = read("folder", train="raw", class_level=-1, group_level=1)["train"]
    assert list(zip(rows["label"], rows["group"], strict=True)) == [
        ("0", "8863"),
        ("1", "8863"),
        ("0", "8864"),
        ("1", "8864"),
    ]


# --- one table of all splits


def one_table(**settings: Any) -> dict[str, Any]:
    put("raw/a.png", "raw/b.png", "raw/c.png")
    Path("t.csv").write_text("id,label,split\na,x,train\nb,y,Val\nc,x,test\n")
    return read("csv", train="t.csv", images="raw", **settings)


def test_a_column_or_lists_say_which_rows_are_the_test_set() -> None:
    Path("train.txt").write_text("a.png\nb.png\n")
    Path("test.txt").write_text("c\n")
    for settings in (
        {"split_column": "split"},
        {"test_list": "test.txt"},
        {"train_list": "train.txt", "test_list": "test.txt"},
    ):
        tables = one_table(**settings, test_answers="t.csv")
        assert (list(tables["train"]["id"]), list(tables["test"]["id"])) == (["a", "b"], ["c"])
        assert (list(tables["test"]), tables["answers"].to_dict("list")) == (
            ["id", "path"],
            {"id": ["c"], "label": ["x"]},
        )


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"split_column": "label"}, "t.csv: column 'label' has 'x' in line 2. Write one of "),
        (
            {"test_list": "other.txt"},
            "data.test_list: none of the names in other.txt is in the table, e.g. 'z'; the table has 'a'",
        ),
        ({"train_list": "one.txt", "test_list": "one.txt"}, "data.test_list: 'a' is in data.train_list too"),
        ({"test_list": "gone.txt"}, "data.test_list: cannot read gone.txt"),
    ],
)
def test_splits_of_one_table_that_do_not_fit_are_refused(settings: dict[str, str], said: str) -> None:
    Path("other.txt").write_text("z\n")
    Path("one.txt").write_text("a\n")
    with pytest.raises(DataError, match=re.escape(said)):
        one_table(**settings)


def test_cells_mean_what_label_values_says() -> None:
    put("raw/a.png", "raw/b.png")
    Path("t.csv").write_text("id,x,y\na,1,-1\nb,-1,\n")
    how = {"train": "t.csv", "images": "raw", "label_columns": ["x", "y"]}
    with pytest.raises(DataError, match=r"or define its meaning in data\.label_values"):
        read("csv", **how)
    rows = read("csv", **how, label_values={"1": True, "-1": False, "": False})["train"]
    assert list(rows["labels"]) == ['["x"]', "[]"]


def test_folders_of_xml_may_take_the_place_of_lists() -> None:
    for part in ("train", "valid", "test"):
        put(f"raw/{part}/1.png")
        Path(f"raw/{part}/1.xml").write_text("<annotation/>")
    how = {"annotations": "raw", "images": "raw", "train": ["raw/train", "raw/valid"], "test": "raw/test"}
    tables = read("voc", **how, test_answers="raw")
    assert [list(tables[split]["id"]) for split in ("train", "test", "answers")] == [
        ["train/1", "valid/1"],
        ["test/1"],
        ["test/1"],
    ]
    with pytest.raises(DataError, match=r"is not below data\.annotations, raw/train"):
        read("voc", **(how | {"annotations": "raw/train"}))
