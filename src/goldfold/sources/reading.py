"""Files of text that the user brings: CSV as tables of text, JSON and XML as they are."""

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
"""Of a whole number of JSON; one with more is read as a fraction, which may be infinite."""
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
    content = b""
    try:
        content = _text_of(path)
        table = pd.read_csv(
            io.BytesIO(content),
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
    """Whether a CSV has no rows, as that of a detector that found nothing; false where it cannot be read."""
    try:
        with opened(path) as stream:
            return stream.readline(HEAD_BYTES) != b"" and stream.read(1) == b""
    except OSError:
        return False


def _text_of(path: str | Path) -> bytes:
    """Content of a table, unpacked where it is packed.

    Raises:
        OSError: it is no regular file, or cannot be read.
        ValueError: it is too large, or no text.
    """
    content = read_unpacked(path)
    if b"\0" in content[:HEAD_BYTES]:
        raise ValueError("it holds NUL bytes, so it is no UTF-8 text")
    return content


def read_json(path: str | Path, key: str, needed: str) -> Any:
    """Content of a JSON file.

    Args:
        needed: what it should be, a sentence for the error.

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
        ValueError: it is not XML, or of an encoding that is not known.
    """
    try:
        return ElementTree.fromstring(read_bytes(path, MOST_XML_BYTES))
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(str(error)) from error


def without_index(table: pd.DataFrame) -> pd.DataFrame:
    """``table`` without the leading columns that number its rows, for readers that take the first column for the ids.

    Where no column after them may name images, the numbers are the ids, and stay.
    """
    values = [column.fillna("").tolist() for _, column in table.items()]
    are_indices = [is_index(str(name), cells) for name, cells in zip(table.columns, values, strict=True)]
    first = are_indices.index(False) if False in are_indices else 0
    if first > len(values) - 2 or not may_be_ids(values[first]):
        first = 0
    kept = [place for place in range(first, len(values)) if not are_indices[place] or any(values[place])]
    return table.iloc[:, kept]


def _header(table: pd.DataFrame, path: str | Path, key: str) -> list[str]:
    """Names of the columns, from the first row; one without a name is called after its place."""
    names = [name.strip() if isinstance(name, str) else "" for name in table.iloc[0]]
    _refuse_separator(",".join(names), path, key)
    for number, name in enumerate(names):
        if name and name in names[:number]:
            raise DataError(f"{key}: {path} has two columns called {name!r}. Rename or remove one{_bare(names)}.")
    return [name or f"column {number}" for number, name in enumerate(names, start=1)]


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
