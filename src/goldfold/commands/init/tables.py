"""Tables beside the images: how they are written, and which of their columns names images."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from goldfold.base.numbers import number_of
from goldfold.base.regular import read_bytes
from goldfold.base.words import count
from goldfold.commands.init import json_tables
from goldfold.commands.init.found import Doubt, spread
from goldfold.commands.init.walk import Tree, base, common, parent
from goldfold.commands.init.words import is_sample, split_in, split_of, split_of_path
from goldfold.images.files import SUFFIXES as IMAGE_SUFFIXES
from goldfold.images.files import without_suffix
from goldfold.sources.index_column import is_index

SUFFIXES = (".csv", ".tsv", ".txt")
DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
BLANK = " "
OF_LISTS = (",", ";", "\t", BLANK)
"""What may part the fields of a file without a header."""
MOST_TABLES = 200
"""Text files in one folder from which they are one per image, and no tables."""
LARGEST = 1_000_000_000
"""Bytes of a file that is still read."""
N_TRIED, N_MATCHED = 60, 2000
"""Values of a column that are tried first, and then to find the folder that they start from."""
ENOUGH = 0.5
"""Share of the tried values that name images, from which a column is taken for names of images."""


@dataclass
class Match:
    """The column whose values are names of images."""

    column: str
    folder: str
    """Where the names start from, relative to the root."""
    images: dict[int, str]
    """Image of each row that has one, relative to the root."""
    missing: list[str]
    """Names without an image."""


@dataclass
class Table:
    """A file of rows; every value is text without blanks around it."""

    name: str
    columns: list[str]
    rows: list[list[str]]
    delimiter: str = ","
    encoding: str = "utf-8"
    has_bom: bool = False
    match: Match | None = None
    odd: int = 0
    """Rows with more or fewer values than there are columns."""
    twice: list[str] = field(default_factory=list)
    """Names that an earlier column has too."""
    has_header: bool = True
    files: list[str] = field(default_factory=list)
    """Files that are pooled, where they are several."""
    separator: str = ""
    """What several labels of a JSON are parted by."""
    doubts: list[Doubt] = field(default_factory=list)

    def values(self, column: str) -> list[str]:
        """A column."""
        place = self.columns.index(column)
        return [row[place] for row in self.rows]

    @property
    def is_test(self) -> bool:
        """Whether its own name, or that of the folder of its images, says that it is of test images."""
        word = split_in(base(self.name)) or split_of(without_ending(self.name))
        return self.is_sample or word == "test" or (not word and self._is_of("test"))

    @property
    def is_sample(self) -> bool:
        """Whether it is called a sample submission."""
        return is_sample(base(self.name))

    def _is_of(self, split: str) -> bool:
        return self.match is not None and split_of_path(self.match.folder) == split


def tables_of(tree: Tree) -> list[Table]:
    """All tables, those of which no column names images included (``match`` is None)."""
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
        names_images = any(_are_images(table.values(column)) for column in table.columns)
        if any(number_of(column) is not None for column in table.twice) and not names_images:
            continue  # values, not names of columns
        if table.match is not None:
            _pass_over_index(table, table.match.column)
            _doubt_form(table, tree)
        yield table


def without_ending(name: str) -> str:
    """Name of a file without folder and suffix."""
    return base(name).rpartition(".")[0]


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
    """Fields of each line that is not empty; none where it is no table."""
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


def _without_header(table: Table, place: int) -> None:
    """Make the first line of a table a row, and name its columns: ``image``, ``label``, ``label_2``, ..."""
    table.has_header = False
    table.rows.insert(0, table.columns)
    others = ["label", *(f"label_{n}" for n in range(2, len(table.columns)))]
    table.columns = ["image" if n == place else others.pop(0) for n in range(len(table.columns))]


def _decoded(content: bytes) -> tuple[str, str, bool]:
    """Text, its encoding, and whether it begins with a byte order mark."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace"), "utf-16", True
    try:
        return content.decode("utf-8-sig"), "utf-8", content.startswith(b"\xef\xbb\xbf")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace"), "cp1252", False


def _name_columns(table: Table) -> None:
    """Name each column as the reader does, one without a name after its place, and tell those of one name apart."""
    names = [name or f"column {number}" for number, name in enumerate(table.columns, start=1)]
    table.twice = [name for place, name in enumerate(names) if name in names[:place]]
    table.columns = [f"{name} (column {k + 1})" if name in names[:k] else name for k, name in enumerate(names)]


def _pass_over_index(table: Table, kept: str) -> None:
    """Leave out columns that only number the rows."""
    places = [n for n, name in enumerate(table.columns) if name == kept or not is_index(name, table.values(name))]
    if len(places) < len(table.columns):
        table.columns = [table.columns[place] for place in places]
        table.rows = [[row[place] for place in places] for row in table.rows]


def _matched(table: Table, tree: Tree) -> Match | None:
    """The column of which most values name images; the first line becomes a row where it is no header."""
    best = _column_of_images(table, tree)
    head = "" if best is None else table.columns[best]
    is_json = table.name.lower().endswith(json_tables.SUFFIXES)
    is_image = best is not None and (_candidates(head, tree) or Path(head).suffix.lower() in IMAGE_SUFFIXES)
    if best is not None and is_image and not is_json:
        _without_header(table, best)
    else:
        _name_columns(table)
    return None if best is None else _placed(table, table.columns[best], tree)


def _column_of_images(table: Table, tree: Tree) -> int | None:
    """Place of the column of which most values name images, of two the one that does not merely number the rows."""
    shares, columns = [], list(zip(*table.rows, strict=True))
    for values in columns:
        tried = spread([value for value in values if value], N_TRIED)
        hits = sum(bool(_candidates(value, tree)) for value in tried)
        shares.append(hits / len(tried) if tried else 0.0)
    kinds = [len(set(values)) for values in columns]
    named = zip(table.columns, columns, kinds, strict=True)
    sure = [n_kinds > len(table.rows) / 2 and not is_index(name, list(values)) for name, values, n_kinds in named]
    best = max(range(len(shares)), key=lambda n: (shares[n] >= ENOUGH, sure[n], kinds[n], shares[n]))
    is_number = not sure[best] and any(kinds[n] > kinds[best] and _are_images(columns[n]) for n in range(len(kinds)))
    return best if shares[best] >= ENOUGH and not is_number else None


def _are_images(values: Sequence[str]) -> bool:
    """Whether most values end like names of images."""
    tried = spread([value for value in values if value], N_TRIED)
    return sum(f".{value.rpartition('.')[2].lower()}" in IMAGE_SUFFIXES for value in tried) > ENOUGH * len(tried)


def _candidates(value: str, tree: Tree) -> list[tuple[str, str]]:
    """(folder that the name starts from, image) for every image that ``value`` may name."""
    wanted = str(PurePosixPath(value.replace("\\", "/")))  # without ./, as the reader has it
    stem = without_suffix(wanted)
    found = []
    for image in tree.stems.get(base(stem), []) + (tree.stems.get(base(wanted), []) if stem != wanted else []):
        for name, of in ((wanted, image), (wanted, without_suffix(image))):
            if of == name or of.endswith(f"/{name}"):
                found.append((of[: len(of) - len(name)].rstrip("/"), image))
                break
    return found


def _placed(table: Table, column: str, tree: Tree) -> Match | None:
    """Images of a column's names, from the folder that most of them are in."""
    values = table.values(column)
    folders = Counter(folder for value in spread(values, N_MATCHED) for folder, _ in set(_candidates(value, tree)))
    told = split_in(base(table.name))
    best = max(
        sorted(folders),
        key=lambda name: (
            folders[name], bool(told) and split_of_path(name) == told, name == parent(table.name), -len(name)
        ),
    )  # fmt: skip
    images: dict[int, str] = {}
    missing = []
    for row, value in enumerate(values):
        image = next((image for folder, image in _candidates(value, tree) if folder == best), None) if value else None
        if image is None:
            missing.append(value)
        else:
            images[row] = image
    others = [value for value in missing if _candidates(value, tree)]
    if others and (scattered := _scattered(column, values, tree)) is not None:
        return scattered
    if others:
        rest = Counter(folder for value in spread(others, N_MATCHED) for folder, _ in set(_candidates(value, tree)))
        where = tree.path(rest.most_common(1)[0][0])
        table.doubts.append(
            Doubt(
                f"images of {tree.path(table.name)} lie in several folders: {count(len(others), 'row')} not in "
                f"{tree.path(best)} but e.g. in {where}. Move them into one.",
                stops=True,
            )
        )
    return Match(column, best, images, missing) if len(images) + len(others) >= ENOUGH * len(values) else None


def _scattered(column: str, values: list[str], tree: Tree) -> Match | None:
    """Images in several folders that are named without a folder, where each name is of one image alone."""
    images: dict[int, str] = {}
    for row, value in enumerate(values):
        found = {image for _, image in _candidates(value, tree)} if value else set()
        if len(PurePosixPath(value.replace("\\", "/")).parts) > 1 or len(found) > 1:
            return None
        if found:
            images[row] = next(iter(found))
    missing = [value for row, value in enumerate(values) if row not in images]
    return Match(column, common(images.values()), images, missing)


def _doubt_form(table: Table, tree: Tree) -> None:
    """What keeps goldfold, or others, from reading the file as it is."""
    path = tree.path(table.name)
    if table.has_bom and table.encoding == "utf-8":
        table.doubts.append(
            Doubt(f"{path} begins with a byte order mark (as Excel writes it); goldfold reads past it.")
        )
    if table.encoding != "utf-8":
        table.doubts.append(Doubt(f"{path} is {table.encoding}, not UTF-8. Save it as UTF-8.", stops=True))
    if table.delimiter != "," and (table.has_header or table.delimiter not in OF_LISTS):
        parted = DELIMITERS.get(table.delimiter, "blanks")
        table.doubts.append(
            Doubt(f"{path} is parted by {parted}, goldfold reads commas. Save it with commas.", stops=True)
        )
    if table.twice:
        text = f"{path} has two columns called {table.twice[0]!r}. Rename or remove one."
        table.doubts.append(Doubt(text, stops=True))
    if table.odd:
        table.doubts.append(
            Doubt(
                f"{path}: {count(table.odd, 'row')} with another number of values than columns. Correct them.",
                stops=True,
            )
        )
