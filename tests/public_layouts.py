"""Miniatures of public data sets: their folders, names and tables, with generated pictures of a few pixels."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downloads import SIDE, picture, save

XML = (
    "<annotation><size><width>16</width><height>16</height></size><object><name>{}</name><bndbox><xmin>2</xmin>"
    "<ymin>2</ymin><xmax>9</xmax><ymax>{}</ymax></bndbox></object></annotation>"
)
PARTS = (("train", 8), ("val", 4), ("test", 3))
"""Parts of a fixed split, and how many images each has here."""
LAYOUTS: dict[str, Callable[[Path], None]] = {}


def layout(make: Callable[[Path], None]) -> Callable[[Path], None]:
    LAYOUTS[make.__name__] = make
    return make


def seed(path: Path) -> int:
    return sum((place + 1) * code for place, code in enumerate(path.as_posix().encode()))


def photo(path: Path) -> None:
    save(path, picture(seed(path)))


def blocks(path: Path, values: Sequence[object] = (0, 255)) -> NDArray[np.uint8]:
    """A mask of 16 blocks of ``values``, which may be colours."""
    chosen = (
        np.random.default_rng(seed(path)).integers(0, len(values), (4, 4)).repeat(SIDE // 4, 0).repeat(SIDE // 4, 1)
    )
    return np.array(values, np.uint8)[chosen]


def mask(path: Path, values: Sequence[object] = (0, 255)) -> None:
    save(path, blocks(path, values))


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


@layout
def roboflow_voc(root: Path) -> None:
    for part, n in (("train", 8), ("valid", 4), ("test", 3)):
        for number in range(n):
            photo(root / part / f"{part}{number}.jpg")
            text(root / part / f"{part}{number}.xml", XML.format(("cat", "dog")[number % 2], 9 + number % 4))
    text(root / "README.roboflow.txt", "x")


@layout
def roboflow_multilabel(root: Path) -> None:
    for part, n in (("train", 12), ("valid", 6), ("test", 4)):
        for number in range(n):
            photo(root / part / f"{part}{number}.jpg")
        rows = [f"{part}{k}.jpg, {k % 2}, {k // 2 % 2}, {int(k % 3 == 0)}" for k in range(n)]
        text(root / part / "_classes.csv", "filename, cat, dog, bird", *rows)


@layout
def roboflow_masks(root: Path) -> None:
    for part, n in (("train", 8), ("valid", 4), ("test", 3)):
        for number in range(n):
            photo(root / part / f"{part}{number}_jpg.rf.{number}.jpg")
            mask(root / part / f"{part}{number}_jpg.rf.{number}_mask.png", (0, 1, 2))


@layout
def coco_2017(root: Path) -> None:
    for part, n in PARTS:
        names = [f"{part}{number:012d}.jpg" for number in range(n)]
        for name in names:
            photo(root / f"{part}2017" / name)
        images = [{"id": k, "file_name": name, "width": 16, "height": 16} for k, name in enumerate(names)]
        boxes = [{"id": k, "image_id": k, "category_id": 1 + k % 2, "bbox": [2, 2, 6, 6 + k % 4]} for k in range(n)]
        kinds = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
        content = (
            {"images": images} if part == "test" else {"images": images, "annotations": boxes, "categories": kinds}
        )
        kind = "image_info" if part == "test" else "instances"
        text(root / "annotations" / f"{kind}_{part}2017.json", json.dumps(content))


@layout
def tiny_imagenet(root: Path) -> None:
    classes = ("n01443537", "n01629819", "n01641577")
    for name in classes:
        for number in range(6):
            photo(root / "train" / name / "images" / f"{name}_{number}.JPEG")
        text(root / "train" / name / f"{name}_boxes.txt", f"{name}_0.JPEG\t0\t0\t9\t9")
    for number in range(6):
        photo(root / "val/images" / f"val_{number}.JPEG")
        photo(root / "test/images" / f"test_{number}.JPEG")
    text(root / "val/val_annotations.txt", *(f"val_{k}.JPEG\t{classes[k % 3]}\t0\t0\t9\t9" for k in range(6)))
    text(root / "wnids.txt", *classes)


@layout
def one_table(root: Path) -> None:
    for number in range(24):
        photo(root / "images" / f"{number:03d}.jpg")
    part = ["train"] * 16 + ["val"] * 4 + ["test"] * 4
    text(
        root / "metadata.csv",
        "filename,label,split",
        *(f"{k:03d}.jpg,{('cat', 'dog')[k % 2]},{part[k]}" for k in range(24)),
    )


@layout
def chest_xray14(root: Path) -> None:
    labels = ("Hernia|Mass", "No Finding", "Mass|Hernia|Edema", "Hernia", "Mass|Edema", "Edema|Hernia|Mass")
    names = [f"{number // 2:08d}_{number % 2:03d}.png" for number in range(24)]
    for number, name in enumerate(names):
        photo(root / f"images_{1 + number // 12:03d}/images" / name)
    rows = [f"{name},{labels[k % 6]},{k % 2},{k // 2},{40 + k},M" for k, name in enumerate(names)]
    text(
        root / "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender",
        *rows,
    )
    text(root / "train_val_list.txt", *names[:18])
    text(root / "test_list.txt", *names[18:])


@layout
def masks_in_parts(root: Path) -> None:
    for part, n in PARTS:
        for number in range(n):
            photo(root / part / "images" / f"{number}.png")
            mask(root / part / "masks" / f"{number}.png")


@layout
def camvid(root: Path) -> None:
    colours = {"Animal": (64, 128, 64), "Road": (128, 64, 128), "Void": (0, 0, 0)}
    for part, n in PARTS:
        for number in range(n):
            photo(root / part / f"{part}_{number:06d}.png")
            mask(root / f"{part}_labels" / f"{part}_{number:06d}_L.png", list(colours.values()))
    text(root / "class_dict.csv", "name,r,g,b", *(f"{name},{r},{g},{b}" for name, (r, g, b) in colours.items()))


@layout
def cityscapes(root: Path) -> None:
    for part, cities in (("train", ("aachen", "bochum", "ulm")), ("val", ("lindau",)), ("test", ("berlin",))):
        for city in cities:
            for number in range(4):
                name, values = f"{city}_{number:06d}_000019", (0, 7, 8) if part != "test" else (0,)
                photo(root / "leftImg8bit" / part / city / f"{name}_leftImg8bit.png")
                for kind in ("labelIds", "instanceIds"):
                    mask(root / "gtFine" / part / city / f"{name}_gtFine_{kind}.png", values)
                text(root / "gtFine" / part / city / f"{name}_gtFine_polygons.json", "{}")
    text(root / "README", "x")


@layout
def folder_per_case(root: Path) -> None:
    for number in range(8):
        photo(root / f"site{number}/image.png")
        mask(root / f"site{number}/mask.png")


@layout
def data_science_bowl(root: Path) -> None:
    for number in range(8):
        photo(root / f"stage1_train/id{number}/images/id{number}.png")
        for place in (1, 8):
            cell = np.zeros((SIDE, SIDE), np.uint8)
            cell[place : place + 4, 1 : 5 + number % 3] = 255
            save(root / f"stage1_train/id{number}/masks/{place}.png", cell)
    for number in range(3):
        photo(root / f"stage1_test/t{number}/images/t{number}.png")
    text(root / "stage1_sample_submission.csv", "ImageId,EncodedPixels", "t0,1 1", "t1,1 1", "t2,1 1")


@layout
def busi(root: Path) -> None:
    for name in ("benign", "malignant", "normal"):
        for number in range(1, 6):
            photo(root / name / f"{name} ({number}).png")
            mask(root / name / f"{name} ({number})_mask.png")
    mask(root / "benign/benign (4)_mask_1.png")


@layout
def kvasir_seg(root: Path) -> None:
    for number in range(8):
        photo(root / "Kvasir-SEG/images" / f"cju{number}.jpg")
        mask(root / "Kvasir-SEG/masks" / f"cju{number}.png")


@layout
def oxford_pets(root: Path) -> None:
    for name in ("Abyssinian", "beagle", "pug"):
        for number in range(1, 7):
            photo(root / "images" / f"{name}_{number}.jpg")
            mask(root / "annotations/trimaps" / f"{name}_{number}.png", (1, 2, 3))


@layout
def isic_2016(root: Path) -> None:
    for number in range(12):
        photo(root / "ISBI2016_ISIC_Part1_Training_Data" / f"ISIC_{number:07d}.jpg")
        mask(root / "ISBI2016_ISIC_Part1_Training_GroundTruth" / f"ISIC_{number:07d}_Segmentation.png")
    for number in range(12, 15):
        photo(root / "ISBI2016_ISIC_Part1_Test_Data" / f"ISIC_{number:07d}.jpg")


@layout
def flowers_102(root: Path) -> None:
    for number in range(12):
        photo(root / "jpg" / f"image_{number:05d}.jpg")
        mask(root / "segmim" / f"segmim_{number:05d}.png")


@layout
def breast_histology(root: Path) -> None:
    for patient in range(8863, 8875):
        for name in "01":
            for number in range(2):
                photo(root / str(patient) / name / f"{patient}_idx5_x{number}_class{name}.png")


@layout
def chexpert(root: Path) -> None:
    for part, n in (("train", 16), ("valid", 8)):
        names = [f"CheXpert/{part}/patient{k // 2:05d}/study{k % 2 + 1}/view1.jpg" for k in range(n)]
        for name in names:
            photo(root / name)
        cells = [
            f"{('1.0', '0.0', '', '-1.0')[k % 4]},{('', '1.0', '1.0')[k % 3]},{('0.0', '1.0')[k % 2]}" for k in range(n)
        ]
        rows = [f"{name},Male,{30 + k},{own}" for k, (name, own) in enumerate(zip(names, cells, strict=True))]
        text(root / "CheXpert" / f"{part}.csv", "Path,Sex,Age,Edema,Cardiomegaly,Fracture", *rows)


@layout
def celeba(root: Path) -> None:
    for number in range(20):
        photo(root / "img_align_celeba" / f"{number:06d}.jpg")
    cells = [f"{1 if k % 2 else -1},{1 if k % 3 else -1},{1 if k % 5 else -1}" for k in range(20)]
    text(
        root / "list_attr_celeba.csv",
        "image_id,Smiling,Male,Young",
        *(f"{k:06d}.jpg,{own}" for k, own in enumerate(cells)),
    )
    text(root / "list_eval_partition.csv", "image_id,partition", *(f"{k:06d}.jpg,{k // 8}" for k in range(20)))


@layout
def cub_200(root: Path) -> None:
    names = [
        f"{name}/{name[4:]}_{k:04d}.jpg" for name in ("001.Albatross", "002.Cowbird", "003.Wren") for k in range(6)
    ]
    for name in names:
        photo(root / "images" / name)
    text(root / "images.txt", *(f"{k + 1} {name}" for k, name in enumerate(names)))


@layout
def split_in_each_class(root: Path) -> None:
    for name in ("cat", "dog"):
        for part, n in PARTS:
            for number in range(n):
                photo(root / name / part / f"{name}_{part}{number}.jpg")


@layout
def love_da(root: Path) -> None:
    for part, n in (("Train", 4), ("Val", 2)):
        for place in ("Rural", "Urban"):
            for number in range(n):
                photo(root / part / place / "images_png" / f"{part}{place}{number}.png")
                mask(root / part / place / "masks_png" / f"{part}{place}{number}.png", (0, 1, 2))


@layout
def traffic_signs(root: Path) -> None:
    names = [f"Train/{number % 3}/{number:05d}.png" for number in range(18)]
    tests = [f"Test/{number:05d}.png" for number in range(5)]
    for name in (*names, *tests):
        photo(root / name)
    for file, own in (("Train.csv", names), ("Test.csv", tests)):
        text(root / file, "Width,Height,ClassId,Path", *(f"16,16,{place % 3},{name}" for place, name in enumerate(own)))


@layout
def plant_village(root: Path) -> None:
    for kind in ("color", "grayscale", "segmented"):
        for name in ("Apple___scab", "Apple___healthy"):
            for number in range(5):
                photo(root / kind / name / f"{number}.JPG")
