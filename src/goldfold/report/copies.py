"""Section on duplicates: images that are the same file, or nearly the same picture."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pandas as pd

from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Facts, Gallery, Picture, Section, Table, Text
from goldfold.drawing.pictures import pair
from goldfold.drawing.words import listed
from goldfold.report.results import Results
from goldfold.tables import read_table

MOST_LISTED, MOST_PAIRS = 50, 8
PAIR_PX = 300


@dataclass(frozen=True)
class Copy:
    """One of several images that are copies of each other."""

    id: str
    split: str
    path: str
    fold: str
    """Empty for an image that is not a training image, or was left out."""
    label: str
    """Target as text; empty without one."""
    kind: str
    """Relation to its nearest copy: exact (same bytes), near or mirrored."""
    is_left_out: bool

    @property
    def place(self) -> str:
        """Split and fold that it is used in."""
        where = f"{self.split}, fold {self.fold}" if self.fold else self.split
        return f"{self.split}, left out" if self.is_left_out else where


@dataclass(frozen=True)
class Cluster:
    """Images that are copies of each other."""

    copies: list[Copy]

    @property
    def ids(self) -> list[str]:
        """Ids of the copies."""
        return [copy.id for copy in self.copies]

    @property
    def is_exact(self) -> bool:
        """All copies are the same file, byte for byte."""
        return all(copy.kind == "exact" for copy in self.copies)

    @property
    def in_use(self) -> list[Copy]:
        """Copies that are not left out."""
        return [copy for copy in self.copies if not copy.is_left_out]

    @property
    def disagree(self) -> bool:
        """Labels differ, those of left-out images included."""
        return len({copy.label for copy in self.copies} - {""}) > 1

    @property
    def disagree_in_use(self) -> bool:
        """Labels differ among the images that are not left out."""
        return len({copy.label for copy in self.in_use} - {""}) > 1

    @property
    def cross_folds(self) -> bool:
        """Training images are in different folds."""
        return len({copy.fold for copy in self.copies} - {""}) > 1

    @property
    def cross_splits(self) -> bool:
        """Of the images that are not left out, one is a training image and another is not."""
        splits = {copy.split for copy in self.in_use}
        return "train" in splits and len(splits) > 1

    @property
    def problem(self) -> str:
        """Description of what is wrong with them."""
        labels = "different labels" if self.disagree_in_use else "different labels, at most one of them in use"
        found = [
            labels if self.disagree else "",
            "in several folds" if self.cross_folds else "",
            "in train and another split" if self.cross_splits else "",
        ]
        counted = ("all left out", "all but one left out", "counted more than once")[min(len(self.in_use), 2)]
        return "; ".join(filter(None, found)) or counted


def file_of(results: Results) -> Path:
    """Table of all copies, exact and near, written by the folds stage."""
    return results.root / "folds" / "duplicates.csv"


def find(results: Results) -> list[Cluster]:
    """Sets of copies listed by the folds stage, worst first."""
    listed = read_table(file_of(results))
    rows = listed[["cluster", "split", "id", "label", "kind"]].merge(_images(results), on=["split", "id"], how="left")
    rows = rows.fillna({"is_left_out": True}).fillna("")  # dropped images are in no list
    names = ["id", "split", "path", "fold", "label", "kind", "is_left_out"]
    found = [
        Cluster([Copy(**row) for row in part[names].to_dict("records")])
        for _, part in rows.groupby("cluster", sort=False)
    ]
    return sorted(
        found, key=lambda own: (not own.disagree_in_use, not own.cross_splits, not own.cross_folds, not own.disagree)
    )


def _images(results: Results) -> pd.DataFrame:
    """All images, including those left out: split, id, path, fold, is_left_out."""
    parts = []
    for split, table in results.tables.items():
        table = table.replace({"fold": {"-1": ""}}) if split == "train" else table  # -1: validated in no fold
        parts.append(table.assign(split=split, is_left_out=False))
    parts.append(results.left_out.assign(is_left_out=True))
    columns = ["split", "id", "path", "fold", "is_left_out"]
    every = pd.concat(parts, ignore_index=True).reindex(columns=columns).drop_duplicates(["split", "id"])
    return every.assign(is_left_out=every["is_left_out"].astype(bool)).fillna("")


def sentence(clusters: list[Cluster]) -> str:
    """State the number of sets of copies."""
    if not clusters:
        return "There are no duplicate images, neither exact nor near."
    n_exact = sum(cluster.is_exact for cluster in clusters)
    parts = [f"{count(n_exact, 'set')} of identical files"] * (n_exact > 0)
    parts += [f"{count(len(clusters) - n_exact, 'set')} of images that look nearly the same"] * (
        n_exact < len(clusters)
    )
    return f"{listed(parts)}."


def section(results: Results, clusters: list[Cluster]) -> Section | None:
    """Counts, pictures of the worst pairs, and a list; None without copies."""
    if not clusters:
        return None
    facts = Facts(
        [
            ("sets of copies", f"{len(clusters):,}"),
            (f"{results.row}s in them", f"{sum(len(own.copies) for own in clusters):,}"),
            (f"{results.row}s in the largest set", f"{max(len(own.copies) for own in clusters):,}"),
            ("sets with different labels", f"{sum(own.disagree for own in clusters):,}"),
            ("sets in several folds", f"{sum(own.cross_folds for own in clusters):,}"),
            ("sets in train and another split", f"{sum(own.cross_splits for own in clusters):,}"),
            (f"{results.row}s left out", f"{sum(copy.is_left_out for own in clusters for copy in own.copies):,}"),
        ]
    )
    return Section(
        "copies",
        "Copies",
        sentence(clusters),
        [facts, *_galleries(results, clusters), *_list(results, clusters)],
    )


KINDS: dict[str, tuple[Callable[[Cluster], bool], Callable[[Copy, Copy], bool]]] = {
    "Copies with different labels": (
        lambda own: own.disagree,
        lambda one, other: "" != one.label != other.label != "",
    ),
    "Copies in train and another split": (
        lambda own: own.cross_splits,
        lambda one, other: "train" in (one.split, other.split) and one.split != other.split,
    ),
    "Copies in different folds": (
        lambda own: own.cross_folds,
        lambda one, other: "" != one.fold != other.fold != "",
    ),
    "Other copies": (lambda own: True, lambda one, other: True),
}
"""Heading -> tests of a set that belongs below it, and of a pair of its images that shows why."""


def _galleries(results: Results, clusters: list[Cluster]) -> Iterable[Block]:
    """One pair per set, below the first heading that the set belongs to."""
    rest = list(clusters)
    for heading, (belongs, shows) in KINDS.items():
        own = [cluster for cluster in rest if belongs(cluster)]
        rest = [cluster for cluster in rest if not belongs(cluster)]
        if own:
            caption = f"Two {results.row}s of each set{_first(len(own), MOST_PAIRS, 'shown')}."
            yield Gallery(
                [_drawn(results, cluster, shows) for cluster in own[:MOST_PAIRS]], caption, heading, column_px=PAIR_PX
            )


def _drawn(results: Results, cluster: Cluster, shows: Callable[[Copy, Copy], bool]) -> Picture:
    pairs = combinations(cluster.copies, 2)
    one, other = next((both for both in pairs if shows(*both)), cluster.copies[:2])
    has_labels = one.label and other.label
    if has_labels and one.label != other.label:
        title = f"{one.label} ↔ {other.label}"
    else:
        title = (
            one.label if has_labels else {"exact": "the same file", "mirrored": "mirrored"}.get(other.kind, "near copy")
        )
    lines = [f"{copy.id} ({copy.place})" for copy in (one, other)]
    more = len(cluster.copies) - 2
    return pair(one.path, other.path, title, [*lines, *[f"and {more} more"] * (more > 0)])


def _list(results: Results, clusters: list[Cluster]) -> list[Block]:
    has_labels = any(copy.label for own in clusters for copy in own.copies)
    rows = [
        [
            listed(own.ids), "same file" if own.is_exact else "near", _values(copy.split for copy in own.copies),
            *([_values(copy.label for copy in own.copies)] if has_labels else []),
            _values(copy.fold for copy in own.copies), own.problem,
        ]
        for own in clusters[:MOST_LISTED]
    ]  # fmt: skip
    columns = ["ids", "kind", "split", *(["label"] if has_labels else []), "fold", "problem"]
    text = f"The worst first{_first(len(clusters), MOST_LISTED, 'listed')}."
    return [Text(text, "All sets"), Table(columns, rows, text_columns=columns)]


def _values(values: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, values)))


def _first(number: int, most: int, what: str) -> str:
    return f"; the first {most} of {number:,} are {what}" if number > most else ""
