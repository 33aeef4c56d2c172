"""CSV files as tables of text."""

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from goldfold.data.files import SUFFIXES
from goldfold.runtime.errors import DataError

OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}

ALIKE = {
    "id": {"id", "image", "img", "file", "filename", "name", "path"},
    "label": {"label", "labels", "class", "target", "category", "species", "diagnosis"},
}
"""What people call the columns that have these names unless the config says otherwise."""


def read_csv(path: str | Path, key: str) -> pd.DataFrame:
    """Table with every value as text, surrounding blanks removed; only an empty field counts as missing.

    Raises:
        DataError: the file is missing, not a CSV table, has no rows, a row that is too long, or a column twice.
    """
    try:
        table = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig",
            header=None,  # else pandas renames a column that is there twice, and cuts a row that is too long
            on_bad_lines="error",
        )
    except OSError as error:
        raise DataError(f"{key}: cannot read {path} as CSV: {error}") from error
    except ValueError as error:
        _refuse_separator(_first_line(path), path, key)
        raise DataError(
            f"{key}: cannot read {path} as CSV: {str(error).strip()}. Write UTF-8, with a header and as many fields in every "
            f"row, a value with a comma in quotes."
        ) from error
    table = table.iloc[1:].set_axis(_header(table, path, key), axis=1).reset_index(drop=True)
    if table.empty:
        raise DataError(f"{key}: {path} has no rows.")
    return table.apply(lambda column: column.str.strip()).replace("", None)


def _header(table: pd.DataFrame, path: str | Path, key: str) -> list[str]:
    """Names of the columns, from the first row; one without a name is called after its place."""
    names = [name.strip() if isinstance(name, str) else "" for name in table.iloc[0]]
    _refuse_separator(",".join(names), path, key)
    for number, name in enumerate(names):
        if name and name in names[:number]:
            raise DataError(f"{key}: {path} has two columns called {name!r}. Rename or remove one{_bare(names)}.")
    return [name or f"column {number}" for number, name in enumerate(names, start=1)]


def _first_line(path: str | Path) -> str:
    with open(path, encoding="utf-8-sig", errors="replace") as stream:
        return stream.readline(10_000)


def _refuse_separator(head: str, path: str | Path, key: str) -> None:
    """Tell a header that other separators part; else values with a comma in them break the rows, and the message."""
    for separator, called in OTHER_SEPARATORS.items():
        if separator in head and "," not in head:
            raise DataError(f"{key}: {path} is separated by {called}, not by commas. Write it with commas.")


def line_of(table: pd.DataFrame, row: int) -> str:
    """Where the row of a table that was read stands in its file: ``line 2`` is the first below a header."""
    what, numbers = table.attrs.get("rows", ("line", None))
    return f"{what} {row + 2 if numbers is None else numbers[row]}"


def column_of(table: pd.DataFrame, column: str, path: str | Path, key: str) -> pd.Series:
    """A column by name.

    Raises:
        DataError: there is no such column; the text names those there are.
    """
    if column not in table:
        names = [str(name) for name in table.columns]
        close = _nearest_column(column, names)
        hint = f"nearest is {close!r}; " if close else ""
        setting = f"Set {key}: {close}" if close and key.endswith("_column") else f"Set {key}"
        raise DataError(f"{path} has no column {column!r}: {hint}it has: {', '.join(names)}. {setting}{_bare(names)}.")
    return table[column]


def _nearest_column(column: str, names: Sequence[str]) -> str | None:
    """The column that is most likely meant: alike but for case, marks and a word more, or for a slip."""
    wanted = _plain(column)
    for name in names:
        if _plain(name) == wanted:
            return name
    close = next(iter(get_close_matches(column, names, n=1, cutoff=0.5)), None)
    meant = ALIKE.get(column, {column.casefold()})
    return close or next((name for name in names if meant & set(_words(name))), None)


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _words(name: str) -> list[str]:
    """``image``, ``id`` of ``image_id`` and of ``ImageId``."""
    return [word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)]


def _bare(names: Sequence[str]) -> str:
    """The way out where the first line seems to be an image."""
    is_image = Path(names[0]).suffix.lower() in SUFFIXES
    return "; where the file has no header, name its columns in data.columns" if is_image else ""
