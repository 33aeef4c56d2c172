"""Read prediction files of other tools: tables, arrays, results in COCO's format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from goldfold.base.errors import DataError
from goldfold.base.regular import fault
from goldfold.external import SUFFIXES
from goldfold.predictions.arrays import load
from goldfold.sources.coco_ids import as_text

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

KEYS = ("image_id", "category_id", "bbox", "score")
"""Keys of a box in COCO's results."""
TABLE_KEYS = ("ids", "classes")


@dataclass(frozen=True)
class Given:
    """Content of a file: a table of text, or the arrays of a member."""

    table: pd.DataFrame | None = None
    """One row per prediction: ``id`` and the columns of the file."""
    arrays: Arrays | None = None

    @property
    def ids(self) -> list[str]:
        """Ids in the order of the file; of boxes one per box."""
        found: Any = self.arrays["ids"] if self.arrays is not None else self._table["id"]
        return [str(id) for id in found]

    @property
    def _table(self) -> pd.DataFrame:
        if self.table is None:
            raise ValueError("neither table nor arrays")
        return self.table

    def column(self, name: str) -> list[str] | None:
        """Values of a column as text, in the order of `ids`; None if the file has none of that name."""
        if self.arrays is not None:
            return [str(value) for value in self.arrays[name]] if name in self.arrays else None
        return list(self._table[name]) if name in self._table else None


def read(path: str, classes: Mapping[str, int], images: pd.DataFrame) -> Given:
    """Read a file of predictions.

    Args:
        path: ``.csv`` with a column ``id``, ``.npz`` with the arrays of goldfold's own files, or ``.json`` with COCO's results.
        classes: class -> its number in the files of the data source, for COCO's ``category_id``.
        images: id of each image, for COCO's ``image_id``.

    Raises:
        DataError: the file cannot be read, or has another form.
    """
    if reason := fault(path):
        raise DataError(f"{path}: {reason}.")
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return Given(arrays=_arrays(path))
    if suffix == ".json":
        return Given(table=_coco(path, classes, images))
    if suffix == ".csv":
        return Given(table=_csv(path))
    raise DataError(f"{path}: the name of a file of predictions ends in {', '.join(SUFFIXES)}.")


def _csv(path: str) -> pd.DataFrame:
    from goldfold.tables import read_table

    try:
        table = read_table(path)
    except (ValueError, OSError) as error:  # includes pandas' errors of parsing and encoding
        raise DataError(f"{path}: cannot be read as CSV: {str(error).splitlines()[0]}.") from error
    if "id" not in table:
        listed = ", ".join(map(str, table.columns[:20]))
        raise DataError(
            f"{path}: no column 'id' with the id of each image, as in folds/train.csv. Its columns: {listed}."
        )
    return table


def _arrays(path: str) -> Arrays:
    try:
        found = load(path)
    except Exception as error:  # zip, numpy and value errors of damaged files
        raise DataError(f"{path}: cannot be read as .npz without pickled objects: {error}.") from error
    if lacking := [name for name in TABLE_KEYS if name not in found]:
        raise DataError(
            f"{path}: has no array {lacking[0]!r}; it must hold ids (n,), classes (in the order of folds/classes.json), and the "
            f"predictions, as predict/<model>/round<r>/fold<k>/seed<s>/oof.npz. It has: {', '.join(found)}."
        )
    return found


def _coco(path: str, classes: Mapping[str, int], images: pd.DataFrame) -> pd.DataFrame:
    """Read ``[{image_id, category_id, bbox, score}]``, or a file with these as ``annotations`` of ``images``."""
    import pandas as pd

    from goldfold.base.files import read_json

    try:
        content = read_json(path)
    except ValueError as error:
        raise DataError(f"{path}: cannot be read as JSON: {error}.") from error
    whole = content if isinstance(content, dict) else {"annotations": content}
    boxes = whole.get("annotations")
    if not isinstance(boxes, list) or not all(isinstance(one, dict) and {*KEYS} <= {*one} for one in boxes):
        raise DataError(f"{path}: must be a list of boxes, each with {', '.join(KEYS)}.")
    names = {as_text(one["id"]): str(one["name"]) for one in whole.get("categories", ())} or {
        str(number): name for name, number in classes.items()
    }
    ids = _ids(whole.get("images", ()), images["id"])
    rows = []
    for number, one in enumerate(boxes):
        image, kind = as_text(one["image_id"]) or "", as_text(one["category_id"])
        if kind not in names:
            known = ", ".join(f"{key}: {name}" for key, name in list(names.items())[:20])
            raise DataError(
                f"{path}: box {number} has the category_id {one['category_id']!r}; known: {known or 'none'}."
            )
        x, y, width, height = one["bbox"]
        rows.append((ids.get(image, image), names[kind], one["score"], x, y, x + width, y + height))
    return pd.DataFrame(rows, columns=["id", "prediction", "confidence", "x1", "y1", "x2", "y2"]).astype(str)


def _ids(listed: Any, known: pd.Series[str]) -> dict[str, str]:
    """COCO's image id -> id of the image: its file name, with or without folder and suffix."""
    wanted, found = {*known}, {}
    for one in listed:
        path = PurePosixPath(str(one["file_name"]))
        names = [str(path), path.name, str(path.with_suffix("")), path.stem]
        found[as_text(one["id"]) or ""] = next((name for name in names if name in wanted), str(path))
    return found
