"""COCO files: their lists, images and categories."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.numbers import WHOLE
from goldfold.images.files import without_suffix
from goldfold.sources.coco_ids import Ambiguous, Ids, as_text
from goldfold.sources.located import located
from goldfold.sources.reading import read_json

Entry = dict[str, Any]
KEYS = ("images", "annotations", "categories")


@dataclass
class File:
    """A COCO file with the folder of its images."""

    path: str
    images: str
    lists: dict[str, list[Entry]]
    prefix: str = ""
    """Prefix of ids, so that ids of several folders differ."""

    def used(self) -> set[tuple[str | None, Any]]:
        """Id and name of the categories that annotations use."""
        entries = self.lists["categories"]
        ids = Ids(entry.get("id") for entry in entries)
        try:
            found = {ids.find(entry.get("category_id")) for entry in self.lists["annotations"]}
        except Ambiguous:  # reported when the annotations are read
            found = {as_text(entry.get("id")) for entry in entries}
        return {_key(entry) for entry in entries if as_text(entry.get("id")) in found}


def _key(category: Entry) -> tuple[str | None, Any]:
    return as_text(category.get("id")), str(category.get("name"))


def load(path: str, images: str, key: str, keys: Sequence[str] = KEYS) -> File:
    """Load a COCO file, whose lists must all be lists of objects.

    Args:
        images: folder that its file names are relative to.
        key: the config key that names it.
        keys: lists that it must have.

    Raises:
        DataError: it is not a COCO file.
    """
    content = read_json(path, key, "A COCO file is needed.")
    for name in keys:
        if not isinstance(content, dict) or name not in content:
            raise DataError(f"{key}: {path} has no key {name!r}; a COCO file has {', '.join(keys)}.")
        if not isinstance(content[name], list) or not all(isinstance(entry, dict) for entry in content[name]):
            raise DataError(f"{key}: {path}: {name!r} is not a list of objects, as it is in a COCO file.")
    return File(path, images, {name: content[name] for name in keys})


def load_all(paths: str | Sequence[str], images: str | Sequence[str] | None, key: str) -> list[File]:
    """Load the COCO files of one training set; with several folders, ids of images begin with the folder.

    Raises:
        DataError: a file is not a COCO file or is named twice, or the number of folders does not match.
    """
    names = [paths] if isinstance(paths, str) else list(paths)
    folders = folders_of(names, images, key)
    if twice := [name for name in names if names.count(name) > 1]:
        raise DataError(f"{key} names {twice[0]} twice. Name it once.")
    files = [load(name, folder, key) for name, folder in zip(names, folders, strict=True)]
    places = [os.path.normpath(folder) for folder in folders]
    if len(set(places)) > 1:
        common = os.path.commonpath(list(map(os.path.abspath, places)))
        for file, place in zip(files, places, strict=True):
            prefix = Path(os.path.relpath(place, common)).as_posix()
            file.prefix = "" if prefix == "." else f"{prefix}/"
    return files


def folders_of(names: Sequence[str], images: str | Sequence[str] | None, key: str) -> list[str]:
    """Folder of images for each file: one for all, one per file, or the file's own folder."""
    if images is None:
        return [str(Path(name).parent) for name in names]
    folders = [images] * len(names) if isinstance(images, str) else list(images)
    if len(folders) != len(names):
        raise DataError(
            f"data.images has {len(folders)} folders and {key} {len(names)} files. Name one folder per file, or one for all."
        )
    return folders


def listed(file: File) -> pd.DataFrame:
    """id, path and coco_id of the images."""
    entries = file.lists["images"]
    if not entries:
        raise DataError(f"{file.path} lists no images. Name a COCO file with images.")
    numbers = distinct([entry.get("id") for entry in entries], "id", "images", file.path)
    written = list[str]()
    for number, name in enumerate(entry.get("file_name") for entry in entries):
        if not isinstance(name, str) or not name.strip("./\\ ") or "\0" in name:
            raise DataError(f"{file.path}: entry {number + 1} of 'images' has the file_name {name!r}. Give it one.")
        written.append(name.strip())
    names = located(written, file.images, file.path)
    distinct(names, "file_name", "images", file.path)
    return pd.DataFrame(
        {
            "id": [file.prefix + without_suffix(name) for name in names],
            "path": [str(Path(file.images) / name) for name in names],
            "coco_id": [_written(entry["id"], text) for entry, text in zip(entries, numbers, strict=True)],
        }
    )


def sizes(file: File, table: pd.DataFrame) -> list[tuple[str, int, int]]:
    """Path, width and height of the images for which the file gives a size.

    Args:
        table: the result of `listed`.
    """
    found = zip(table["path"], map(size_of, file.lists["images"]), strict=True)
    return [(path, *size) for path, size in found if size is not None]


def _written(value: Any, text: str) -> str:
    """An id as text; text that looks like a number is quoted."""
    return json.dumps(text) if isinstance(value, str) and WHOLE.fullmatch(text) else text


def size_of(entry: Entry) -> tuple[int, int] | None:
    """Width and height of an entry; None if it has none."""
    sides = [as_text(entry.get(key)) for key in ("width", "height")]
    found = [int(side) for side in sides if side is not None and side.isascii() and side.isdigit() and len(side) < 10]
    return (found[0], found[1]) if len(found) == 2 and all(found) else None


def categories_of(files: Sequence[File]) -> list[list[Entry]]:
    """Categories of each file, without supercategories that no file has a box of.

    Raises:
        DataError: a category lacks an id or a name, or two share one.
    """
    used = {key for file in files for key in file.used()}
    kept = []
    for file in files:
        entries = file.lists["categories"]
        own = [entry for entry in entries if _key(entry) in used or not gathers(entry, entries)]
        distinct([entry.get("id") for entry in own], "id", "categories", file.path)
        distinct([entry.get("name") for entry in own], "name", "categories", file.path)
        kept.append(own)
    return kept


def gathers(category: Entry, entries: Sequence[Entry]) -> bool:
    """Return whether this category is the supercategory of another one."""
    name = category.get("name")
    return any(other is not category and name and other.get("supercategory") == name for other in entries)


def distinct(values: Sequence[Any], field: str, among: str, path: str) -> list[str]:
    """Text of each value of a field; each must be present and unique.

    Raises:
        DataError: a value is missing or repeated.
    """
    seen: dict[str, None] = {}
    for number, value in enumerate(values):
        text = as_text(value)
        if text is None:
            raise DataError(f"{path}: entry {number + 1} of {among!r} has the {field} {value!r}. Give it one.")
        if text in seen:
            raise DataError(f"{path}: two entries of {among!r} have the {field} {value!r}. Give each its own.")
        seen[text] = None
    return list(seen)
