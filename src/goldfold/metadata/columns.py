"""Metadata columns in the tables of the stages, and the lists with their values for training and prediction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.base.words import count
from goldfold.planning.outputs import metadata_list
from goldfold.tables import read_table

PREFIX = "meta_"
"""Prefix of metadata columns in the tables that the stages write."""
SHOWN = 5
"""Number of columns that an error names."""
OTHERS = "ist only other columns in the ensemble's stacking: {metadata: [...]}"


@dataclass(frozen=True)
class Columns:
    """Names of metadata columns, as in the config's ``data.metadata``."""

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]

    @classmethod
    def of(cls, kinds: Mapping[str, Sequence[str]]) -> "Columns":
        """Return the columns in ``numeric`` and ``categorical``."""
        return cls(tuple(kinds["numeric"]), tuple(kinds["categorical"]))

    @property
    def all(self) -> tuple[str, ...]:
        """All names, numbers first."""
        return (*self.numeric, *self.categorical)

    @property
    def in_tables(self) -> list[str]:
        """The same as the tables of the stages have them."""
        return [f"{PREFIX}{name}" for name in self.all]


def found_in(table: pd.DataFrame) -> list[str]:
    """Metadata columns of a table."""
    return [column for column in table if str(column).startswith(PREFIX)]


def joined(rows: pd.DataFrame, lists: Iterable[str], columns: Columns) -> pd.DataFrame:
    """Join the metadata columns of their cases to ``rows``.

    Args:
        lists: CSVs of id and metadata.

    Raises:
        DataError: the lists lack a column, or a case of ``rows``.
    """
    tables = {path: read_table(path) for path in lists}
    for path, table in tables.items():
        refuse_lacking(table, columns, path)
    values = pd.concat([table[["id", *columns.in_tables]] for table in tables.values()], ignore_index=True)
    if lost := sorted(set(rows["id"]) - set(values["id"])):
        raise DataError(
            f"{', '.join(tables)}: no metadata of case {lost[0]!r}. Remove folds/run.json to list it again."
        )
    return rows.drop(columns=columns.in_tables, errors="ignore").merge(values, on="id", how="left", validate="m:1")


def refuse_lacking(table: pd.DataFrame, columns: Columns, where: str) -> None:
    """Raise DataError if a table of cases lacks a column that a network takes."""
    lacking = [name for name in columns.all if f"{PREFIX}{name}" not in table]
    if lacking:
        raise DataError(
            f"{where}: there is no column {_listed(lacking)}, which models with metadata: true take. Add it to the table (an "
            f"empty cell is a missing value), or remove it from data.metadata."
        )


def refuse_unusable(train: pd.DataFrame, test: pd.DataFrame | None, columns: Columns, by_steps: bool = False) -> None:
    """Raise DataError if nothing can be learned from these columns, or test cases lack them.

    Args:
        train: all training cases; missing values are empty.
        test: test cases; None if there are none.
        by_steps: only steps of the ensemble take them, no network.
    """
    refuse = _refuse_lacking_for_steps if by_steps else refuse_lacking
    refuse(train, columns, "train")
    constant = [name for name in columns.all if train[f"{PREFIX}{name}"].nunique() < 2]
    if constant:
        value = train[f"{PREFIX}{constant[0]}"].iloc[0]
        way = "Remove it from data.metadata, or set metadata: false in models."
        raise DataError(
            f"train: metadata column {_listed(constant)} is {repr(value) if value else 'empty'} in all "
            f"{count(len(train), 'training case')}, so that no {'stack' if by_steps else 'network'} can learn from it. "
            f"{f'L{OTHERS}.' if by_steps else way}"
        )
    if test is not None:
        refuse(test, columns, "test")
    for table in (train, *([] if test is None else [test])):
        for name in columns.numeric:
            numbers(table, name)


def refuse_unlearnable(train: pd.DataFrame, columns: Columns) -> None:
    """Raise DataError if auxiliary targets have one value in all training cases, or none."""
    for name in columns.all:
        if (known := set(train[f"{PREFIX}{name}"]) - {""}) and len(known) > 1:
            continue
        value = f"{next(iter(known))!r} in all training cases that have one" if known else "empty in all training cases"
        raise DataError(
            f"train: auxiliary target {name!r} is {value}, so that no network can learn from it. Remove it from train.auxiliary."
        )


def _refuse_lacking_for_steps(table: pd.DataFrame, columns: Columns, where: str) -> None:
    """Raise DataError if a table of cases lacks a column that a step of the ensemble takes."""
    if lacking := [name for name in columns.all if f"{PREFIX}{name}" not in table]:
        raise DataError(
            f"{where}: there is no column {_listed(lacking)}, which the ensemble takes. Add it to the table (an empty cell is a "
            f"missing value), or l{OTHERS}."
        )


def check_lists(folder: str, columns: Columns, by_steps: bool = False) -> None:
    """Apply `refuse_unusable` to the lists that the folds stage wrote into ``folder``; no lists are no error."""
    if (train := _training_cases(folder)) is not None:
        test = Path(folder) / metadata_list("test")
        refuse_unusable(train, read_table(test) if test.exists() else None, columns, by_steps)


def check_learnable(folder: str, columns: Columns) -> None:
    """Apply `refuse_unlearnable` to the lists that the folds stage wrote into ``folder``; no lists are no error."""
    if (train := _training_cases(folder)) is not None:
        refuse_unlearnable(train, columns)


def _training_cases(folder: str) -> pd.DataFrame | None:
    lists = sorted(Path(folder).glob(metadata_list("fold*")))
    return pd.concat(map(read_table, lists)).drop_duplicates("id") if lists else None


def numbers(table: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return the values of a numeric column, NaN if missing.

    Raises:
        DataError: a value is not a finite number.
    """
    texts = table[f"{PREFIX}{name}"]
    values = pd.to_numeric(texts.where(texts != "", None), errors="coerce").to_numpy(dtype=np.float64)
    wrong = (texts != "").to_numpy() & ~np.isfinite(values)
    if wrong.any():
        raise DataError(
            f"metadata column {name!r} is numeric, and has {texts[wrong].iloc[0]!r} ({int(wrong.sum())} such cases), which is "
            f"not a finite number. Leave missing values empty, or list the column under data.metadata.categorical."
        )
    return values


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
