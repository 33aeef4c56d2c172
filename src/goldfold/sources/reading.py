"""Reading user files: CSV as tables of text, JSON and XML."""

import io
import json
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.regular import opened, read_bytes, read_text
from goldfold.images.files import SUFFIXES
from goldfold.sources.index_column import is_index, may_be_ids
from goldfold.sources.unpacking import read_unpacked

HEAD_BYTES = 1_000_000
MOST_XML_BYTES = 100_000_000
MOST_DIGITS = 18
"""Most digits of a whole number in JSON; longer ones are read as float, which may be infinite."""
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}

ALIKE = {
    "id": {"id", "image", "img", "file", "filename", "name", "path"},
    "label": {"label", "labels", "class", "target", "category", "species", "diagnosis"},
}
"""Usual names of columns, by the default name in the config."""


def read_csv(path: str | Path, key: str) -> pd.DataFrame:
    """Table with every value as text, surrounding blanks removed; only an empty field counts as missing.

    Raises:
        DataError: the file is missing, not a CSV table, has no rows, a row that is too long, or a duplicate column.
    """
    content = b""
    try:
        content = _text_of(path)
        table = pd.read_csv(
            io.BytesIO(content),
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig",
            header=None,  # otherwise pandas renames duplicate columns and truncates long rows
            on_bad_lines="error",
        )
    except OSError as error:
        raise DataError(f"{key}: cannot read {path} as CSV: {error}") from error
    except ValueError as error:
        _refuse_separator(content[:HEAD_BYTES].decode("utf-8", "replace").partition("\n")[0], path, key)
        raise DataError(
            f"{key}: cannot read {path} as CSV: {str(error).strip()}. Write UTF-8, with a header and as many fields in every "
            f"row, a value with a comma in quotes."
        ) from error
    table = table.iloc[1:].set_axis(_header(table, path, key), axis=1).reset_index(drop=True)
    if table.empty:
        raise DataError(f"{key}: {path} has no rows.")
    return table.apply(lambda column: column.str.strip()).replace("", None)


def is_header_alone(path: str | Path) -> bool:
    """Return whether a CSV has no rows, such as that of a detector that found nothing; false if it cannot be read."""
    try:
        with opened(path) as stream:
            return stream.readline(HEAD_BYTES) != b"" and stream.read(1) == b""
    except OSError:
        return False


def _text_of(path: str | Path) -> bytes:
    """Content of a table, decompressed if necessary.

    Raises:
        OSError: it is not a regular file, or cannot be read.
        ValueError: it is too large, or not text.
    """
    content = read_unpacked(path)
    if b"\0" in content[:HEAD_BYTES]:
        raise ValueError("it holds NUL bytes, so it is not UTF-8 text")
    return content


def read_json(path: str | Path, key: str, needed: str) -> Any:
    """Content of a JSON file.

    Args:
        needed: expected content, as a sentence for the error message.

    Raises:
        DataError: it cannot be read, or is not JSON.
    """
    try:
        return json.loads(read_text(path), parse_int=_whole)
    except OSError as error:
        raise DataError(f"{key}: cannot read {path}: {error}. Correct the path.") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{key}: {path} is not JSON: {error}. {needed}") from error


def _whole(text: str) -> int | float:
    return int(text) if len(text) <= MOST_DIGITS else float(text)


def read_xml(path: str | Path) -> ElementTree.Element:
    """Root of an XML file.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not XML, or has an unknown encoding.
    """
    try:
        return ElementTree.fromstring(read_bytes(path, MOST_XML_BYTES))
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(str(error)) from error


def without_index(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` without leading index columns, for readers that use the first column as ids.

    If no later column may name images, the numbers are the ids, and are kept.
    """
    values = [column.fillna("").tolist() for _, column in table.items()]
    are_indices = [is_index(str(name), cells) for name, cells in zip(table.columns, values, strict=True)]
    first = are_indices.index(False) if False in are_indices else 0
    if first > len(values) - 2 or not may_be_ids(values[first]):
        first = 0
    kept = [place for place in range(first, len(values)) if not are_indices[place] or any(values[place])]
    return table.iloc[:, kept]


def _header(table: pd.DataFrame, path: str | Path, key: str) -> list[str]:
    """Names of the columns, from the first row; an unnamed column is named by its position."""
    names = [name.strip() if isinstance(name, str) else "" for name in table.iloc[0]]
    _refuse_separator(",".join(names), path, key)
    for number, name in enumerate(names):
        if name and name in names[:number]:
            raise DataError(f"{key}: {path} has two columns called {name!r}. Rename or remove one{_bare(names)}.")
    return [name or f"column {number}" for number, name in enumerate(names, start=1)]


def _refuse_separator(head: str, path: str | Path, key: str) -> None:
    """Refuse a header with another separator, before values with commas cause a misleading error."""
    for separator, called in OTHER_SEPARATORS.items():
        if separator in head and "," not in head:
            raise DataError(f"{key}: {path} is separated by {called}, not by commas. Write it with commas.")


def line_of(table: pd.DataFrame, row: int) -> str:
    """Position of a table row in its file: ``line 2`` is the first below a header."""
    what, numbers = table.attrs.get("rows", ("line", None))
    return f"{what} {row + 2 if numbers is None else numbers[row]}"


def column_of(table: pd.DataFrame, column: str, path: str | Path, key: str) -> pd.Series:
    """A column by name.

    Raises:
        DataError: there is no such column; the message lists the columns.
    """
    if column not in table:
        names = [str(name) for name in table.columns]
        close = _nearest_column(column, names)
        hint = f"nearest is {close!r}; " if close else ""
        setting = f"Set {key}: {close}" if close and key.endswith("_column") else f"Set {key}"
        raise DataError(f"{path} has no column {column!r}: {hint}it has: {', '.join(names)}. {setting}{_bare(names)}.")
    return table[column]


def _nearest_column(column: str, names: Sequence[str]) -> str | None:
    """The most likely intended column: equal but for case and punctuation, similar, or with a common synonym."""
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
    """Words of a name: ``image``, ``id`` for ``image_id`` and ``ImageId``."""
    return [word.casefold() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)]


def _bare(names: Sequence[str]) -> str:
    """Hint for a file whose first line seems to be an image."""
    is_image = Path(names[0]).suffix.lower() in SUFFIXES
    return "; if the file has no header, name its columns in data.columns" if is_image else ""
