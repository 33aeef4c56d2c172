"""Find columns whose values differ from names of images only in spelling."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from goldfold.commands.init.found import spread
from goldfold.commands.init.walk import Tree, base
from goldfold.images.files import SUFFIXES, without_suffix

N_TRIED, N_AFFIXED = 200, 12
ENOUGH, FEWEST_NAMES = 0.5, 0.3
"""Smallest share of values that must match; smallest number of values, as a share of the images, if they are parts of
names."""


@dataclass(frozen=True)
class Spelling:
    """Difference between the values of a column and the names of images."""

    column: str
    share: float
    """Share of the values that name an image after the change of spelling."""
    what: str
    example: tuple[str, str]
    """A value, and the file that it refers to."""
    way: str


def _stem(name: str) -> str:
    return without_suffix(base(name.replace("\\", "/")))


def _unzeroed(name: str) -> str:
    return re.sub(r"\d+", lambda match: match[0].lstrip("0") or "0", _stem(name))


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", _stem(name)).lower()


def _integral(name: str) -> str:
    """Undo a spreadsheet's conversion to a fraction: ``12.0`` -> ``12``."""
    return _unzeroed(re.sub(r"\.0+$", "", name.strip()))


OF_STEMS, OF_CASE, OF_FOLDERS = "the suffix differs", "only the case differs", "the folders differ"
RELATIVE = "Write paths relative to the folder in data.images."


def _lower(name: str) -> str:
    return base(name.replace("\\", "/")).lower()


CHANGES: tuple[tuple[str, Callable[[str], str], str], ...] = (
    (OF_CASE, _lower, "Write the names as the files are called."),
    (OF_STEMS, _stem, "Correct the suffixes in the table, or leave them out."),
    (OF_CASE, lambda name: _stem(name).lower(), "Write the names as the files are called."),
    ("leading zeros are lost", _unzeroed, "Save the column as text, with its zeros (a spreadsheet removes them)."),
    ("numbers were saved as fractions", _integral, "Save the column as text, without '.0'."),
    ("blanks and signs differ", _plain, "Write the names as the files are called."),
)
"""Difference, normalised spelling, and what to do; the smallest difference first."""


def spelling_of(values: Sequence[str], tree: Tree, column: str) -> Spelling | None:
    """Difference between the values of a column and the names of images; None if they do not name images."""
    tried = spread([value for value in dict.fromkeys(values) if value], N_TRIED)
    if not tried or not tree.stems:
        return None
    is_path = sum("/" in value or "\\" in value for value in tried) > len(tried) / 2
    has_suffix = sum(f".{value.rpartition('.')[2].lower()}" in SUFFIXES for value in tried) > len(tried) / 2
    for what, change, way in CHANGES:
        files: dict[str, str] = {}
        for image in tree.known_images:
            files.setdefault(change(image), image)
        hits = [(value, files[changed]) for value in tried if (changed := change(value)) in files]
        if len(hits) >= ENOUGH * len(tried) and (len(tried) > 1 or has_suffix):
            if what == OF_STEMS and (is_path or not has_suffix):
                what, way = OF_FOLDERS, RELATIVE
            elif what == OF_CASE and _differs_in_folder(*hits[0]):
                is_same = base(hits[0][0].replace("\\", "/")) == base(hits[0][1])
                what, way = OF_FOLDERS if is_same else "the folders and the case differ", RELATIVE
            return Spelling(column, len(hits) / len(tried), what, hits[0], way)
    return _affixed(list(dict.fromkeys(values)), tree, column) or (_lost(tried, column, tree) if has_suffix else None)


def _differs_in_folder(value: str, file: str) -> bool:
    """True if a value is not the end of the file's path, ignoring case and suffix."""
    wanted = without_suffix(str(PurePosixPath(value.replace("\\", "/")))).lower()
    return not f"/{without_suffix(file)}".lower().endswith(f"/{wanted}")


def _affixed(values: Sequence[str], tree: Tree, column: str) -> Spelling | None:
    """Spelling of values that are parts of images' names, always with the same prefix and suffix."""
    stems = [_stem(value) for value in values if value]
    if len(set(stems)) < max(2, FEWEST_NAMES * len(tree.known_images)) or all(len(stem) < 2 for stem in stems):
        return None
    ends = affixes(spread(stems, N_AFFIXED), tree.stems)
    if not ends:
        return None
    first = next(((value, name) for value in stems for name in tree.stems if value in name), ("", ""))
    return Spelling(column, 1.0, f"file names also have {ends}", first, "Write the whole names into the table.")


def _lost(tried: Sequence[str], column: str, tree: Tree) -> Spelling:
    first = next(iter(sorted(tree.known_images)))
    way = "Are the images of this table here? Download them, or correct the names."
    lost = [value for value in tried if base(_stem(value)) not in tree.stems]
    if lost and len(lost) < len(tried):
        what = f"only {len(tried) - len(lost)} of {len(tried)} names checked have an image"
        return Spelling(column, 0.0, what, (lost[0], first), way)
    return Spelling(column, 0.0, "no image has such a name", (tried[0], first), way)


def affixes(names: Sequence[str], others: Collection[str]) -> str:
    """Text on the prefix and suffix of most of ``names`` in ``others``, or vice versa; empty if there are none."""
    counts: Counter[tuple[str, str]] = Counter()
    for name in spread(list(names), N_AFFIXED):
        found = set()
        for other in others:
            long, short = (other, name) if len(other) > len(name) else (name, other)
            if len(short) > 1 and short in long:
                before, _, after = long.partition(short)
                if not (before[-1:].isdigit() and short[:1].isdigit()) and not (
                    after[:1].isdigit() and short[-1:].isdigit()
                ):
                    found.add((before, after))
        counts.update(found)
    if not counts:
        return ""
    (before, after), n = counts.most_common(1)[0]
    if n < max(2, ENOUGH * min(len(names), N_AFFIXED)):
        return ""
    parts = [f"{before!r} at the start"] * bool(before) + [f"{after!r} at the end"] * bool(after)
    return " and ".join(parts)
