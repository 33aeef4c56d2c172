"""Boxes in YOLO's text files, one an image, beside the images."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from goldfold.data.boxes import to_text
from goldfold.data.files import files_below, images_below, without_suffix
from goldfold.data.sources.folder import parts_to_pool
from goldfold.data.sources.groups import with_groups
from goldfold.data.sources.yolo_names import read_names
from goldfold.runtime.errors import DataError
from goldfold.runtime.regular import read_text

FIELDS = "class, centre x, centre y, width, height"
MOST_BYTES = 100_000_000
"""Size up to which a label file is read."""
MOST_DIGITS = 18
"""Of a class number."""
NO_LABELS = "classes.txt"
"""Labelling tools put the names beside the labels."""
Refuse = Callable[[DataError], None]
"""Takes what is wrong with a line or a file of boxes; where it returns, that line or file is passed over."""


def end(error: DataError) -> None:
    """The first error ends the reading."""
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
    """Tables of YOLO files; ``shares`` holds the boxes in shares of the image, as `goldfold.data.boxes` writes them.

    An image and its label have one relative path but for the suffix and the folders ``images`` and ``labels``; without
    these folders and the suffix it is the id. An empty file gives the boxes ``[]``; where there is none, they are missing.
    Folders ``train`` and ``val`` are pooled, a folder ``test`` beside them is left out, as are the images of ``test``
    and ``unlabeled``.

    Args:
        names: ``data.yaml`` with ``names``, or a text file with a name a line.
        labels: folder of the labels, where they do not lie below ``train``.
        test_answers: folder of the labels of the test images; they become the split ``answers`` (id, shares).
        groups: CSV with the columns id and group.
        refuse: what becomes of lines that cannot be read.

    Raises:
        DataError: a file is missing or broken, or most numbers are no shares.
    """
    known = read_names(names)
    pools = {
        split: pd.DataFrame(_images(root, f"data.{split}"), columns=["id", "path"])
        for split, root in (("test", test), ("unlabeled", unlabeled))
        if root is not None
    }
    images, files = _parted(train, labels, names)
    taken = {os.path.abspath(path) for table in pools.values() for path in table["path"]}
    table = _joined([(id, path) for id, path in images if os.path.abspath(path) not in taken], images, files)
    table["shares"] = _boxes([files.get(id) for id in table["id"]], known, names, refuse)
    categories = pd.DataFrame({"name": list(known.values()), "id": list(known)})
    tables = {"train": with_groups(table, groups), **pools, "categories": categories}
    if test_answers is not None:
        tables["answers"] = _answers(pools.get("test"), test_answers, known, names, refuse)
    return tables


def _images(root: str, key: str) -> list[tuple[str, str]]:
    """(id, path) of every image below a folder."""
    return [(_without(without_suffix(name), "images"), str(Path(root) / name)) for name in images_below(root, key)]


def _without(name: str, folder: str) -> str:
    """``images/train/1`` -> ``train/1`` without the last folder ``images``."""
    parts = list(PurePosixPath(name).parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == folder]
    return "/".join(part for place, part in enumerate(parts) if place not in places[-1:])


def _parted(train: str, labels: str | None, names: str) -> tuple[list[tuple[str, str]], dict[str, str]]:
    """Images (id, path), and label files by id, of the folders to learn from."""
    images = _images(train, "data.train")
    files = _label_files(train if labels is None else labels, labels is not None, {id for id, _ in images}, names)
    pooled = parts_to_pool({id.split("/")[0] for id, _ in images}, train)
    if pooled is not None:
        images = [(id, path) for id, path in images if id.split("/")[0] in pooled]
        files = {id: path for id, path in files.items() if id.split("/")[0] in pooled}
    if not files:
        raise DataError(
            f"data.labels: no .txt of an image below {labels or train}. Set data.labels to the folder of the labels."
        )
    return images, files


def _label_files(root: str, are_all: bool, ids: set[str], names: str) -> dict[str, str]:
    """Label files by id: all of ``root``, or those in a folder ``labels`` or beside an image (a README is none)."""
    if not os.path.isdir(root):
        raise DataError(f"data.labels: {root} is not a folder. Correct the path.")
    holds_images = {str(PurePosixPath(id).parent) for id in ids}
    found: dict[str, str] = {}
    for name in files_below(Path(root), {".txt"}):
        path, id = Path(root) / name, _without(name[: -len(".txt")], "labels")
        is_near = "labels" in name.split("/")[:-1] or str(PurePosixPath(id).parent) in holds_images
        is_other = path.name == NO_LABELS or os.path.abspath(path) == os.path.abspath(names)
        if is_other or not (are_all or is_near):
            continue
        if id in found:
            raise DataError(f"data.labels: image {id!r} has two labels, {found[id]} and {path}. Remove one.")
        found[id] = str(path)
    return found


def _joined(rows: list[tuple[str, str]], images: list[tuple[str, str]], files: Mapping[str, str]) -> pd.DataFrame:
    """id and path of images; a label without one has ``.*`` for its image's suffix, for the message that it is missing."""
    there = {id for id, _ in images}
    lost = [(id, _image_of(path)) for id, path in files.items() if id not in there]
    return pd.DataFrame(rows + lost, columns=["id", "path"])


def _image_of(label: str) -> str:
    """Where the image of a label file would be."""
    parts = list(Path(label).with_suffix(".*").parts)
    places = [place for place, part in enumerate(parts[:-1]) if part == "labels"]
    for place in places[-1:]:
        parts[place] = "images"
    return str(Path(*parts))


def _answers(
    test: pd.DataFrame | None, folder: str, known: Mapping[int, str], names: str, refuse: Refuse
) -> pd.DataFrame:
    if test is None:
        raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
    files = _label_files(folder, True, set(test["id"]), names)
    lacks = ~test["id"].isin(files)
    if lacks.any():
        raise DataError(
            f"data.test_answers: {int(lacks.sum())} of {len(test)} test images have no .txt below {folder}, first "
            f"{test['id'][lacks].iloc[0]!r}. Add them (empty for an image without objects), or remove data.test_answers."
        )
    return pd.DataFrame({"id": test["id"], "shares": _boxes([files[id] for id in test["id"]], known, names, refuse)})


def _boxes(files: Sequence[str | None], known: Mapping[int, str], names: str, refuse: Refuse) -> list[str | None]:
    """Boxes of each file as text, None where there is no file."""
    rows = [None if file is None else _rows(file, known, names, refuse) for file in files]
    numbers = [number for row in rows for _, *number in row or []]
    beyond = [bool(np.max(np.abs(number)) > 1) for number in numbers]
    if sum(beyond) > len(beyond) / 2:
        raise DataError(
            f"data.labels: {sum(beyond)} of {len(beyond)} boxes have a number above 1, first "
            f"{numbers[beyond.index(True)]}. YOLO's boxes are shares of the image's width and height, from 0 to 1; divide "
            f"pixels by them."
        )
    return [None if row is None else to_text([label for label, *_ in row], _corners(row)) for row in rows]


Row = tuple[str, float, float, float, float]
"""Label, and centre x, centre y, width and height as shares."""


def _corners(rows: Sequence[Row]) -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    """x1, y1, x2, y2; what the numbers are is the manifest's to check."""
    numbers = np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 4)
    return np.hstack([numbers[:, :2] - numbers[:, 2:] / 2, numbers[:, :2] + numbers[:, 2:] / 2])


def _rows(path: str, known: Mapping[int, str], names: str, refuse: Refuse) -> list[Row]:
    """Boxes of a file, without the lines that ``refuse`` passes over."""
    try:
        lines = read_text(path, MOST_BYTES).splitlines()
    except (OSError, ValueError) as error:
        refuse(DataError(f"{path}: cannot be read: {error}. Restore the file, or remove it."))
        return []
    rows = []
    for n, line in enumerate(lines, 1):
        try:
            rows += [_row(line.split(), f"{path}: line {n}", known, names)] if line.strip() else []
        except DataError as error:
            refuse(error)
    return rows


def _row(words: list[str], where: str, known: Mapping[int, str], names: str) -> Row:
    if len(words) > 6:
        raise DataError(
            f"{where} has {len(words)} fields, a polygon or points, and source yolo reads boxes alone ({FIELDS}). "
            f"Convert them to boxes, or write masks and use source: masks."
        )
    if len(words) != 5:
        raise DataError(f"{where} has {len(words)} fields, not 5 ({FIELDS}). Correct the file.")
    if not words[0].isascii() or not words[0].isdigit():
        raise DataError(f"{where} has the class {words[0]!r}, not a whole number. Correct the file.")
    label = known.get(int(words[0])) if len(words[0]) <= MOST_DIGITS else None
    if label is None:
        some = ", ".join(f"{number} {name}" for number, name in list(known.items())[:10])
        raise DataError(f"{where} has the class {words[0]}, and {names} names {some}. Correct one of them.")
    x, y, width, height = (_number(word, where) for word in words[1:])
    return label, x, y, width, height


def _number(word: str, where: str) -> float:
    try:
        return float(word.replace("_", "?"))
    except ValueError as error:
        raise DataError(f"{where} has {word!r}, not a number. Write {FIELDS}, with a point in fractions.") from error
