"""Splitting a single table into training and test images, by a column or by lists."""

from collections.abc import Iterator, Sequence

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.words import count
from goldfold.images.files import without_suffix
from goldfold.sources.class_folders import TEST_NAMES, TRAIN_NAMES, VALIDATION_NAMES
from goldfold.sources.listed_names import NUMBERS, lines_of
from goldfold.sources.reading import column_of, line_of

PARTS = dict.fromkeys(TRAIN_NAMES | VALIDATION_NAMES | {"dev", "trainval"}, "train") | dict.fromkeys(TEST_NAMES, "test")
"""Split of each value of a column, in lower case; validation rows are pooled with training rows."""
MEMBERS = ("id", "path", "roi", "group")
"""Columns of test images, besides metadata."""
Lists = str | Sequence[str] | None


def by_column(table: pd.DataFrame, csv: str, column: str) -> "pd.Series[str]":
    """``train`` or ``test`` of each row.

    Raises:
        DataError: a value is neither.
    """
    values = column_of(table, column, csv, "data.split_column").fillna("")
    parts = values.str.strip().str.casefold().map(PARTS)
    if (odd := parts.isna()).any():
        place = line_of(table, int(odd.to_numpy().argmax()))
        raise DataError(
            f"{csv}: column {column!r} has {values[odd].iloc[0]!r} in {place}. Write one of {', '.join(sorted(PARTS))}, or "
            f"remove data.split_column."
        )
    return parts


def by_lists(names: "pd.Series[str]", ids: "pd.Series[str]", train: Lists, test: Lists) -> "pd.Series[str]":
    """``train`` or ``test`` of each row; empty for a row that no list names.

    Args:
        names: name of each image in the table.

    Raises:
        DataError: a list cannot be read or names no row, or an image is in both.
    """
    spelled = {key: [set(_spellings(name)) for name in own] for key, own in (("name", names), ("id", ids))}
    parts = pd.Series("" if train else "train", index=names.index)
    for part, lists in (("train", train), ("test", test)):
        for path in [lists] if isinstance(lists, str) else lists or ():
            listed = _names(path, f"data.{part}_list")
            hits = [bool(listed & (a | b)) for a, b in zip(spelled["name"], spelled["id"], strict=True)]
            if not any(hits):
                raise DataError(
                    f"data.{part}_list: none of the names in {path} is in the table, e.g. {min(listed)!r}; the table has "
                    f"{names.iloc[0]!r}. Write them as in the table, one per line."
                )
            both = pd.Series(hits, index=names.index) & (parts == "train") & bool(train and part == "test")
            if both.any():
                raise DataError(
                    f"data.test_list: {names[both].iloc[0]!r} is in data.train_list too. Name it in one list."
                )
            parts[hits] = part
    return parts


def _names(path: str, key: str) -> set[str]:
    """Names in a list in all spellings, with and without class numbers after them."""
    return {name for line in lines_of(path, key) for name in (*_spellings(line), *_spellings(NUMBERS.sub("", line)))}


def _spellings(name: str) -> Iterator[str]:
    """A name with and without its suffix."""
    plain = str(name).replace("\\", "/").removeprefix("./")
    yield from (plain, without_suffix(plain))


def apart(rows: pd.DataFrame, parts: "pd.Series[str]", key: str) -> dict[str, pd.DataFrame]:
    """The rows of each split.

    Raises:
        DataError: a split has no rows.
    """
    for part in ("train", "test"):
        if not (parts == part).any():
            raise DataError(f"{key}: no row of the table belongs to the {part} set. Correct it, or remove the setting.")
    if left := int((parts == "").sum()):
        print(f"{key}: {count(left, 'row')} in no list, left out", flush=True)
    test = rows[parts == "test"]
    kept = [name for name in test if name in MEMBERS or name.startswith("meta_")]
    return {
        "train": rows[parts == "train"].reset_index(drop=True),
        "test": test[kept].reset_index(drop=True),
    }
