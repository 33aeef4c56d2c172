"""Boxes in COCO's JSON beside a folder of images."""

from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goldfold.data.boxes import to_text
from goldfold.data.files import inside, pool_of, without_suffix
from goldfold.data.reading import read_json
from goldfold.data.sources.groups import with_groups
from goldfold.runtime.errors import DataError, shown

KEYS = ("images", "annotations", "categories")


def read(
    train: str,
    images: str,
    test: str | None = None,
    test_images: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    groups: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of COCO files; ids are file names without suffix, ``boxes`` is text as `goldfold.data.boxes` writes it.

    ``coco_id`` is the file's own id of the image, ``categories`` has those of the classes (name, id). An image without
    annotations has the boxes ``[]``; where there are crowds alone, they are missing.

    Args:
        train: COCO file with images, annotations and categories.
        images: folder that its file names start from.
        test: COCO file of which only the images are read; without it all images below ``test_images`` are the test set.
        test_images: folder of the test images; ``images`` where it is missing.
        test_answers: COCO file of the test images; they become the split ``answers`` (id, boxes).
        groups: CSV with the columns id and group.

    Raises:
        DataError: a file is no COCO file, or contradicts itself or another.
    """
    labelled, categories = _boxed(train, images, "data.train")
    tables = {"train": with_groups(labelled, groups), "categories": categories}
    if test is not None:
        tables["test"] = _listed(_load(test, "data.test", KEYS[:1]), test, test_images or images)
        both = sorted(set(tables["train"]["path"]) & set(tables["test"]["path"]))
        if both:
            raise DataError(f"data.test: {len(both)} images of {test} are in {train} too, first {both[0]}. Part them.")
    elif test_images is not None:
        tables["test"] = pd.DataFrame(pool_of(test_images, "data.test_images"), columns=["id", "path"])
    if test_answers is not None:
        tables["answers"] = answers_of(
            tables.get("test"), _boxed(test_answers, "", "data.test_answers")[0], test_answers
        )
    if unlabeled is not None:
        tables["unlabeled"] = pd.DataFrame(pool_of(unlabeled, "data.unlabeled"), columns=["id", "path"])
    return tables


def answers_of(test: pd.DataFrame | None, answers: pd.DataFrame, path: str) -> pd.DataFrame:
    """id and boxes of the test images, in their order.

    Raises:
        DataError: there are no test images, or the answers are of others.
    """
    if test is None:
        raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
    for what, odd in (
        ("images in it are not among the test images", set(answers["id"]) - set(test["id"])),
        ("test images are missing in it", set(test["id"]) - set(answers["id"])),
    ):
        if odd:
            raise DataError(
                f"data.test_answers: {path}: {len(odd)} {what}, first {min(odd)!r}. Both must name the same."
            )
    return test[["id"]].merge(answers[["id", "boxes"]], on="id", how="left", validate="many_to_one")


def _load(path: str, key: str, keys: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The lists of a COCO file, of objects all of them."""
    content = read_json(path, key, "A COCO file is needed.")
    for name in keys:
        if not isinstance(content, dict) or name not in content:
            raise DataError(f"{key}: {path} has no key {name!r}; a COCO file has {', '.join(keys)}.")
        if not isinstance(content[name], list) or not all(isinstance(entry, dict) for entry in content[name]):
            raise DataError(f"{key}: {path}: {name!r} is not a list of objects, as it is in a COCO file.")
    return {name: content[name] for name in keys}


def _listed(content: dict[str, list[dict[str, Any]]], path: str, images: str) -> pd.DataFrame:
    """id, path and coco_id of the images."""
    entries = content["images"]
    if not entries:
        raise DataError(f"{path} lists no images. Name a COCO file with images.")
    numbers = _distinct(entries, "id", "images", path)
    plain = [{"file_name": _plain(entry.get("file_name"), path)} for entry in entries]
    names = [str(name) for name in _distinct(plain, "file_name", "images", path)]
    return pd.DataFrame(
        {
            "id": [without_suffix(name) for name in names],
            "path": [str(Path(images) / name) for name in names],
            "coco_id": [str(number) for number in numbers],
        }
    )


def _plain(name: Any, path: str) -> Any:
    """A file name with ``/`` between its parts and no ``./`` in front."""
    return inside(name, path) if isinstance(name, str) and name else name


def _boxed(path: str, images: str, key: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """id, path, coco_id and boxes of the images; name and id of the categories."""
    content = _load(path, key, KEYS)
    table = _listed(content, path, images)
    categories = _distinct(content["categories"], "id", "categories", path)
    names = dict(zip(categories, _distinct(content["categories"], "name", "categories", path), strict=True))
    labels: dict[Hashable, list[str]] = {entry["id"]: [] for entry in content["images"]}
    corners: dict[Hashable, list[list[float]]] = {number: [] for number in labels}
    crowds: list[Any] = []
    for number, entry in enumerate(content["annotations"]):
        if entry.get("iscrowd"):
            crowds.append(entry.get("image_id"))
            continue
        where = f"{path}: annotation {entry.get('id', f'number {number + 1}')}"
        image = _known(entry, "image_id", labels, "images", where)
        labels[image].append(str(names[_known(entry, "category_id", names, "categories", where)]))
        corners[image].append(_corners(entry, where))
    alone = {number for number in crowds if isinstance(number, Hashable) and labels.get(number) == []}
    if crowds:
        print(
            f"{path}: {len(crowds)} crowd annotations (iscrowd) are left out; {len(alone)} images have no others",
            flush=True,
        )
    boxes = [None if number in alone else to_text(labels[number], np.array(corners[number])) for number in labels]
    numbers = pd.DataFrame({"name": list(map(str, names.values())), "id": list(names)})
    return table.assign(boxes=boxes), numbers


def _corners(entry: dict[str, Any], where: str) -> list[float]:
    """x1, y1, x2, y2; what the numbers are is the manifest's to check."""
    box = entry.get("bbox")
    if not isinstance(box, list) or len(box) != 4 or not all(isinstance(number, int | float) for number in box):
        raise DataError(f"{where} has the bbox {shown(box)}. Write four numbers, [x, y, width, height].")
    x, y, width, height = box
    return [x, y, x + width, y + height]


def _known(entry: dict[str, Any], field: str, known: dict[Hashable, Any], among: str, where: str) -> Hashable:
    value = entry.get(field)
    if not isinstance(value, Hashable) or value not in known:
        raise DataError(f"{where} has the {field} {shown(value)}, which is not in {among!r}. Correct or remove it.")
    return value


def _distinct(entries: list[dict[str, Any]], field: str, among: str, path: str) -> list[Hashable]:
    """Values of a field, each of them there and there once."""
    seen: dict[Hashable, None] = {}
    for number, entry in enumerate(entries):
        value = entry.get(field)
        if isinstance(value, bool) or not isinstance(value, int | str) or value == "":
            raise DataError(f"{path}: entry {number + 1} of {among!r} has the {field} {shown(value)}. Give it one.")
        if value in seen:
            raise DataError(f"{path}: two entries of {among!r} have the {field} {shown(value)}. Give each its own.")
        seen[value] = None
    return list(seen)
