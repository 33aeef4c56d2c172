"""Boxes in Pascal VOC's XML, and a folder of images."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.regular import read_text
from goldfold.base.words import count
from goldfold.images.files import files_below, images_below, inside, pool_of, without_suffix
from goldfold.sources.groups import with_groups
from goldfold.sources.voc_files import Annotation, parse
from goldfold.targets.box_forms import CORNERS, refuse_other_form
from goldfold.targets.boxes import to_text

FEWEST = 3
"""Fewest boxes at the first and the last pixel that show if pixels are counted from 1."""


def read(
    annotations: str,
    images: str,
    train: str | list[str] | None = None,
    test: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    one_based: bool = False,
    groups: str | None = None,
    difficult: Literal["keep", "drop"] = "keep",
) -> dict[str, pd.DataFrame]:
    """Tables of Pascal VOC files; ids are their names, ``boxes`` is text as `goldfold.targets.boxes` writes it.

    An image whose XML has no objects has the boxes ``[]``; without XML, they are missing.

    Args:
        annotations: folder of ``<name>.xml``.
        images: folder of ``<name>`` with any image suffix.
        train: lists of names, one per line, or folders below ``annotations``; by default all but the names of ``test``.
        test: list of names of the test images, or a folder of them below ``images``.
        test_answers: folder of the test images' XML; they become the split ``answers`` (id, boxes).
        one_based: whether the files count pixels from 1, so that 1 is subtracted from xmin and ymin.
        groups: CSV with the columns id and group.
        difficult: whether to keep or drop objects marked difficult; an image with only such objects then has no target.

    Raises:
        DataError: a list or a file is missing or broken, or a name is in both lists.
    """
    test_names = [] if test is None else _names(test, "data.test", images)
    train_names = _train_names(annotations, train, set(test_names))
    both = sorted(set(train_names) & set(test_names))
    if both:
        raise DataError(
            f"data.train: {len(both)} names are in data.test too, first {both[0]!r}. Keep each in one list."
        )
    tables, found = {"train": _listed(train_names, images)}, _parsed(train_names, annotations)
    tables["train"]["boxes"] = _boxes(found, one_based, difficult)
    said, notes = _sizes(tables["train"], found), _notes(found, one_based, difficult)
    tables["train"] = with_groups(tables["train"], groups)
    if test is not None:
        tables["test"] = _listed(test_names, images)
    if test_answers is not None:
        truth = _parsed(test_names, test_answers)
        _refuse_lacking(test_names, test_answers, truth)
        tables["answers"] = pd.DataFrame({"id": test_names, "boxes": _boxes(truth, one_based, difficult)})
        said = pd.concat([said, _sizes(tables["test"], truth)])
    if unlabeled is not None:
        tables["unlabeled"] = pd.DataFrame(pool_of(unlabeled, "data.unlabeled"), columns=["id", "path"])
    if len(said):
        tables["sizes"] = said.drop_duplicates()
    return tables | ({"notes": pd.DataFrame({"note": notes})} if notes else {})


def _names(path: str, key: str, root: str) -> list[str]:
    """Names of an ImageSets list, or of the files in a folder below ``root``: XML of training, images of test."""
    if os.path.isdir(path):
        return _of_folder(path, key, root)
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise DataError(
            f"{key}: cannot read {path}: {error}. Name a text file with one image name per line."
        ) from error
    names = [without_suffix(inside(line.strip(), path)) for line in lines if line.strip()]
    if not names:
        raise DataError(f"{key}: {path} names no images. Write one image name per line.")
    return names


def _of_folder(path: str, key: str, root: str) -> list[str]:
    above = Path(os.path.relpath(path, root))
    if above.parts[:1] == ("..",):
        way = "data.annotations" if key == "data.train" else "data.images"
        raise DataError(f"{key}: {path} is not below {way}, {root}. Set {way} to a folder above both.")
    found = files_below(Path(path), {".xml"}) if key == "data.train" else images_below(path, key)
    if not found:
        raise DataError(f"{key}: no .xml below {path}. Correct the path.")
    return [(above / name).with_suffix("").as_posix() for name in found]


def _train_names(annotations: str, train: str | list[str] | None, test: set[str]) -> list[str]:
    root = Path(annotations)
    if not os.path.isdir(root):
        raise DataError(f"data.annotations: {root} is not a folder. Correct the path.")
    if train is not None:
        return [
            name
            for path in ([train] if isinstance(train, str) else train)
            for name in _names(path, "data.train", annotations)
        ]
    found = (path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("[!.]*.xml"))
    names = sorted(name for name in found if name not in test)
    if not names:
        raise DataError(f"data.annotations: no .xml below {root} that is not in data.test. Correct the path.")
    return names


def _listed(names: Sequence[str], images: str) -> pd.DataFrame:
    """id and path; a missing image has the suffix ``.*``, for the error message."""
    of_name = {without_suffix(file): file for file in reversed(images_below(images, "data.images"))}
    paths = [str(Path(images) / of_name.get(name, f"{name}.*")) for name in names]
    return pd.DataFrame({"id": list(names), "path": paths})


def _refuse_lacking(names: Sequence[str], folder: str, found: Sequence[Annotation | None]) -> None:
    """Refuse test images without an XML file of their true boxes."""
    if not names:
        raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
    lacks = [name for name, of in zip(names, found, strict=True) if of is None]
    if lacks:
        raise DataError(
            f"data.test_answers: {len(lacks)} of {len(names)} test images have no .xml below {folder}, first {lacks[0]!r}. "
            f"Add them, or remove data.test_answers."
        )


def _parsed(names: Sequence[str], folder: str) -> list[Annotation | None]:
    """The annotation of each name; None without XML."""
    paths = [Path(folder) / f"{name}.xml" for name in names]
    return [parse(path) if os.path.exists(path) else None for path in paths]


def _boxes(found: Sequence[Annotation | None], one_based: bool, difficult: str) -> list[str | None]:
    """Boxes of each annotation as text; None also if all objects are difficult and left out."""
    numbers = [(thing.corners, of.size) for of in found if of is not None for thing in of.objects]
    refuse_other_form([corners for corners, _ in numbers], [size for _, size in numbers], CORNERS, "data.annotations")
    shift = np.array([1.0, 1.0, 0.0, 0.0]) if one_based else np.zeros(4)
    texts: list[str | None] = []
    for of in found:
        things = [] if of is None else [thing for thing in of.objects if difficult == "keep" or not thing.is_difficult]
        corners = np.array([thing.corners for thing in things]).reshape(-1, 4) - shift
        is_unknown = of is None or (bool(of.objects) and not things)
        texts.append(None if is_unknown else to_text([thing.label for thing in things], corners))
    return texts


def _sizes(table: pd.DataFrame, found: Sequence[Annotation | None]) -> pd.DataFrame:
    """path, width and height of the images for which annotations give a size."""
    rows = [(path, *of.size) for path, of in zip(table["path"], found, strict=True) if of is not None and of.size]
    return pd.DataFrame(rows, columns=["path", "width", "height"])


def _notes(found: Sequence[Annotation | None], one_based: bool, difficult: str) -> list[str]:
    """Notes on difficult objects, and on whether pixels are counted from 0 or 1."""
    there = [of for of in found if of is not None]
    return [*_about_difficult(there, difficult), *_about_first_pixel(there, one_based)]


def _about_difficult(found: Sequence[Annotation], difficult: str) -> Iterator[str]:
    n = sum(thing.is_difficult for of in found for thing in of.objects)
    if n and difficult == "keep":
        are = count(n, "object is", "objects are")
        yield f"{are} marked difficult and trained on like others; data.difficult: drop leaves them out"
    elif n:
        n_alone = sum(bool(of.objects) and all(thing.is_difficult for thing in of.objects) for of in found)
        yield f"{count(n, 'difficult object')} left out; {count(n_alone, 'image')} had no others"


def _about_first_pixel(found: Sequence[Annotation], one_based: bool) -> Iterator[str]:
    boxes = [(thing.corners, of.size) for of in found for thing in of.objects]
    n_zero = sum(min(corners[:2]) == 0 for corners, _ in boxes)
    if one_based and n_zero:
        begin = count(n_zero, "box begins", "boxes begin")
        yield f"{begin} at 0, and data.one_based says that pixels count from 1: set it to false"
    if not one_based and (signs := signs_of_one_based(boxes)):
        yield f"{signs}: these files seem to count pixels from 1; set data.one_based: true"


def signs_of_one_based(boxes: Sequence[tuple[Sequence[float], tuple[float, float] | None]]) -> str:
    """Signs that pixels are counted from 1; empty if there are too few.

    Args:
        boxes: x1, y1, x2, y2 of each, and width and height of its image, None if they are not known.
    """
    n_zero, n_one = (sum(min(corners[:2]) == first for corners, _ in boxes) for first in (0, 1))
    n_last = sum(corners[2] == size[0] or corners[3] == size[1] for corners, size in boxes if size is not None)
    if n_zero or min(n_one, n_last) < FEWEST:
        return ""
    return f"no box begins at 0, {n_one} begin at 1 and {n_last} end at the last pixel"
