"""goldfold init on miniatures of public data sets: the reading, its classes and its parts."""

import json
from pathlib import Path
from typing import Any

import pytest

import public_layouts
from goldfold.base.errors import DataError
from goldfold.commands.init import command, reading
from goldfold.commands.init.found import Layout
from goldfold.commands.init.walk import walk

pytestmark = pytest.mark.usefixtures("in_tmp")


def best(name: str) -> Layout:
    """The likeliest layout of a miniature in the folder ``raw``."""
    public_layouts.LAYOUTS[name](Path("raw"))
    return reading.propose(walk("raw"))[1][0].layout


CASES: dict[str, tuple[dict[str, int], set[str], dict[str, Any]]] = {
    "roboflow_voc": (
        {"train": 12, "test": 3}, {"cat", "dog"},
        {"source": "voc", "train": ["raw/train", "raw/valid"], "test": "raw/test", "test_answers": "raw"},
    ),
    "roboflow_multilabel": (
        {"train": 18, "test": 4}, {"cat", "dog", "bird"},
        {"source": "csv", "train": ["raw/train/_classes.csv", "raw/valid/_classes.csv"], "images": "raw"},
    ),
    "roboflow_masks": (
        {"train": 12, "test": 3}, {"1", "2"},
        {"source": "masks", "train": ["raw/train", "raw/valid"], "masks": ["raw/train", "raw/valid"], "test": "raw/test"},
    ),
    "coco_2017": (
        {"train": 12, "test": 3}, {"cat", "dog"},
        {"source": "coco", "images": ["raw/train2017", "raw/val2017"], "test_images": "raw/test2017"},
    ),
    "tiny_imagenet": (
        {"train": 18, "test": 6}, {"n01443537", "n01629819", "n01641577"},
        {"source": "folder", "train": "raw/train", "class_level": 1, "test": "raw/test"},
    ),
    "one_table": (
        {"train": 20, "test": 4}, {"cat", "dog"},
        {"source": "csv", "split_column": "split", "test_answers": "raw/metadata.csv", "test": None},
    ),
    "chest_xray14": (
        {"train": 18, "test": 6}, {"Hernia", "Mass", "Edema", "No Finding"},
        {"source": "csv", "train_list": "raw/train_val_list.txt", "test_list": "raw/test_list.txt", "label_separator": "|",
         "group_column": "Patient ID"},
    ),
    "masks_in_parts": (
        {"train": 12, "test": 3}, {"foreground"},
        {"source": "masks", "train": ["raw/train/images", "raw/val/images"], "masks": ["raw/train/masks", "raw/val/masks"],
         "test": "raw/test/images", "test_answers": "raw/test/masks"},
    ),
    "camvid": (
        {"train": 12, "test": 3}, {"Animal", "Road"},
        {"source": "masks", "train": ["raw/train", "raw/val"], "mask_suffix": "_L", "test": "raw/test"},
    ),
    "cityscapes": (
        {"train": 16, "test": 4}, {"7", "8"},
        {"source": "tiles", "train": "raw", "image_folder": "leftImg8bit", "mask_folder": "gtFine",
         "test": "raw/leftImg8bit/test", "test_answers": None, "group_level": None,
         "mask_pattern": "{id}_000019_gtFine_labelIds"},
    ),
    "folder_per_case": (
        {"train": 8}, {"foreground"},
        {"source": "tiles", "train": "raw", "image_pattern": "image", "mask_pattern": "mask", "group_level": 0},
    ),
    "data_science_bowl": ({"train": 8, "test": 3}, {"foreground"}, {"source": "instances", "test": "raw/stage1_test"}),
    "busi": ({"train": 16}, {"foreground"}, {"source": "masks", "train": "raw", "mask_suffix": "_mask"}),
    "kvasir_seg": ({"train": 8}, {"foreground"}, {"source": "masks", "train": "raw/Kvasir-SEG/images"}),
    "oxford_pets": ({"train": 18}, {"1", "2", "3"}, {"source": "masks", "masks": "raw/annotations/trimaps"}),
    "isic_2016": (
        {"train": 12, "test": 3}, {"foreground"},
        {"source": "masks", "test": "raw/ISBI2016_ISIC_Part1_Test_Data", "mask_suffix": "_Segmentation"},
    ),
    "flowers_102": (
        {"train": 12}, {"foreground"},
        {"source": "tiles", "image_pattern": "image_{id}", "mask_pattern": "segmim_{id}", "group_level": 0},
    ),
    "breast_histology": ({"train": 48}, {"0", "1"}, {"source": "folder", "class_level": -1, "group_level": 1}),
    "chexpert": (
        {"train": 24}, {"Edema", "Cardiomegaly", "Fracture"},
        {"source": "csv", "label_values": {"": False, "-1.0": False, "0.0": False, "1.0": True}},
    ),
    "celeba": (
        {"train": 20}, {"Smiling", "Male", "Young"}, {"source": "csv", "label_values": {"-1": False, "1": True}},
    ),
    "cub_200": ({"train": 18}, {"001.Albatross", "002.Cowbird", "003.Wren"}, {"source": "folder", "train": "raw/images"}),
    "love_da": ({"train": 12}, {"1", "2"}, {"source": "tiles", "train": "raw", "group_level": 0}),
    "traffic_signs": ({"train": 18, "test": 5}, {"0", "1", "2"}, {"source": "csv", "label_column": "ClassId", "images": "raw"}),
}  # fmt: skip
"""Images of each split, classes, and settings of each miniature; None: not set."""


@pytest.mark.parametrize("name", CASES)
def test_public_data_sets_are_read_as_they_are_meant(name: str) -> None:
    splits, classes, settings = CASES[name]
    found = best(name)
    assert (found.splits, set(found.classes)) == (splits, classes)
    values = {"source": found.source} | {key: found.data[key].value for key in settings if key in found.data}
    assert values == {key: value for key, value in settings.items() if value is not None}


@pytest.mark.parametrize("name", ["cityscapes", "roboflow_voc", "chest_xray14"])
def test_what_init_writes_is_accepted_by_check(name: str) -> None:
    public_layouts.LAYOUTS[name](Path("raw"))
    found = json.loads(command.init(Path("raw"), Path("mine.yaml"), None, True, True))
    first = found["readings"][0]
    assert (first["checked"], first["refusal"], found["unexplained"]) == (True, None, [])


DOUBTS = [
    ("celeba", False, "column 'partition' of raw/list_eval_partition.csv ('0', '1', '2') may define the test set"),
    ("chexpert", False, "cells of '', '-1.0' are read as no, like 0; -1 often means uncertain"),
    ("busi", False, "1 further mask of images that have one ('benign/benign (4)_mask_1.png'"),
    ("cityscapes", False, "masks named '{id}_000019_gtFine_labelIds' are read, not those named"),
    ("split_in_each_class", True, "6 images in 'raw/cat/test', 'raw/dog/test' would be trained on. Move them out"),
    ("tiny_imagenet", False, "raw/val (6 images) is not used"),
    ("love_da", False, "2 tiles ('Rural', 'Urban') are too few for folds"),
    (
        "plant_village",
        False,
        "the innermost folders are the classes ('color/Apple___healthy', 'color/Apple___scab', 'grayscale/Apple___healthy', "
        "...), not the first ('color', 'grayscale', 'segmented'); names recur in each of these: data.class_level: -1",
    ),
]


@pytest.mark.parametrize(("name", "stops", "text"), DOUBTS, ids=[case[0] for case in DOUBTS])
def test_what_cannot_be_read_as_it_is_meant_is_said(name: str, stops: bool, text: str) -> None:
    assert [doubt.stops for doubt in best(name).doubts if doubt.text.startswith(text)] == [stops]


@pytest.mark.parametrize(
    ("files", "text"),
    [
        (
            {"data/train-0.parquet": "PAR1", "data/test-0.parquet": "PAR1"},
            "is a Parquet table, as Hugging Face has them (2",
        ),
        ({"x.h5": ""}, "raw/x.h5 is an HDF5 file, but goldfold reads images as separate files"),
        (
            {"labels.json": '{"train": {"1.jpg": "a"}, "test": {}}'},
            "one file with a table per split is not read. Write each",
        ),
        (
            {"Train/1.ppm": "P6", "Train/2.ppm": "P6"},
            "2 pictures are in a format that goldfold does not read, first Train/1.ppm",
        ),
    ],
)
def test_files_that_are_not_read_are_named_with_what_to_write(files: dict[str, str], text: str) -> None:
    for name, content in files.items():
        public_layouts.text(Path("raw") / name, content)
    with pytest.raises(DataError) as error:
        command.init(Path("raw"), Path("mine.yaml"), None, True, True)
    assert text in str(error.value)


@pytest.mark.parametrize(("refusal", "wins"), [(None, "many"), ("no", "many"), ("no, and few", "few")])
def test_a_refused_reading_of_most_files_beats_an_accepted_one_of_few(refusal: str | None, wins: str) -> None:
    shares = (0.93, 0.2) if refusal != "no, and few" else (0.3, 0.9)
    readings = []
    for name, share, said in zip(("many", "few"), shares, (refusal, None), strict=True):
        one = reading.Reading(Layout("csv", "classification", name, {}, [], {}, 1.0), walk("."), [], refusal=said)
        one.__dict__["share"] = share
        readings.append(one)
    assert max(readings, key=lambda one: one.rank).layout.title == wins
