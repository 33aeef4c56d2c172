"""Tables of labels in JSON: a label per path, a record per id, or a list of records."""

from collections.abc import Sequence
from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.sources.records import Columns, read_records

SUFFIXES = (".json", ".jsonl", ".ndjson")
LARGEST = 300_000_000
"""Largest file that is read, in bytes."""
HEAD = 100_000
OTHER_KINDS = ('"annotations"', '"shapes"', '"_via_')
"""Keys of files of boxes and outlines, which are not tables."""
MARKS = ("|", ";", ",", "~")
MOST_COLUMNS = 200
Rows = tuple[list[str], list[list[str]], str]
"""Columns, rows, and the separator of several labels (empty if there are none)."""


def read_rows(path: Path) -> Rows | None:
    """Read a JSON that is a table; None for any other."""
    try:
        if path.stat().st_size > LARGEST:
            return None
        with open(path, encoding="utf-8-sig") as stream:
            head = stream.read(HEAD)
    except (OSError, ValueError):
        return None
    if any(key in head for key in OTHER_KINDS):
        return None
    for mark in ("", *MARKS):
        try:
            table = read_records(path, "data.train", Columns(separator=mark or None))
        except DataError as error:
            if "label_separator" not in str(error):
                return None
            continue
        if not 1 < len(table.columns) <= MOST_COLUMNS:
            return None
        return [str(name) for name in table.columns], _text(table.to_numpy(object).tolist()), mark
    return None


def _text(rows: Sequence[Sequence[object]]) -> list[list[str]]:
    return [[cell if isinstance(cell, str) and cell != "nan" else "" for cell in row] for row in rows]
