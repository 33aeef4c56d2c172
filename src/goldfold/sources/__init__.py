"""Data sources: readers that give tables of images and targets in a common form."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from goldfold import components
from goldfold.base.errors import DataError, shown
from goldfold.catalog import SOURCES
from goldfold.images import cases
from goldfold.images.files import files_below, is_text, passed_over, tools_in_words
from goldfold.images.links import refuse_outside
from goldfold.sources import own
from goldfold.targets import class_files

FOLDERS = frozenset(
    {
        "annotations", "directory", "extra_images", "extra_train", "files", "images", "labels", "masks", "test", "test_answers",
        "test_images", "train", "unlabeled", "writes",
    }
)  # fmt: skip
"""Settings that may name a data folder; links may point anywhere inside these."""
FILES = ("path", "mask")
"""Columns that name files and folders."""
ODD = {"\r": "a carriage return", "\0": "a NUL character"}
"""Characters that break a table row or end a file name."""
LABEL_FILES = {"voc": {".xml"}, "yolo": {".txt"}}
"""Suffix of the target files of sources with one file per image."""


def read(source: str, outside_links: Literal["fail", "follow"] = "fail", **settings: Any) -> dict[str, pd.DataFrame]:
    """Tables of the splits that exist (`train`, `test`, `unlabeled`), one row per image, in the order of the source.

    Columns: ``id`` and ``path`` (text); for train the target, missing where there is none: ``label``, ``labels`` (text, see
    `goldfold.targets.label_sets`), ``value``, ``mask`` (see `goldfold.targets.masks.decode_mask`) or ``runs`` (run lengths),
    ``boxes`` (text, see `goldfold.targets.boxes`) or ``shares`` (boxes as fractions of the image); optionally ``group``,
    ``fold`` and ``meta_<name>`` (text). `answers` has the targets of test images by id, if they are known, and `categories`
    (name, id) the class numbers of the source's own files.

    Args:
        outside_links: whether files may be links to paths outside the folders that the settings name.

    Raises:
        DataError: the data do not match the settings.
    """
    with named(source):
        return _read(source, outside_links, settings)


@contextmanager
def named(source: str) -> Iterator[None]:
    """Prefix data errors of a user-defined source with its name."""
    try:
        yield
    except DataError as error:
        if source in SOURCES:
            raise
        raise DataError(f"data.source = {source!r}: {error}") from error


def _read(source: str, outside_links: str, settings: dict[str, Any]) -> dict[str, pd.DataFrame]:
    is_own = ":" in source
    function = partial(own.read, source) if is_own else components.load(source, SOURCES, "data source")
    roots = _texts(value for key, value in settings.items() if key in FOLDERS)
    roots = class_files.expanded(roots, settings.get("classes") or [])
    if outside_links == "fail" and source in LABEL_FILES:
        folders = [Path(root) for root in roots if os.path.isdir(root)]
        files = (str(folder / name) for folder in folders for name in files_below(folder, LABEL_FILES[source]))
        refuse_outside(files, roots)
    tables: dict[str, pd.DataFrame] = function(**settings)
    if hidden := passed_over(root for root in roots if os.path.isdir(root)):
        print(tools_in_words(hidden), flush=True)
    _refuse_odd_text(tables)
    if outside_links == "fail":
        every = [cases.each(table) for table in tables.values()]
        columns = [table[column].dropna() for table in every for column in FILES if column in table]
        refuse_outside((file for column in columns for path in column for file in _files(path)), roots)
    return tables


def _files(path: str) -> list[str]:
    """Files of a mask with one per class; any other path as it is."""
    return class_files.files_of(path) if class_files.is_text(path) else [path]


def _refuse_odd_text(tables: Mapping[str, pd.DataFrame]) -> None:
    """Refuse text that goldfold's own tables cannot store or would read back differently."""
    for split, rows in sorted(tables.items(), key=lambda entry: entry[0] != "categories"):  # a class only by its name
        for column in rows:
            for text in rows[column]:
                if isinstance(text, str) and (odd := _odd(text)):
                    raise DataError(f"{split}: {column} {shown(text)} has {odd} in it. Rename it.")


def _odd(text: str) -> str:
    """Description of a character that a UTF-8 table cannot store; empty if there is none."""
    for character, name in ODD.items():
        if character in text:
            return name
    return "" if text.isascii() or is_text(text) else "half a surrogate pair, which is not a character,"


def _texts(values: Iterable[Any]) -> list[str]:
    return [
        text for value in values for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)
    ]
