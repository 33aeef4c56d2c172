"""Miniatures of four data sets as people download them: their folders, names and tables, with generated pictures."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 16
COLOURS = {"Water": "#E2A929", "Land": "#8429F6", "Road": "#6EC1E4", "Building": "#3C1098", "Unlabeled": "#9B9B9B"}
GROCERIES = (
    ("Granny-Smith", "Fruit/Apple", "Apple"), ("Pink-Lady", "Fruit/Apple", "Apple"), ("Kiwi", "Fruit", "Kiwi"),
    ("Oat-Milk", "Packages/Milk", "Milk"), ("Whole-Milk", "Packages/Milk", "Milk"), ("Carrots", "Vegetables", "Carrots"),
)  # fmt: skip
"""Class, the folder of its folder, coarse class."""
CLASSES_CSV = (
    "Class Name (str),Class ID (int),Coarse Class Name (str),Coarse Class ID (int),Iconic Image Path (str),"
    "Product Description Path (str)"
)
LITTER = ("@eaDir/SYNOPHOTO_THUMB_M.jpg", ".ipynb_checkpoints/x-checkpoint.jpg", "Thumbs.db", ".DS_Store", "._x.jpg")
"""What tools leave in a folder; the first two lie in folders of their own."""


def picture(seed: int, size: tuple[int, int] = (SIDE, SIDE)) -> NDArray[np.uint8]:
    """Random coarse pattern (height, width, 3); no two seeds give near copies."""
    coarse = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def save(path: Path, image: NDArray[np.uint8]) -> Path:
    """Write an image, and the folders it lies in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)
    return path


def tiles(root: Path, n_tiles: int = 4, n_parts: int = 3) -> Path:
    """Aerial pictures cut in parts: ``Tile 1/images/image_part_001.jpg``, ``Tile 1/masks/image_part_001.png``.

    Masks are pictures in the colours of ``classes.json``; names repeat in every tile.
    """
    colours = [tuple(bytes.fromhex(colour[1:])) for colour in COLOURS.values()]
    for tile in range(1, n_tiles + 1):
        for part in range(1, n_parts + 1):
            seed, name = tile * 100 + part, f"image_part_{part:03d}"
            save(root / f"Tile {tile}" / "images" / f"{name}.jpg", picture(seed))
            mask = np.random.default_rng(seed).integers(0, len(colours), (4, 4)).repeat(4, 0).repeat(4, 1)
            save(root / f"Tile {tile}" / "masks" / f"{name}.png", np.array(colours, np.uint8)[mask])
    listed = [{"title": name, "shape": "polygon", "color": colour} for name, colour in COLOURS.items()]
    (root / "classes.json").write_text(json.dumps({"classes": listed}))
    return root


def grocery(root: Path, n_train: int = 3) -> Path:
    """Groceries: ``train/Fruit/Apple/Granny-Smith/Granny-Smith_001.jpg``, classes two to three folders deep.

    ``train.txt``, ``val.txt`` and ``test.txt`` have no header (``path, class id, coarse id``), ``classes.csv`` has names.
    """
    coarse = list(dict.fromkeys(name for _, _, name in GROCERIES))
    table = [CLASSES_CSV]
    lists: dict[str, list[str]] = {"train": [], "val": [], "test": []}
    for number, (name, folder, group) in enumerate(GROCERIES):
        icon = f"/iconic/{folder}/{name}/{name}_Iconic.jpg"
        save(root / icon[1:], picture(9000 + number))
        table.append(f"{name},{number},{group},{coarse.index(group)},{icon},/iconic/{folder}/{name}.txt")
        for split, n in (("train", n_train), ("val", 1), ("test", 1)):
            for image in range(1, n + 1):
                path = f"{split}/{folder}/{name}/{name}_{image:03d}.jpg"
                save(root / path, picture(number * 100 + image + 20 * list(lists).index(split)))
                lists[split].append(f"{path}, {number}, {coarse.index(group)}")
    for split, lines in lists.items():
        (root / f"{split}.txt").write_text("\n".join(lines) + "\n")
    (root / "classes.csv").write_text("\n".join(table) + "\n")
    return root


def roboflow(root: Path, n_train: int = 6) -> Path:
    """Export of Roboflow in COCO's format: ``train/``, ``valid/``, ``test/`` with ``_annotations.coco.json`` in each.

    Category 0 is the project's own name, which no box has; the last image of each part has no boxes.
    """
    categories = [
        {"id": 0, "name": "cells", "supercategory": "none"}, {"id": 1, "name": "RBC", "supercategory": "cells"},
        {"id": 2, "name": "WBC", "supercategory": "cells"},
    ]  # fmt: skip
    for place, (split, n) in enumerate((("train", n_train), ("valid", 2), ("test", 2))):
        images, boxes = [], []
        for number in range(n):
            name = f"BloodImage_{place}{number:04d}_jpg.rf.{place}{number:031x}.jpg"
            save(root / split / name, picture(place * 100 + number, (24, 32)))
            images.append({"id": number, "license": 1, "file_name": name, "height": 24, "width": 32})
            for box in range(0 if number == n - 1 else 2):
                bbox = [2 + 10 * box, 3, 8, 6.5]
                boxes.append(
                    {"id": len(boxes), "image_id": number, "category_id": 1 + box, "bbox": bbox, "area": 52, "iscrowd": 0,
                     "segmentation": []}
                )  # fmt: skip
        content = {"info": {"version": "1"}, "licenses": [], "categories": categories}
        text = json.dumps({**content, "images": images, "annotations": boxes})
        (root / split / "_annotations.coco.json").write_text(text)
    (root / "README.dataset.txt").write_text("cells > v1\n")
    (root / "README.roboflow.txt").write_text("cells - v1\nExported via roboflow.com\n")
    return root


def photos(root: Path, n: int = 4) -> Path:
    """Photographs in class folders within class folders, of which two are called ``Other``, with what tools leave behind.

    ``Plants/Rose``, ``Plants/Other``, ``Animals/Dogs/Husky``, ``Animals/Other``; suffixes in both cases.
    """
    folders = ("Plants/Rose", "Plants/Other", "Animals/Dogs/Husky", "Animals/Other")
    for place, folder in enumerate(folders):
        for number in range(n):
            save(root / folder / f"IMG_{number:04d}{'.JPG' if number % 2 else '.jpg'}", picture(place * 100 + number))
    for place, name in enumerate(LITTER):
        path = root / folders[0] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"litter %d" % place)
    save(root / "__MACOSX" / "Plants" / "._IMG_0000.jpg", picture(1))
    return root
