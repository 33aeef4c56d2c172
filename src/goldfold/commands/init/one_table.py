"""One table of all splits: find the column, or the lists, that mark its test rows."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from goldfold.base.words import count
from goldfold.commands.init.columns import Columns
from goldfold.commands.init.found import Layout, Setting, some
from goldfold.commands.init.tables import Table, without_ending
from goldfold.commands.init.walk import Tree, base
from goldfold.commands.init.words import SPLIT_COLUMNS, plain, split_in
from goldfold.images.files import without_suffix
from goldfold.sources.parted import PARTS

ENOUGH = 0.9
"""Smallest share of the lines of a list that must name rows."""
LARGEST = 100_000_000


@dataclass(frozen=True)
class Parts:
    """Test rows, and rows of no part, with the settings that define them."""

    data: dict[str, Setting]
    test: frozenset[int]
    left: frozenset[int] = frozenset()


def find(tree: Tree, table: Table) -> Parts | None:
    """Find the test rows of a table of all splits; None if nothing marks them."""
    return _by_column(table) or _by_lists(tree, table)


def _by_column(table: Table) -> Parts | None:
    for column in table.columns:
        parts = [PARTS.get(value.casefold()) for value in table.values(column)]
        if plain(column) in SPLIT_COLUMNS and None not in parts and set(parts) == {"train", "test"}:
            test = frozenset(row for row, part in enumerate(parts) if part == "test")
            return Parts({"split_column": Setting(column, f"{count(len(test), 'row')} of the test set")}, test)
    return None


def _by_lists(tree: Tree, table: Table) -> Parts | None:
    if table.match is None or table.files:
        return None
    names = {
        spelled: row for row, value in enumerate(table.values(table.match.column)) for spelled in _spellings(value)
    }
    lists: dict[str, list[str]] = {"train": [], "test": []}
    rows: dict[str, set[int]] = {"train": set(), "test": set()}
    for file, lines in _listed(tree):
        found = [names[line] for line in lines if line in names]
        if file != table.name and len(found) > ENOUGH * len(lines):
            part = "test" if split_in(without_ending(file)) == "test" else "train"
            lists[part].append(file)
            rows[part] |= set(found)
    if not lists["test"] or not lists["train"] or rows["train"] & rows["test"]:
        return None
    data = {
        f"{part}_list": Setting(
            [tree.path(name) for name in own] if len(own) > 1 else tree.path(own[0]), "names of images"
        )
        for part, own in lists.items()
    }
    left = set(range(len(table.rows))) - rows["train"] - rows["test"]
    return Parts(data, frozenset(rows["test"]), frozenset(left))


def _listed(tree: Tree) -> Iterator[tuple[str, list[str]]]:
    """Yield lists named like a split, and their lines."""
    for file in tree.files(".txt"):
        if split_in(without_ending(file)) in ("train", "val", "test") and (tree.root / file).stat().st_size <= LARGEST:
            text = (tree.root / file).read_text(encoding="utf-8-sig", errors="replace")
            if lines := [line.strip() for line in text.splitlines() if line.strip()]:
                yield file, lines


def _spellings(name: str) -> Iterator[str]:
    yield from dict.fromkeys((name, without_suffix(name), base(name)))


def apply(tree: Tree, table: Table, columns: Columns, parts: Parts, layout: Layout) -> None:
    """Add test images and their settings to the layout; the table keeps all rows, its match only training rows."""
    match = table.match
    assert match is not None
    layout.data |= parts.data
    images = match.images
    layout.test = sorted(images[row] for row in parts.test if row in images)
    match.images = {row: image for row, image in images.items() if row not in parts.test | parts.left}
    layout.train = sorted(set(match.images.values()))
    layout.splits = {"train": len(match.images), "test": len(layout.test)}
    asked = columns.one_hot or [str(columns.target or columns.label)]
    if all(table.rows[row][table.columns.index(column)] for row in parts.test for column in asked):
        layout.data["test_answers"] = Setting(
            tree.path(table.name), "labels of its test rows, only for a score in the report"
        )
    if parts.left:
        layout.doubt(f"{count(len(parts.left), 'row')} of {tree.path(table.name)} in neither list: left out.")


def doubt(tree: Tree, tables: Sequence[Table], used: Table, layout: Layout) -> None:
    """Doubt about another table with a split of the same images."""
    for table in tables:
        columns = [column for column in table.columns if plain(column) in SPLIT_COLUMNS]
        if table is not used and table.match is not None and columns and table.name not in used.files:
            values = some(sorted(set(table.values(columns[0]))))
            layout.doubt(
                f"column {columns[0]!r} of {tree.path(table.name)} ({values}) may define the test set. To use it, "
                f"add it to {tree.path(used.name)} as a column of train, val and test, and set data.split_column to it."
            )
