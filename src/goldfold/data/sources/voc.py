"""Boxes in Pascal VOC's XML beside a folder of images."""

import os
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd

from goldfold.data.boxes import to_text
from goldfold.data.files import images_below, inside, pool_of, without_suffix
from goldfold.data.reading import read_xml
from goldfold.data.sources.groups import with_groups
from goldfold.runtime.errors import DataError
from goldfold.runtime.regular import read_text

SIDES = ("xmin", "ymin", "xmax", "ymax")


def read(
    annotations: str,
    images: str,
    train: str | list[str] | None = None,
    test: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    one_based: bool = False,
    groups: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of Pascal VOC files; ids are their names, ``boxes`` is text as `goldfold.data.boxes` writes it.

    An image whose XML has no objects has the boxes ``[]``; where there is no XML, they are missing.

    Args:
        annotations: folder of ``<name>.xml``.
        images: folder of ``<name>`` with any image suffix.
        train: lists of names, one a line; without them all of ``annotations`` but the names of ``test``.
        test: list of names of the test images.
        test_answers: folder of the test images' XML; they become the split ``answers`` (id, boxes).
        one_based: whether the files count pixels from 1, so that xmin and ymin lose one.
        groups: CSV with the columns id and group.

    Raises:
        DataError: a list or a file is missing or broken, or a name is in both lists.
    """
    test_names = [] if test is None else _names(test, "data.test")
    train_names = _train_names(annotations, train, set(test_names))
    both = sorted(set(train_names) & set(test_names))
    if both:
        raise DataError(f"data.train: {len(both)} names are in data.test too, first {both[0]!r}. Part the lists.")
    tables = {"train": _listed(train_names, images)}
    tables["train"]["boxes"] = _boxes(train_names, annotations, one_based)
    tables["train"] = with_groups(tables["train"], groups)
    if test is not None:
        tables["test"] = _listed(test_names, images)
    if test_answers is not None:
        tables["answers"] = _answers(test_names, test_answers, one_based)
    if unlabeled is not None:
        tables["unlabeled"] = pd.DataFrame(pool_of(unlabeled, "data.unlabeled"), columns=["id", "path"])
    return tables


def _names(path: str, key: str) -> list[str]:
    """Names of an ImageSets list."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"{key}: cannot read {path}: {error}. Name a text file with one image name a line.") from error
    names = [without_suffix(inside(line.strip(), path)) for line in lines if line.strip()]
    if not names:
        raise DataError(f"{key}: {path} names no images. Write one image name a line.")
    return names


def _train_names(annotations: str, train: str | list[str] | None, test: set[str]) -> list[str]:
    root = Path(annotations)
    if not os.path.isdir(root):
        raise DataError(f"data.annotations: {root} is not a folder. Correct the path.")
    if train is not None:
        return [name for path in ([train] if isinstance(train, str) else train) for name in _names(path, "data.train")]
    found = (path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("[!.]*.xml"))
    names = sorted(name for name in found if name not in test)
    if not names:
        raise DataError(f"data.annotations: no .xml below {root} that is not in data.test. Correct the path.")
    return names


def _listed(names: Sequence[str], images: str) -> pd.DataFrame:
    """id and path; an image that is not there has ``.*`` for a suffix, for the message that it is missing."""
    of_name = {without_suffix(file): file for file in reversed(images_below(images, "data.images"))}
    paths = [str(Path(images) / of_name.get(name, f"{name}.*")) for name in names]
    return pd.DataFrame({"id": list(names), "path": paths})


def _answers(names: Sequence[str], folder: str, one_based: bool) -> pd.DataFrame:
    if not names:
        raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
    table = pd.DataFrame({"id": list(names), "boxes": _boxes(names, folder, one_based)})
    lacks = table["boxes"].isna()
    if lacks.any():
        raise DataError(
            f"data.test_answers: {int(lacks.sum())} of {len(table)} test images have no .xml below {folder}, first "
            f"{table['id'][lacks].iloc[0]!r}. Add them, or remove data.test_answers."
        )
    return table


def _boxes(names: Sequence[str], folder: str, one_based: bool) -> list[str | None]:
    paths = [Path(folder) / f"{name}.xml" for name in names]
    return [_parsed(path, one_based) if os.path.exists(path) else None for path in paths]


def _parsed(path: Path, one_based: bool) -> str:
    """Boxes of an XML file as text."""
    try:
        root = read_xml(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error}. Restore the file, or remove it.") from error
    except ValueError as error:
        raise DataError(f"{path} is not XML: {error}. Restore the file, or remove it.") from error
    if root.tag != "annotation":
        raise DataError(
            f"{path} holds <{root.tag}>, not the <annotation> of Pascal VOC. Restore the file, or remove it."
        )
    labels, corners = [], []
    for number, thing in enumerate(root.findall("object"), start=1):
        where = f"{path}: object {number}"
        name = (thing.findtext("name") or "").strip()
        if not name:
            raise DataError(f"{where} has no <name>. Correct the file.")
        labels.append(name)
        corners.append(_corners(thing, f"{where} ({name})", one_based))
    return to_text(labels, np.array(corners))


def _corners(thing: ElementTree.Element, where: str, one_based: bool) -> list[float]:
    """x1, y1, x2, y2; what the numbers are is the manifest's to check."""
    box = thing.find("bndbox")
    if box is None:
        raise DataError(f"{where} has no <bndbox>. Correct the file.")
    numbers = []
    for side in SIDES:
        text = box.findtext(side)
        try:
            numbers.append(float(text or ""))
        except ValueError as error:
            raise DataError(f"{where} has the <{side}> {text!r}, not a number. Correct the file.") from error
    shift = 1.0 if one_based else 0.0
    return [numbers[0] - shift, numbers[1] - shift, *numbers[2:]]
