"""Read files of rows as tables: CSV, other separators, JSON."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from goldfold.base.numbers import number_of
from goldfold.base.regular import read_bytes
from goldfold.base.words import count
from goldfold.commands.init import json_tables
from goldfold.commands.init.found import Doubt
from goldfold.commands.init.image_column import are_images, candidates, column_of_images, placed
from goldfold.commands.init.tables import Match, Table, without_ending
from goldfold.commands.init.walk import Tree, parent
from goldfold.images.files import SUFFIXES as IMAGE_SUFFIXES
from goldfold.sources.index_column import is_index

SUFFIXES = (".csv", ".tsv", ".txt")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
BLANK = " "
OF_LISTS = (",", ";", "\t", BLANK)
"""Accepted delimiters of a file without a header."""
MOST_TABLES = 200
"""Number of text files in a folder above which they are one per image, not tables."""
LARGEST = 1_000_000_000
"""Largest file that is read, in bytes."""


def tables_of(tree: Tree) -> list[Table]:
    """All tables, including those without a column of images' names (``match`` is None)."""
    return list(_tables(tree))


def _tables(tree: Tree) -> Iterator[Table]:
    crowded = {name for name, folder in tree.folders.items() if len(folder.others) > MOST_TABLES}
    for name in tree.files(*SUFFIXES, *json_tables.SUFFIXES):
        if not name.lower().endswith(".csv") and (parent(name) in crowded or without_ending(name) in tree.stems):
            continue
        table = _read(tree.root / name, name)
        if table is None:
            continue
        table.match = _matched(table, tree)
        names_images = any(are_images(table.values(column)) for column in table.columns)
        if any(number_of(column) is not None for column in table.twice) and not names_images:
            continue  # values, not column names
        if table.match is not None:
            _pass_over_index(table, table.match.column)
            _doubt_form(table, tree)
        yield table


def _read(path: Path, name: str) -> Table | None:
    if name.lower().endswith(json_tables.SUFFIXES):
        found = json_tables.read_rows(path)
        return None if found is None else Table(name, found[0], found[1], separator=found[2])
    try:
        content = read_bytes(path, LARGEST)
    except OSError:
        return None
    text, encoding, has_bom = _decoded(content)
    head = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(DELIMITERS, key=head.count)
    if name.lower().endswith(".txt") and not head.count(delimiter):
        if len(head.split()) < 2:
            return None
        delimiter = BLANK
    rows = _rows(text, delimiter)
    if len(rows) < 2:
        return None
    n = len(rows[0])
    whole = [[value.strip() for value in (row + [""] * n)[:n]] for row in rows]
    odd = sum(len(row) != n for row in rows)
    if delimiter == BLANK and odd:
        return None
    return Table(name, whole[0], whole[1:], delimiter, encoding, has_bom, odd=odd)


def _rows(text: str, delimiter: str) -> list[list[str]]:
    """Fields of each non-empty line; empty if the text is not a table."""
    if delimiter == BLANK:
        return [line.split() for line in text.splitlines() if line.strip()]
    limit = csv.field_size_limit(LARGEST)  # run lengths of a mask are long
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
        return [row for row in reader if any(row)]
    except csv.Error:
        return []
    finally:
        csv.field_size_limit(limit)


def _decoded(content: bytes) -> tuple[str, str, bool]:
    """Text, its encoding, and whether it begins with a byte order mark."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace"), "utf-16", True
    try:
        return content.decode("utf-8-sig"), "utf-8", content.startswith(b"\xef\xbb\xbf")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace"), "cp1252", False


def _matched(table: Table, tree: Tree) -> Match | None:
    """Find the column whose values mostly name images; if the first line is not a header, turn it into a row."""
    best = column_of_images(table, tree)
    head = "" if best is None else table.columns[best]
    is_json = table.name.lower().endswith(json_tables.SUFFIXES)
    is_image = best is not None and (candidates(head, tree) or Path(head).suffix.lower() in IMAGE_SUFFIXES)
    if best is not None and is_image and not is_json:
        _without_header(table, best)
    else:
        _name_columns(table)
    return None if best is None else placed(table, table.columns[best], tree)


def _without_header(table: Table, place: int) -> None:
    """Turn the first line of a table into a row, and name its columns: ``image``, ``label``, ``label_2``, ..."""
    table.has_header = False
    table.rows.insert(0, table.columns)
    others = ["label", *(f"label_{n}" for n in range(2, len(table.columns)))]
    table.columns = ["image" if n == place else others.pop(0) for n in range(len(table.columns))]


def _name_columns(table: Table) -> None:
    """Name columns as the reader does: unnamed ones by position, and repeated names made unique."""
    names = [name or f"column {number}" for number, name in enumerate(table.columns, start=1)]
    table.twice = [name for place, name in enumerate(names) if name in names[:place]]
    table.columns = [f"{name} (column {k + 1})" if name in names[:k] else name for k, name in enumerate(names)]


def _pass_over_index(table: Table, kept: str) -> None:
    """Leave out columns that only number the rows."""
    places = [n for n, name in enumerate(table.columns) if name == kept or not is_index(name, table.values(name))]
    if len(places) < len(table.columns):
        table.columns = [table.columns[place] for place in places]
        table.rows = [[row[place] for place in places] for row in table.rows]


def _doubt_form(table: Table, tree: Tree) -> None:
    """Doubts about the form of the file: encoding, delimiter, repeated columns, uneven rows."""
    path = tree.path(table.name)
    if table.has_bom and table.encoding == "utf-8":
        table.doubts.append(Doubt(f"{path} begins with a byte order mark (as Excel writes it); goldfold ignores it."))
    if table.encoding != "utf-8":
        table.doubts.append(Doubt(f"{path} is {table.encoding}, not UTF-8. Save it as UTF-8.", stops=True))
    if table.delimiter != "," and (table.has_header or table.delimiter not in OF_LISTS):
        parted = DELIMITERS.get(table.delimiter, "blanks")
        table.doubts.append(
            Doubt(f"{path} is separated by {parted}, goldfold reads commas. Save it with commas.", stops=True)
        )
    if table.twice:
        text = f"{path} has two columns named {table.twice[0]!r}. Rename or remove one."
        table.doubts.append(Doubt(text, stops=True))
    if table.odd:
        table.doubts.append(
            Doubt(
                f"{path}: {count(table.odd, 'row')} with another number of values than columns. Correct them.",
                stops=True,
            )
        )
