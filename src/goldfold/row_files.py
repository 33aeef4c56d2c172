"""CSV files that commands append rows to, and users keep in git: one dataclass per row, NaN as an empty cell."""

import csv
import fcntl
import io
import math
import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

from goldfold.base.errors import DataError
from goldfold.base.regular import read_text

Row = TypeVar("Row")


def read(path: str | Path, kind: type[Row], of: str, required: Collection[str] = (), new: str = "file") -> list[Row]:
    """Read the rows; empty without a file.

    Args:
        kind: dataclass of a row; its fields are of type str, float or int (a number of images, at least 1).
        of: what the file is, for errors.
        required: floats that are never missing.
        new: what a file that replaces it begins.

    Raises:
        DataError: it cannot be read, or a row is broken; the text names the line.
    """
    if not os.path.lexists(path):
        return []
    columns = _columns(kind)
    try:
        rows = csv.DictReader(io.StringIO(read_text(path).lstrip("\ufeff"), newline=""))
        if (found := tuple(rows.fieldnames or ())) != columns:
            raise DataError(
                f"{path}: its columns are {', '.join(found) or 'missing'}, not {', '.join(columns)}. Restore the first line, or "
                f"move the file away to begin a new {new}."
            )
        return [_row(row, kind, required, f"{path} line {rows.line_num}") for row in rows]
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path} cannot be read as {of}: {error}") from error


def text_of(rows: Sequence[Any], kind: type[Any]) -> str:
    """Content of a file with these rows."""
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(_columns(kind))
    table.writerows(_cells(row) for row in rows)
    return stream.getvalue()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other commands that read and write its files of rows."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _columns(kind: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(kind))


def _row(row: dict[str, str | None], kind: type[Row], required: Collection[str], where: str) -> Row:
    columns = _columns(kind)
    if None in row or None in row.values():
        raise DataError(f"{where} does not have {len(columns)} cells. Correct or remove the line.")
    cells: dict[str, Any] = {name: str(cell) for name, cell in row.items()}
    for field in fields(kind):  # type: ignore[arg-type]
        if field.type is float:
            cells[field.name] = _number(cells[field.name], field.name, required, where)
        elif field.type is int:
            n = _number(cells[field.name], field.name, (field.name,), where)
            if not n >= 1 or n != int(n):
                raise DataError(
                    f"{where}: {field.name} is {cells[field.name]!r}, not a number of images. Correct the line."
                )
            cells[field.name] = int(n)
    return kind(**cells)


def _number(cell: str, name: str, required: Collection[str], where: str) -> float:
    try:
        found = float(cell) if cell or name in required else math.nan
    except ValueError:
        found = math.inf
    if math.isinf(found) or (math.isnan(found) and name in required):
        raise DataError(f"{where}: {name} is {cell!r}, which is not a number. Correct or remove the line.")
    return found


def _cells(row: Any) -> list[str]:
    """Cells of a row; an empty one for NaN."""
    return ["" if isinstance(value, float) and math.isnan(value) else str(value) for value in asdict(row).values()]
