"""Targets in the rows of a table (a label, several labels, a number), and metadata."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.metadata.columns import PREFIX
from goldfold.sources.reading import column_of, line_of
from goldfold.targets.label_sets import to_text

BINARY = {"0": False, "1": True, "0.0": False, "1.0": True}


@dataclass(frozen=True)
class Target:
    """Columns of a table that hold the target; see `goldfold.config.data.Csv`."""

    label_column: str = "label"
    label_columns: Sequence[str] | None = None
    label_separator: str | None = None
    empty_label: str | None = None
    target_column: str | None = None
    label_values: Mapping[str, bool] | None = None

    @property
    def name(self) -> str:
        """Column of the resulting tables: ``label``, ``labels`` (see `goldfold.targets.label_sets`) or ``value``."""
        if self.target_column is not None:
            return "value"
        return "labels" if self.label_columns or self.label_separator else "label"

    @property
    def column(self) -> str:
        """The column of the target, if it is a single column."""
        return self.target_column or self.label_column

    def of(self, table: pd.DataFrame, path: str) -> "pd.Series[str]":
        """The target of each row; missing values stay missing.

        Raises:
            DataError: there is no such column, or a column of 0 and 1 has another value.
        """
        if self.label_columns:
            return self._of_columns(table, path)
        key = "data.target_column" if self.target_column else "data.label_column"
        values = column_of(table, self.column, path, key)
        if self.label_separator is None:
            return values
        empty = "[]" if self.empty_label == "no_class" else None
        rows = [empty if pd.isna(cell) else _parted(cell, self.label_separator) for cell in values]
        return pd.Series(rows, index=table.index, dtype=object)

    def _of_columns(self, table: pd.DataFrame, path: str) -> "pd.Series[str]":
        names, meaning = list(self.label_columns or ()), self.label_values or BINARY
        cells = pd.DataFrame({name: column_of(table, name, path, "data.label_columns") for name in names})
        cells = cells.fillna("") if "" in meaning else cells
        for name in names:
            wrong = cells[name].notna() & ~cells[name].isin(list(meaning))
            if wrong.any():
                raise DataError(
                    f"{path}: column {name!r} has {cells[name][wrong].iloc[0]!r} in {_line(table, wrong)} "
                    f"({int(wrong.sum())} such rows). Write {_yes_and_no(meaning)}, or define its meaning in "
                    f"data.label_values."
                )
        rows = [
            None if any(map(pd.isna, row)) else to_text(name for name, cell in zip(names, row, strict=True) if meaning[cell])
            for row in cells.itertuples(index=False)
        ]  # fmt: skip
        empty = None if self.empty_label == "missing" else "[]"
        return pd.Series([empty if row == "[]" else row for row in rows], index=table.index, dtype=object)


def _yes_and_no(meaning: Mapping[str, bool]) -> str:
    """``1 if the image is of the class, 0 if it is not``."""
    yes, no = (
        next((repr(value) for value, own in meaning.items() if own == is_yes), "nothing") for is_yes in (True, False)
    )
    if meaning is BINARY:
        yes, no = "1", "0"
    return f"{yes} if the image is of the class, {no} if it is not"


def _parted(cell: str, separator: str) -> str:
    """Labels of a cell as text; any number of blanks is one separator, other separators count one by one."""
    parts = cell.split() if separator.isspace() else [part.strip() for part in cell.split(separator)]
    return to_text(parts)


def metadata_of(
    table: pd.DataFrame, path: str, split: str, numeric: Sequence[str], categorical: Sequence[str]
) -> pd.DataFrame:
    """Columns ``meta_<name>`` as text; prints how often each is missing.

    Columns that a table of test or external images lacks are left out.

    Raises:
        DataError: a training table lacks a column, or a numeric column has text.
    """
    found = {}
    for name in (*numeric, *categorical):
        if split != "train" and name not in table:
            print(f"{split}: {path} has no column {name!r} of data.metadata", flush=True)
            continue
        values = _metadata(table, name, path, name in numeric, ", or list the column under categorical")
        print(f"{split}: metadata {name!r}: {int(values.isna().sum())} of {len(values)} missing", flush=True)
        found[f"{PREFIX}{name}"] = values
    return pd.DataFrame(found, index=table.index)


def metadata_alone(table: pd.DataFrame, path: str, numeric: Sequence[str], categorical: Sequence[str]) -> pd.DataFrame:
    """Columns ``meta_<name>`` as text of cases to predict, empty where missing.

    Raises:
        DataError: the table lacks a column, or a numeric one holds something else.
    """
    if lacking := [name for name in (*numeric, *categorical) if name not in table]:
        raise DataError(
            f"--table: {path} has no column {lacking[0]!r}, which this bundle takes; it has: "
            f"{', '.join(map(str, table.columns))}. Add it (an empty cell is a missing value)."
        )
    found = {name: _metadata(table, name, path, name in numeric) for name in (*numeric, *categorical)}
    return pd.DataFrame({f"{PREFIX}{name}": values for name, values in found.items()}, index=table.index).fillna("")


def _metadata(table: pd.DataFrame, name: str, path: str, is_numeric: bool, otherwise: str = "") -> "pd.Series[str]":
    """Values of a column, missing where its cells are empty; ``otherwise`` is another way out where one is no number."""
    values = column_of(table, name, path, "data.metadata")
    if is_numeric:
        _refuse_text(table, name, path, otherwise)
    return values


def _refuse_text(table: pd.DataFrame, name: str, path: str, otherwise: str) -> None:
    values = table[name]
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = values.notna() & ~numbers.between(float("-inf"), float("inf"), inclusive="neither")
    if wrong.any():
        raise DataError(
            f"{path}: column {name!r} of data.metadata.numeric has {values[wrong].iloc[0]!r} in {_line(table, wrong)} "
            f"({int(wrong.sum())} such rows), which is not a finite number. Leave missing values empty{otherwise}."
        )


def _line(table: pd.DataFrame, rows: "pd.Series[bool]") -> str:
    """Position in the file of the first row that is true."""
    return line_of(table, int(rows.to_numpy().argmax()))
