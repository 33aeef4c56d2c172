"""Layouts that a folder nearly has: the evidence for each, and what is wrong."""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from goldfold.base.words import count, noun
from goldfold.commands.init import foreign
from goldfold.commands.init.alike import Spelling, affixes, spelling_of
from goldfold.commands.init.columns import columns_of
from goldfold.commands.init.found import by_count, some, spread
from goldfold.commands.init.report_text import printable
from goldfold.commands.init.tables import Table
from goldfold.commands.init.tiles import by_affixes
from goldfold.commands.init.walk import Tree, base, parent
from goldfold.commands.init.words import MASK_END, is_masks, plain
from goldfold.images.files import SUFFIXES, UNREAD

LOOKED_FOR = (
    "class folders (<class>/*.jpg, also nested, or in train/, val/, test/); a CSV, a JSON or a list with images' names and "
    "labels; images/ and masks/ of the same names, also inside each tile; <id>/images/ and <id>/masks/; a CSV of run "
    "lengths; COCO's JSON; Pascal VOC's Annotations/*.xml; YOLO's labels/*.txt"
)
ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar", ".bz2", ".xz")
N_TRIED = 200
NUMBERED = re.compile(r"([A-Za-z][A-Za-z _-]*?)[ ._-]*\(?\d+\)?")
"""A word and a number, as in ``cat.1`` and ``Abyssinian_100``."""


@dataclass(frozen=True)
class Miss:
    """A layout that nearly fits."""

    layout: str
    because: str
    but: str
    """What is wrong, and what to do."""

    def __str__(self) -> str:
        return f"{self.layout}, because {self.because}, but {self.but}"


def misses(tree: Tree, tables: Sequence[Table], unexplained: Collection[str] | None = None) -> list[Miss]:
    """Layouts suggested by files that no reading explains.

    Args:
        unexplained: files that the best reading does not explain; None without a reading.
    """

    def is_open(name: str) -> bool:
        return unexplained is None or name in names

    names = set(unexplained or ())
    found = [miss for table in tables if is_open(table.name) for miss in _of_table(tree, table, unexplained is None)]
    found += [Miss(*miss) for name, *miss in foreign.files(tree) if is_open(name)]
    if unexplained is None and not found:
        found += _of_names(tree)
    found += [miss for folder, miss in _of_masks(tree) if any(is_open(name) for name in tree.images(folder))]
    return found


def nothing(tree: Tree, found: Sequence[Miss]) -> str:
    """Error if no reading is possible: what was searched, what was found, and the nearest layouts."""
    suffixes: Counter[str] = Counter()
    for folder in tree.folders.values():
        suffixes.update(Path(name).suffix.lower() or "(no suffix)" for name in [*folder.images, *folder.others])
    seen = ", ".join(f"{n:,} {suffix}" for suffix, n in by_count(suffixes)[:8]) or "no files"
    tops = ", ".join(f"{name}/" for name in tree.folders[""].folders[:10]) or "none"
    unread = tree.files(*UNREAD)
    packed = any(suffix in ARCHIVES for suffix in suffixes)
    hint = (
        "Unpack the archives first." if packed else "Write the config by hand: config.yaml and examples/ show how to."
    )
    if not packed and not found and tree.known_images and not tree.known_files:
        hint = f"There are images but no labels: goldfold needs labels, masks or boxes. {hint}"
    if unread:
        n = count(len(unread), "picture")
        are = noun(len(unread), "is", "are")
        hint = f"{n} {are} in a format that goldfold does not read, first {unread[0]}: convert to PNG. {hint}"
    lines = [f"{tree.root}: no known layout. Found: {seen}; folders: {tops}."]
    lines += [f"nearest layout: {miss}" for miss in found[:3]]
    return printable("\n".join([*lines, hint if found else f"Looked for {LOOKED_FOR}. {hint}"]))


def _of_table(tree: Tree, table: Table, is_alone: bool) -> Iterator[Miss]:
    """Near misses of a table: names that differ from images' in spelling, boxes, or no labels."""
    where = tree.path(table.name)
    if table.match is not None:
        columns_found = columns_of(table)
        if is_alone and columns_found.has_boxes:
            of = f"{where} has boxes of {count(len(set(table.match.images.values())), 'image')} in its columns"
            way = "goldfold reads boxes as COCO's JSON, Pascal VOC's XML or YOLO's text files. Convert the table to one of them."
            yield Miss("coco", of, way)
        elif is_alone and not columns_found.has_target and not table.is_sample:
            of = f"column {table.match.column!r} of {where} names {count(len(table.match.images), 'image')}"
            columns = ", ".join(table.columns[:8])
            yield Miss(
                "csv", of, f"no column holds labels (there {noun(len(table.columns), 'is', 'are')} {columns}). Add one, "
                "and set data.label_column to it.",
            )  # fmt: skip
        return
    if table.separator:
        return
    spelling = max(
        (found for column in table.columns if (found := spelling_of(table.values(column), tree, column))),
        key=lambda found: (Path(found.example[0]).suffix.lower() in SUFFIXES, found.share), default=None,
    )  # fmt: skip
    if spelling is not None:
        yield Miss(_source(table), f"column {spelling.column!r} of {where} looks like names of images", _but(spelling))


def _source(table: Table) -> str:
    return "rle" if any("rle" in plain(c) or "encodedpixels" in plain(c) for c in table.columns) else "csv"


def _but(spelling: Spelling) -> str:
    return f"{spelling.what}: {spelling.example[0]!r} against {spelling.example[1]!r}. {spelling.way}"


def _of_names(tree: Tree) -> Iterator[Miss]:
    """Images whose names begin with one of few words: ``cat.1.jpg``, ``dog_2.jpg``."""
    stems = [base(name).rpartition(".")[0] for name in tree.known_images]
    words = Counter(match.group(1) for stem in stems if (match := NUMBERED.fullmatch(stem)))
    if len(words) > 1 and words.total() > 0.9 * len(stems) and min(words.values()) > 1:
        listed = sorted(words)
        yield Miss(
            "folder", f"names of images begin with {count(len(listed), 'word')} ({some(listed)})",
            "goldfold reads no classes from file names. Move the images into a folder per class, or write a CSV (id, label).",
        )  # fmt: skip


def _of_masks(tree: Tree) -> Iterator[tuple[str, Miss]]:
    """Folders of masks whose names match no images."""
    for folder in tree.folders:
        if not folder or not is_masks(base(folder)) or not tree.folders[folder].images:
            continue
        beside = [name for name in tree.children(parent(folder)) if name != folder and not is_masks(base(name))]
        stems = [name.rpartition(".")[0] for name in tree.folders[folder].images]
        own = {name.rpartition(".")[0] for other in beside for name in tree.folders[other].images}
        tried = spread(stems, N_TRIED)
        ended = [match.group(1) for stem in tried if (match := MASK_END.match(stem))]
        if not own or any(stem in own for stem in (*tried, *ended)):
            continue
        because = f"{tree.path(folder)} ({count(len(stems), 'image')}) is next to {some(beside)}"
        yield folder, Miss("masks", because, f"no mask has an image's name, {_difference(stems, sorted(own))}")


def _difference(masks: list[str], images: list[str]) -> str:
    """Difference between the names of masks and images, and what to do."""
    first = f"first {masks[0]!r} against {images[0]!r}"
    patterns = by_affixes(images, masks)
    if patterns is not None:
        ways = f"images are named {patterns[0]!r}, masks {patterns[1]!r}"
        return f"{first}: {ways}. Rename the masks like the images."
    ends = affixes(spread(masks, N_TRIED), images)
    difference = f"; their names differ by {ends}" if ends else ""
    return f"{first}{difference}. Give each mask its image's name, or set data.mask_suffix to the ending."
