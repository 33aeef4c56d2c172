"""Readings of a folder: each explains some of its files, is checked, and is scored."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from goldfold.commands.init import (
    coco,
    colour_names,
    folders,
    instances,
    labels,
    masks,
    pairings,
    rle,
    stacks,
    tiles,
    voc,
    yolo,
)
from goldfold.commands.init.choices import Values
from goldfold.commands.init.found import Layout
from goldfold.commands.init.pictures import Pictures
from goldfold.commands.init.roles import DOCUMENTATION, Roles, documents, roles
from goldfold.commands.init.table_files import tables_of
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree

Proposer = Callable[[Tree, list[Table]], Layout | Iterable[Layout] | None]
PROPOSERS: dict[str, Proposer] = {
    "coco": coco.sniff,
    "voc": voc.sniff,
    "yolo": yolo.sniff,
    "instances": instances.sniff,
    "tiles": tiles.sniff,
    "pairings": pairings.sniff,
    "rle": rle.sniff,
    "masks": masks.sniff,
    "csv": labels.sniff,
    "folder": folders.sniff,
}
OF_MASKS = ("tiles", "masks", "instances", "rle")
REFUSED = 0.5
"""Factor on the score of a refused reading."""
SHARE_OF_IMAGES = 0.7
"""Weight of images in the share of files that a reading explains; the rest is that of tables and label files."""


@dataclass
class Reading:
    """One way to read a folder: a config, the files it explains, and the result of ``goldfold check``."""

    layout: Layout
    tree: Tree
    """The folder, with one file per image if images are stacks."""
    tables: list[Table]
    stack: stacks.Stacks | None = None
    refusal: str | None = None
    """Error of ``goldfold check``."""
    is_mendable: bool = False
    """True if the setting that the error proposes would make it acceptable."""
    is_checked: bool = False
    looked: Pictures | None = None
    values: Values = field(default_factory=dict)
    """Config of this reading."""

    @cached_property
    def roles(self) -> Roles:
        """Role of every explained file."""
        return roles(self.tree, self.layout)

    @cached_property
    def unexplained(self) -> list[str]:
        """Files without a role."""
        names = sorted(self.tree.known_images | self.tree.known_files)
        return [name for name in names if name not in self.roles]

    @cached_property
    def share(self) -> float:
        """Share of the folder's files that are explained, without documentation."""
        papers = {name for name, role in documents(self.tree) if role == DOCUMENTATION}
        images, others = self.tree.known_images, self.tree.known_files - papers
        of_images = sum(name in self.roles for name in images) / max(len(images), 1)
        of_others = sum(name in self.roles for name in others) / max(len(others), 1)
        return of_images if not others else SHARE_OF_IMAGES * of_images + (1 - SHARE_OF_IMAGES) * of_others

    @property
    def score(self) -> float:
        """Likelihood times share of explained files, 0 to 1."""
        return self.layout.likelihood * self.share

    @property
    def rank(self) -> float:
        """Sort key of readings: the score, halved if check refuses it and no policy that the error proposes solves it.

        So a refused reading of all files ranks above an accepted one of few, and below an accepted one of most.
        """
        return self.score * (1 if self.refusal is None or self.is_mendable else REFUSED)

    def forget(self) -> None:
        """Clear cached roles after a change of the layout."""
        for name in ("roles", "unexplained", "share"):
            self.__dict__.pop(name, None)


def propose(tree: Tree) -> tuple[list[Table], list[Reading]]:
    """Tables of a folder, and the readings of all sources, the best first."""
    stack = stacks.stacked(tree)
    if stack:
        tables, found = _proposed(stack.tree, stack)
        if found and found[0].layout.source in stacks.SOURCES:
            stacks.describe(found[0].layout, stack)
            return tables, found[:1]
    return _proposed(tree, None)


def _proposed(tree: Tree, stack: stacks.Stacks | None) -> tuple[list[Table], list[Reading]]:
    tables = tables_of(tree)
    named = [table for table in tables if table.match is not None]
    layouts = [layout for name in PROPOSERS for layout in _layouts(PROPOSERS[name](tree, named))]
    if any(layout.source in OF_MASKS for layout in layouts):
        layouts = [layout for layout in layouts if not layout.is_contradicted]
    readings = [Reading(colour_names.apply(tree, layout), tree, named, stack) for layout in layouts]
    return tables, sorted(readings, key=lambda reading: reading.rank, reverse=True)


def _layouts(proposed: Layout | Iterable[Layout] | None) -> Iterator[Layout]:
    if isinstance(proposed, Layout):
        yield proposed
    elif proposed is not None:
        yield from proposed
