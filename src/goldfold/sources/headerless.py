"""Tables without a header: ``path, class id, coarse id`` on each line, separated by commas, semicolons, tabs or blanks."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.regular import read_text
from goldfold.images.files import SUFFIXES

MARKS = (",", "\t", ";")


def read_headerless(path: str | Path, key: str, columns: Sequence[str], may_be_short: bool = False) -> pd.DataFrame:
    """A table of text with these columns; empty fields are missing.

    Args:
        may_be_short: whether the file may have only the first columns, as lists of test images do.

    Raises:
        DataError: the file is missing, not UTF-8, has a line with another number of fields, or a header.
    """
    try:
        text = read_text(path)
        lines = list(_fields(text, len(columns), may_be_short))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{key}: cannot read {path}: {error}. Write UTF-8, one image per line.") from error
    if not lines:
        raise DataError(f"{key}: {path} has no rows.")
    n = len(lines[0][1]) if may_be_short else len(columns)
    for number, fields in lines:
        if len(fields) != n or n > len(columns):
            raise DataError(
                f"{key}: {path} has {len(fields)} fields in line {number}, and data.columns names {len(columns)} "
                f"({', '.join(columns)}). Name all columns, and write the same number of fields in every line."
            )
    _refuse_header([fields for _, fields in lines], path, key, columns)
    table = pd.DataFrame(
        [[field or None for field in fields] for _, fields in lines], columns=list(columns[:n]), dtype=object
    )
    table = table.astype("str")
    table.attrs["rows"] = ("line", [number for number, _ in lines])
    return table


def _fields(text: str, n_columns: int, may_be_short: bool) -> Iterator[tuple[int, list[str]]]:
    """Number and fields of each line that is not empty."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    mark = next((mark for mark in MARKS if mark in first), None)
    if mark is not None and n_columns > 1:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, strict=True)
        yield from (
            (reader.line_num, [field.strip() for field in fields]) for fields in reader if any(map(str.strip, fields))
        )
        return
    for number, line in enumerate(text.splitlines(), start=1):
        is_name = n_columns == 1 or (may_be_short and Path(line.strip()).suffix.lower() in SUFFIXES)
        if line.strip():
            yield number, [line.strip()] if is_name else line.strip().rsplit(None, n_columns - 1)


def _refuse_header(rows: Sequence[Sequence[str]], path: str | Path, key: str, columns: Sequence[str]) -> None:
    """Refuse a first line that names columns, which would be read as an image."""
    first = [field.casefold() for field in rows[0]]
    is_image = [[Path(field).suffix.lower() in SUFFIXES for field in row] for row in rows]
    names_none = (
        len(rows) > 1 and not any(is_image[0]) and any(is_image[1]) and is_image[1:] == is_image[1:2] * (len(rows) - 1)
    )
    if first == [column.casefold() for column in columns[: len(first)]] or names_none:
        raise DataError(
            f"{key}: the first line of {path} ({', '.join(rows[0])}) is a header, and data.columns is for files without one. "
            f"Remove data.columns, and name data.id_column and label_column as the file does."
        )
