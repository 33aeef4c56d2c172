"""Read prediction files of other tools: tables, arrays, results in COCO's format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from goldfold.base.errors import DataError
from goldfold.base.regular import fault
from goldfold.external import SUFFIXES
from goldfold.external.arrays import checked, one_per_image
from goldfold.external.coco import read_coco
from goldfold.predictions.arrays import load

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

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
        return self.arrays["ids"].tolist() if self.arrays is not None else list(self._table["id"])

    @property
    def _table(self) -> pd.DataFrame:
        if self.table is None:
            raise ValueError("neither table nor arrays")
        return self.table

    def column(self, name: str, where: str) -> list[str] | None:
        """Values of a column as text, in the order of `ids`; None if the file has none of that name."""
        if self.arrays is not None:
            return one_per_image(self.arrays, name, where)
        return list(self._table[name]) if name in self._table else None


def read(path: str, classes: Sequence[str], numbers: Mapping[str, int], images: pd.DataFrame, where: str) -> Given:
    """Read a file of predictions.

    Args:
        path: ``.csv`` with a column ``id``, ``.npz`` with the arrays of goldfold's own files, or ``.json`` with COCO's results.
        classes: classes of the run.
        numbers: class -> its number in the files of the data source, for COCO's ``category_id``.
        images: id of each image, for COCO's ``image_id``.
        where: file and member, for error messages.

    Raises:
        DataError: the file cannot be read, or has another form.
    """
    if reason := fault(path):
        raise DataError(f"{where}: {reason}.")
    suffix = Path(path).suffix.lower()
    if suffix == ".npz":
        return Given(arrays=checked(_arrays(path, where), classes, where))
    if suffix == ".json":
        return Given(table=read_coco(path, numbers, images["id"], where))
    if suffix == ".csv":
        return Given(table=_csv(path, where))
    raise DataError(f"{where}: the name of a file of predictions ends in {', '.join(SUFFIXES)}.")


def _csv(path: str, where: str) -> pd.DataFrame:
    from goldfold.tables import read_table

    try:
        table = read_table(path)
    except (ValueError, OSError) as error:  # includes pandas' errors of parsing and encoding
        raise DataError(f"{where}: cannot be read as CSV: {str(error).splitlines()[0]}.") from error
    if "id" not in table:
        listed = ", ".join(map(str, table.columns[:20]))
        raise DataError(
            f"{where}: no column 'id' with the id of each image, as in folds/train.csv. Its columns: {listed}."
        )
    if (blank := table["id"].astype(str).str.strip().eq("")).any():
        raise DataError(f"{where}: row {blank.to_numpy().argmax() + 2} has no id.")
    return table


def _arrays(path: str, where: str) -> Arrays:
    try:
        found = load(path)
    except Exception as error:  # zip, numpy and value errors of damaged files
        raise DataError(f"{where}: cannot be read as .npz without pickled objects: {error}.") from error
    if lacking := [name for name in TABLE_KEYS if name not in found]:
        raise DataError(
            f"{where}: has no array {lacking[0]!r}; it must hold ids (n,), classes (in the order of folds/classes.json), and the "
            f"predictions, as predict/<model>/round<r>/fold<k>/seed<s>/oof.npz. It has: {', '.join(found)}."
        )
    return found
