"""Find files with names for classes that a table gives as numbers or codes."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.commands.init.walk import Tree, base
from goldfold.commands.init.words import plain
from goldfold.images.files import SUFFIXES as IMAGES

CODE = re.compile(r"\d+|n\d{8}")
WORDS = ("class", "label", "categor", "name", "breed", "species", "synset", "mapping")
SUFFIXES = (".csv", ".tsv", ".json", ".yaml", ".yml", ".txt", ".names")
LARGEST = 10_000_000


def find(tree: Tree, labels: Iterable[str], *used: str) -> tuple[str, dict[str, str]] | None:
    """Find a file that names every label; return the file and label -> name.

    Args:
        used: files that are tables of labels themselves, which are skipped.
    """
    import pandas as pd

    from goldfold.sources.class_names import named

    listed = sorted(set(labels))
    if not listed or not all(map(CODE.fullmatch, listed)):
        return None
    for name in _candidates(tree):
        if name in used:
            continue
        try:
            names = named(pd.Series(listed, dtype=str, name="label"), str(tree.root / name))
        except (DataError, ValueError):
            continue
        if any(suffix in called.lower() for called in names for suffix in IMAGES):
            continue  # a list of images
        return name, dict(zip(listed, names.tolist(), strict=True))
    return None


def _candidates(tree: Tree) -> Iterator[str]:
    """Yield files named like lists of classes, the topmost and shortest first."""
    called = [name for name in tree.files(*SUFFIXES) if any(word in plain(Path(base(name)).stem) for word in WORDS)]
    small = [name for name in called if (tree.root / name).stat().st_size <= LARGEST]
    yield from sorted(small, key=lambda name: (name.count("/"), len(name), name))
