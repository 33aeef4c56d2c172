"""One handwritten digit somewhere on each photograph, both from scikit-learn: labels of all images, boxes of some."""

import json
from pathlib import Path

import pandas as pd

from goldfold.demo.scenes import Scene, scenes, write_png

BOXED = 4
"""Every fourth training image has a box."""


def write(root: Path, n_train: int = 900, n_test: int = 225, side_px: int = 112, seed: int = 0) -> None:
    """Write images, tables of labels and COCO files below ``root``; deterministic, byte for byte.

    ``images`` are those of ``train.csv`` and ``test.csv``, ``train.json`` has the boxes of every fourth training image, all of
    the class digit, ``test.json`` the test images alone. No digit is in two images.
    """
    train: list[Scene] = []
    test: list[Scene] = []
    for number, scene in enumerate(scenes(n_train, n_test, side_px, seed, digits=(1, 1))):
        (train if number < n_train else test).append(scene)
        write_png(root / "images" / f"{scene.id}.png", scene.image[..., ::-1])
    labels = pd.DataFrame({"id": [one.id for one in train + test], "label": [one.labels[0] for one in train + test]})
    tables = {
        "train": labels[:n_train],
        "test": labels.loc[n_train:, ["id"]],
        "test_answers": labels[n_train:],
        "sample_submission": labels[n_train:].assign(label=0),
    }
    for name, table in tables.items():
        (root / f"{name}.csv").write_bytes(table.to_csv(index=False).encode())
    files = {"train": _coco(train[::BOXED]), "test": {"images": _coco(test)["images"]}}
    for name, content in files.items():
        (root / f"{name}.json").write_text(json.dumps(content, separators=(",", ":")) + "\n")


def _coco(some: list[Scene]) -> dict[str, list[dict[str, object]]]:
    images, annotations = [], []
    for scene in some:
        number, (height, width) = int(scene.id.removeprefix("scene_")), scene.mask.shape
        x1, y1, x2, y2 = scene.boxes[0]
        box = {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1), "iscrowd": 0}
        images.append({"id": number, "file_name": f"{scene.id}.png", "width": width, "height": height})
        annotations.append({"id": number, "image_id": number, "category_id": 1, **box})
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "digit"}]}
