"""Columns of group, fold and order, and marks of images that are only trained on."""

from collections.abc import Mapping

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.sources.reading import column_of

YES, NO = frozenset({"1", "1.0", "true", "yes"}), frozenset({"0", "0.0", "false", "no", ""})


def with_places(listed: pd.DataFrame, table: pd.DataFrame, csv: str, columns: Mapping[str, str | None]) -> pd.DataFrame:
    """The images of ``csv`` with those of ``group``, ``fold``, ``order`` and ``train_only`` (1 or empty) that are set.

    Args:
        listed: id and path of each row of ``table``.
        columns: column of the CSV for each of them; None if there is none.

    Raises:
        DataError: a column is missing, or a value is missing or invalid.
    """
    listed = listed.copy()
    if (column := columns.get("train_only")) is not None:
        key = "data.train_only_column"
        listed["train_only"] = marks(column_of(table, column, csv, key), listed["id"], f"{csv}: {key}").map(
            {True: "1", False: ""}
        )
    may_lack = listed.get("train_only", pd.Series("", index=listed.index)).eq("1")
    for name in ("group", "fold", "order"):
        if (column := columns.get(name)) is not None:
            listed[name] = column_of(table, column, csv, f"data.{name}_column")
            empty = listed[name].isna() & ~(may_lack & (name != "group"))
            if empty.any():
                raise DataError(
                    f"{csv}: column {column!r} is empty in {empty.sum()} rows, first {listed['id'][empty].iloc[0]!r}. Fill it."
                )
    return listed


def with_extra(train: pd.DataFrame, extra: pd.DataFrame) -> pd.DataFrame:
    """Training images followed by those that are only trained on; if any id is in both, all of the latter get ``extra/``.

    An extra image without a group is a group of its own.
    """
    extra = extra.assign(train_only="1")
    if set(extra["id"]) & set(train["id"]):
        extra["id"] = "extra/" + extra["id"]
    if "group" in train:
        extra["group"] = extra["group"] if "group" in extra else "extra/" + extra["id"]
    both = pd.concat([train, extra], ignore_index=True)
    return both.assign(train_only=both["train_only"].fillna(""))


def present(columns: Mapping[str, str | None], table: pd.DataFrame) -> dict[str, str | None]:
    """Those of ``columns`` that the table has, without ``train_only``, since all its rows are train-only."""
    return {name: column for name, column in columns.items() if column in table and name != "train_only"}


def groups_of_test(test: pd.DataFrame, table: pd.DataFrame, group_column: str | None) -> pd.DataFrame:
    """The test images with their groups, if the table gives all of them; they are used only for a note."""
    known = group_column is not None and group_column in table and table[group_column].notna().all()
    return test.assign(group=table[group_column].to_numpy()) if known else test


def marks(values: "pd.Series[str]", ids: "pd.Series[str]", where: str) -> "pd.Series[bool]":
    """Read a column of marks: 1 or 0, true or false, yes or no; empty is no.

    Args:
        where: file and key, for the error.

    Raises:
        DataError: a value is none of these.
    """
    words = values.fillna("").str.lower()
    wrong = ~words.isin(YES | NO)
    if wrong.any():
        raise DataError(
            f"{where}: id {ids[wrong].iloc[0]!r} has {values[wrong].iloc[0]!r}; write 1 or 0 (true or false, yes or no; empty "
            "is no)."
        )
    return words.isin(YES)
