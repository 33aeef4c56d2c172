"""Tables of training and validation images with the same columns, joined as one."""

from collections.abc import Sequence
from dataclasses import replace

from goldfold.commands.init.tables import Match, Table, without_ending
from goldfold.commands.init.walk import base, common, parent
from goldfold.commands.init.words import split_in, split_of_path


def pooled(tables: Sequence[Table]) -> list[Table]:
    """Join tables of training and validation images with the same columns."""
    alike: dict[tuple[object, ...], list[Table]] = {}
    for table in tables:
        match, split = table.match, _split(table)
        assert match is not None
        key = (tuple(table.columns), match.column, table.has_header)
        alike.setdefault(key if split in ("train", "val") else (table.name,), []).append(table)
    return [joined for own in alike.values() for joined in (_together(own) if len(own) > 1 else own)]


def _split(table: Table) -> str:
    """Split indicated by a table's name, or by its folder's."""
    return split_in(without_ending(table.name)) or split_of_path(parent(table.name))


def _together(tables: Sequence[Table]) -> list[Table]:
    """Join rows of several tables, training images first; return also tables that must stay separate.

    Tables of images in other folders stay separate, unless every name is without a folder and unique to one image.
    """
    first, *others = sorted(tables, key=lambda table: (_split(table) != "train", table.name))
    assert first.match is not None
    are_bare = _are_bare(tables)
    alone = [table for table in others if table.match and table.match.folder != first.match.folder and not are_bare]
    others = [table for table in others if table not in alone]
    rows, images, missing = list(first.rows), dict(first.match.images), list(first.match.missing)
    for other in others:
        assert other.match is not None
        known = set(images.values())
        if known & set(other.match.images.values()):
            continue
        images |= {row + len(rows): image for row, image in other.match.images.items()}
        rows += other.rows
        missing += other.match.missing
        first.files = [*(first.files or [first.name]), other.name]
        first.doubts += other.doubts
    folder = common(images.values()) if are_bare else first.match.folder
    match = Match(first.match.column, folder, images, missing)
    return [replace(first, rows=rows, match=match), *alone]


def _are_bare(tables: Sequence[Table]) -> bool:
    """True if images are in several folders and named without them, each name unique to one image."""
    matches = [table.match for table in tables if table.match is not None]
    images = [image for match in matches for image in match.images.values()]
    names = [value for table in tables if table.match is not None for value in table.values(table.match.column)]
    if len({match.folder for match in matches}) == 1 or any("/" in name or "\\" in name for name in names):
        return False
    return len({base(image) for image in images}) == len(images)
