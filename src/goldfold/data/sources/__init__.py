"""Where images and labels come from. Each source gives tables of the same shape."""

import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from goldfold.data.files import files_below, passed_over, tools_in_words
from goldfold.data.links import refuse_outside
from goldfold.data.sources import coco, digits, folder, instances, masks, rle, scenes, table, tiles, voc, yolo
from goldfold.runtime.errors import DataError, unknown

SOURCES: dict[str, Callable[..., dict[str, pd.DataFrame]]] = {
    "digits": digits.read,
    "digits_labels": digits.read_labels,
    "digits_ink": digits.read_ink,
    "folder": folder.read,
    "csv": table.read,
    "masks": masks.read,
    "tiles": tiles.read,
    "instances": instances.read,
    "rle": rle.read,
    "coco": coco.read,
    "voc": voc.read,
    "yolo": yolo.read,
    "scenes_masks": scenes.read_masks,
    "scenes_boxes": scenes.read_boxes,
}


FOLDERS = frozenset(
    {
        "annotations", "directory", "extra_images", "extra_train", "images", "labels", "masks", "test", "test_answers",
        "test_images", "train", "unlabeled",
    }
)  # fmt: skip
"""Settings that may name a folder of the data; links may lead anywhere in these."""
FILES = ("path", "mask")
"""Columns that name files and folders."""
LABEL_FILES = {"voc": {".xml"}, "yolo": {".txt"}}
"""Suffix of the files that hold the targets, where there is one an image."""


def read(source: str, outside_links: Literal["fail", "follow"] = "fail", **settings: Any) -> dict[str, pd.DataFrame]:
    """Tables of the splits that exist (`train`, `test`, `unlabeled`), a row an image, in the order of the source.

    Columns: ``id`` and ``path`` (text); for train the target, missing where there is none: ``label``, ``labels`` (text, see
    `goldfold.data.label_sets`), ``value``, ``mask`` (see `goldfold.data.masks.decode_mask`) or ``runs`` (run lengths),
    ``boxes`` (text, see `goldfold.data.boxes`) or ``shares`` (boxes in shares of the image); where the source has them
    ``group``, ``fold`` and ``meta_<name>`` (text). `answers` has the targets of test images by id, where they are known,
    and `categories` (name, id) the numbers that the source's own files give the classes.

    Args:
        outside_links: whether files may be links to what lies outside the folders that the settings name.

    Raises:
        DataError: the data are not laid out as the settings say.
    """
    if source not in SOURCES:
        raise unknown("data source", source, SOURCES)
    roots = _texts(value for key, value in settings.items() if key in FOLDERS)
    if outside_links == "fail" and source in LABEL_FILES:
        folders = [Path(root) for root in roots if os.path.isdir(root)]
        files = (str(folder / name) for folder in folders for name in files_below(folder, LABEL_FILES[source]))
        refuse_outside(files, roots)
    tables = SOURCES[source](**settings)
    if hidden := passed_over(root for root in roots if os.path.isdir(root)):
        print(tools_in_words(hidden), flush=True)
    _refuse_line_ends(tables)
    if outside_links == "fail":
        columns = [table[column].dropna() for table in tables.values() for column in FILES if column in table]
        refuse_outside((path for column in columns for path in column), roots)
    return tables


def _refuse_line_ends(tables: Mapping[str, pd.DataFrame]) -> None:
    """Carriage returns within a text would part its row when goldfold's own tables are read again."""
    for split, rows in tables.items():
        for column in rows:
            text = next((text for text in rows[column] if isinstance(text, str) and "\r" in text), None)
            if text is not None:
                raise DataError(f"{split}: {column} {text!r} has a carriage return in it. Rename it.")


def _texts(values: Iterable[Any]) -> list[str]:
    return [
        text for value in values for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)
    ]
