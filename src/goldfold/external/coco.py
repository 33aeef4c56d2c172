"""Read COCO's results of other tools as a table of boxes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from goldfold.base.errors import DataError
from goldfold.sources.coco_ids import as_text

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("image_id", "category_id", "bbox", "score")
"""Keys of a box in COCO's results."""
COLUMNS = ("id", "prediction", "confidence", "x1", "y1", "x2", "y2")


def read_coco(path: str, classes: Mapping[str, int], images: Iterable[str], where: str) -> pd.DataFrame:
    """Read ``[{image_id, category_id, bbox, score}]``, or a file with these as ``annotations`` of ``images``.

    Args:
        classes: class -> its number in the files of the data source; used where the file has no ``categories``.
        images: ids of the images of the run.
        where: file and member, for error messages.

    Raises:
        DataError: the file is not JSON, or an entry has another form; it is named by its place, from 0.
    """
    import pandas as pd

    from goldfold.base.files import read_json

    try:
        content = read_json(path)
    except ValueError as error:
        raise DataError(f"{where}: cannot be read as JSON: {error}.") from error
    whole = content if isinstance(content, dict) else {"annotations": content}
    names = _names(whole, classes, where)
    ids = _ids(whole, images, where)
    boxes = enumerate(_entries(whole, "annotations", KEYS, where))
    rows = [_row(one, names, ids, f"{where}: box {place}") for place, one in boxes]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(str)


def _row(one: Mapping[str, Any], names: Mapping[str | None, str], ids: Mapping[str, str], box: str) -> tuple[Any, ...]:
    """Return the values of `COLUMNS` of a box.

    Args:
        box: file, member and place of the box, for error messages.
    """
    image, kind = as_text(one["image_id"]), as_text(one["category_id"])
    if image is None:
        raise DataError(f"{box} has the image_id {one['image_id']!r}; it must be the number or text of an image.")
    if kind not in names:
        known = ", ".join(f"{key}: {name}" for key, name in list(names.items())[:20])
        raise DataError(f"{box} has the category_id {one['category_id']!r}; known: {known or 'none'}.")
    if not _are_numbers(one["bbox"], 4):
        raise DataError(
            f"{box} (image_id {image!r}) has the bbox {one['bbox']!r}; four numbers in pixels are needed: x and y of the upper "
            f"left corner, width, height."
        )
    if not _are_numbers([one["score"]], 1):
        raise DataError(f"{box} (image_id {image!r}) has the score {one['score']!r}; a number is needed.")
    x, y, width, height = one["bbox"]
    return ids.get(image, image), names[kind], one["score"], x, y, x + width, y + height


def _entries(whole: Mapping[str, Any], key: str, needed: Sequence[str], where: str) -> list[dict[str, Any]]:
    """Return the entries under a key, each of which has the ``needed`` keys; none if the key is missing, but for boxes.

    Raises:
        DataError: it is no list of such entries.
    """
    found = whole.get(key, None if key == "annotations" else [])
    if not isinstance(found, list):
        what = "must be a list of boxes, each" if key == "annotations" else f"{key!r} must be a list of entries"
        raise DataError(f"{where}: {what} with {', '.join(needed)}.")
    for place, one in enumerate(found):
        if not isinstance(one, dict) or (lacking := [name for name in needed if name not in one]):
            has = "is not an object" if not isinstance(one, dict) else f"has no {lacking[0]!r}"
            raise DataError(f"{where}: {key}[{place}] {has}; each entry needs {', '.join(needed)}.")
    return found


def _names(whole: Mapping[str, Any], classes: Mapping[str, int], where: str) -> dict[str | None, str]:
    """Return the class of each ``category_id``."""
    listed = _entries(whole, "categories", ("id", "name"), where)
    return {as_text(one["id"]): str(one["name"]) for one in listed} or {
        str(number): name for name, number in classes.items()
    }


def _ids(whole: Mapping[str, Any], known: Iterable[str], where: str) -> dict[str, str]:
    """Return the image of each ``image_id``: by its file name, with or without folder and suffix."""
    wanted, found = {*known}, {}
    for one in _entries(whole, "images", ("id", "file_name"), where):
        file = PurePosixPath(str(one["file_name"]))
        names = [str(file), file.name, str(file.with_suffix("")) if file.name else "", file.stem]
        found[as_text(one["id"]) or ""] = next((name for name in names if name in wanted), str(file))
    return found


def _are_numbers(values: Any, n: int) -> bool:
    return (
        isinstance(values, list)
        and len(values) == n
        and all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    )
