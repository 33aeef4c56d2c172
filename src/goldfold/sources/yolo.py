"""Boxes in YOLO's text files, one per image."""

import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.images.files import files_below, images_below, without_suffix
from goldfold.sources.folder import parts_to_pool
from goldfold.sources.groups import with_groups
from goldfold.sources.yolo_names import n_pose, read_names, read_yaml
from goldfold.sources.yolo_rows import Reading, Refuse, boxes_of, has_boxes
from goldfold.sources.yolo_splits import Named, test_images, training_images

NO_LABELS = "classes.txt"
"""File of class names that labelling tools write next to the labels."""


def end(error: DataError) -> None:
    """Raise the first error."""
    raise error


def read(
    train: str,
    names: str,
    labels: str | None = None,
    test: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    groups: str | None = None,
    refuse: Refuse = end,
) -> dict[str, pd.DataFrame]:
    """Tables of YOLO files; ``shares`` holds the boxes as fractions of the image, as `goldfold.targets.boxes` writes them.

    The relative paths of an image and its label differ only in the suffix and the folders ``images`` and ``labels``; the id
    is the path without these. An empty file gives the boxes ``[]``; without a file, they are missing. If ``names`` is a
    ``data.yaml`` that names images by ``train`` and ``val``, those below ``train`` are trained on. Otherwise folders
    ``train`` and ``val`` are pooled, and a folder ``test`` next to them is left out. The images of ``test`` and
    ``unlabeled`` are always left out.

    Args:
        names: ``data.yaml`` with ``names``, or a text file with one name per line.
        test: folder of the test images, a text file with one path per line, or a ``data.yaml`` whose ``test`` names them.
        labels: folder of the labels, if it is not below ``train``.
        test_answers: folder of the labels of the test images; they become the split ``answers`` (id, shares).
        groups: CSV with the columns id and group.
        refuse: called with the error of each line that cannot be read.

    Raises:
        DataError: a file is missing or broken, or most numbers are not fractions.
    """
    known = read_names(names)
    how = Reading(known, names, n_pose(read_yaml(names) or {}))
    pools = {
        split: pd.DataFrame(rows, columns=["id", "path"])
        for split, rows in (
            ("test", None if test is None else _tests(test, train)),
            ("unlabeled", None if unlabeled is None else _images(unlabeled, "data.unlabeled")),
        )
        if rows is not None
    }
    chosen = training_images(names, train)
    images, files = _parted(train, labels, names, chosen.named)
    taken = {os.path.abspath(path) for table in pools.values() for path in table["path"]}
    table = _joined([(id, path) for id, path in images if os.path.abspath(path) not in taken], images, files)
    table["shares"] = boxes_of([files.get(id) for id in table["id"]], how, refuse)
    categories = pd.DataFrame({"name": list(known.values()), "id": list(known)})
    tables = {"train": with_groups(table, groups), **pools, "categories": categories}
    if test_answers is not None:
        tables["answers"] = _answers(pools.get("test"), test_answers, how, refuse)
    return tables | ({"notes": pd.DataFrame({"note": chosen.notes})} if chosen.notes else {})


def _tests(test: str, train: str) -> list[tuple[str, str]]:
    """(id, path) of the images of a folder, of a list, or of ``test`` in a ``data.yaml``."""
    if not os.path.isfile(test):
        return _images(test, "data.test")
    found = test_images(test, train)
    if isinstance(found, str):
        return _images(found, "data.test")
    root = os.path.abspath(train)
    names = [(os.path.relpath(path, root) if _is_below(path, root) else os.path.basename(path)) for path in found]
    return [
        (_without(without_suffix(Path(name).as_posix()), "images"), path)
        for name, path in zip(names, found, strict=True)
    ]


def _is_below(path: str, root: str) -> bool:
    return os.path.abspath(path).startswith(root + os.sep)


def _images(root: str, key: str) -> list[tuple[str, str]]:
    """(id, path) of every image below a folder."""
    return [(_without(without_suffix(name), "images"), str(Path(root) / name)) for name in images_below(root, key)]


def _without(name: str, folder: str) -> str:
    """``images/train/1`` -> ``train/1`` without the last folder ``images``."""
    parts = list(PurePosixPath(name).parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == folder]
    return "/".join(part for place, part in enumerate(parts) if place not in places[-1:])


def _parted(
    train: str, labels: str | None, names: str, named: Named | None
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Images (id, path), and label files by id, of the training folders."""
    images = _images(train, "data.train")
    files = _label_files(train if labels is None else labels, labels is not None, {id for id, _ in images}, names)
    if named is not None:
        images, files = _chosen(images, files, named, train)
    elif (pooled := parts_to_pool({id.split("/")[0] for id, _ in images}, train)) is not None:
        images = [(id, path) for id, path in images if id.split("/")[0] in pooled]
        files = {id: path for id, path in files.items() if id.split("/")[0] in pooled}
    if not files:
        raise DataError(
            f"data.labels: no .txt of an image below {labels or train}. Set data.labels to the folder of the labels."
        )
    return images, files


def _chosen(
    images: list[tuple[str, str]], files: dict[str, str], named: Named, train: str
) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """The images that ``data.yaml`` names, including missing ones of its lists, and their labels.

    A label without an image is kept if it is in the same folder as labels of named images.
    """
    every = {id for id, _ in images}
    own = [(id, path) for id, path in images if os.path.abspath(path) in named.images]
    lost = [os.path.relpath(path, train) if _is_below(path, os.path.abspath(train)) else path for path in named.missing]
    own += [
        (_without(without_suffix(Path(name).as_posix()), "images"), path)
        for name, path in zip(lost, named.missing, strict=True)
    ]
    ids = {id for id, _ in own}
    folders = set() if named.lists else {str(PurePosixPath(id).parent) for id in ids}
    orphans = {id for id in files if id not in every and str(PurePosixPath(id).parent) in folders}
    return own, {id: path for id, path in files.items() if id in ids | orphans}


def _label_files(root: str, are_all: bool, ids: set[str], names: str) -> dict[str, str]:
    """Label files by id: all of ``root``, or those in a folder ``labels`` or next to an image.

    A text file without an image counts only if it has boxes, which excludes a README, a list of images or notes.
    """
    if not os.path.isdir(root):
        raise DataError(f"data.labels: {root} is not a folder. Correct the path.")
    holds_images = {str(PurePosixPath(id).parent) for id in ids}
    found: dict[str, str] = {}
    for name in files_below(Path(root), {".txt"}):
        path, id = Path(root) / name, _without(name[: -len(".txt")], "labels")
        is_near = "labels" in name.split("/")[:-1] or str(PurePosixPath(id).parent) in holds_images
        is_other = path.name == NO_LABELS or os.path.abspath(path) == os.path.abspath(names)
        if is_other or not (are_all or is_near) or (id not in ids and not has_boxes(path)):
            continue
        if id in found:
            raise DataError(f"data.labels: image {id!r} has two labels, {found[id]} and {path}. Remove one.")
        found[id] = str(path)
    return found


def _joined(rows: list[tuple[str, str]], images: list[tuple[str, str]], files: Mapping[str, str]) -> pd.DataFrame:
    """id and path of images; for a label without image, the image has the suffix ``.*``, for the error message."""
    there = {id for id, _ in images}
    lost = [(id, _image_of(path)) for id, path in files.items() if id not in there]
    return pd.DataFrame(rows + lost, columns=["id", "path"])


def _image_of(label: str) -> str:
    """Expected path of the image of a label file."""
    parts = list(Path(label).with_suffix(".*").parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "labels"]
    for place in places[-1:]:
        parts[place] = "images"
    return str(Path(*parts))


def _answers(test: pd.DataFrame | None, folder: str, how: Reading, refuse: Refuse) -> pd.DataFrame:
    if test is None:
        raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
    files = _label_files(folder, True, set(test["id"]), how.names)
    lacks = ~test["id"].isin(files)
    if lacks.any():
        raise DataError(
            f"data.test_answers: {int(lacks.sum())} of {len(test)} test images have no .txt below {folder}, first "
            f"{test['id'][lacks].iloc[0]!r}. Add them (empty for an image without objects), or remove data.test_answers."
        )
    return pd.DataFrame({"id": test["id"], "shares": boxes_of([files[id] for id in test["id"]], how, refuse)})
