"""Doubts about copies within and across splits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from goldfold.base.words import count

MAX_GROUP, MAX_GROUP_SHARE = 10, 0.03
"""Number and share of the training images above which a group of near copies is reported."""
WITHIN = {
    "group": "each group is kept in one fold, unless a column gives the folds",
    "drop": "the first by id of each is kept",
    "ignore": "a group in two folds makes the score optimistic; set data.duplicates: group",
}
ACROSS = {
    "report": "the score on such test images measures memorisation (data.duplicates_across: drop_train leaves the "
    "training images out)",
    "drop_train": "the training images are left out",
}
POOL = (
    ("train+unlabeled", "the unlabeled images are left out, otherwise a model would train on its validation images"),
)
LABELS = {"keep": "one of them may be wrong (data.on_two_labels)", "quarantine": "they are left out"}


def about_copies(rows: list[dict[str, Any]], policy: dict[str, Any], n_train: int = 0) -> Iterator[str]:
    """Copies within splits, across splits and with two labels, and how the policy treats them.

    Args:
        rows: rows of `goldfold.audit.duplicates.find`. Training images that the policy leaves out for a reason other
            than the one reported are not counted.
        policy: ``within``, ``across`` and ``two_labels``, as in `goldfold.audit.copies.Policy`.
        n_train: number of training images; 0 if unknown.
    """
    by_cluster: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        by_cluster.setdefault(row["cluster"], []).append(row)
    sets = list(by_cluster.values())
    agreed = [own for own in sets if policy["two_labels"] != "quarantine" or own[0]["n_labels"] < 2]
    dropped = [own for own in agreed if policy["across"] == "drop_train" and _of(own, "test")]
    within = [own for own in agreed if own not in dropped and len(_of(own, "train")) > 1]
    if within:
        groups = f"{count(len(within), 'group')} of training images that are copies of each other"
        sizes = [len(_of(own, "train")) for own in within]
        largest = f"; the largest has {count(max(sizes), 'image')}" * (max(sizes) > 2)
        yield f"{groups}, {_first_of(within[0], _of(within[0], 'train')[:2])}: {WITHIN[policy['within']]}{largest}"
        yield from _about_scene(within[sizes.index(max(sizes))], n_train)
    for of, splits, why in ((agreed, "train+test", ACROSS[policy["across"]]), *((sets, *pool) for pool in POOL)):
        one, other = splits.split("+")
        across = [own for own in of if _of(own, one) and _of(own, other)]
        if across:
            named = [_of(across[0], one)[0], _of(across[0], other)[0]]
            yield f"{count(len(across), 'group')} of copies across {splits}, {_first_of(across[0], named)}: {why}"
    two = [own for own in sets if own[0]["n_labels"] > 1]
    if two:
        names = ", ".join(
            f"{row['id']!r} is {row['label']!r}" for row in two[0] if row["label"] and row["label"] == row["label"]
        )
        groups = f"{count(len(two), 'group')} of copies with more than one label"
        yield f"{groups}, first: {names}; {LABELS[policy['two_labels']]}"


def _about_scene(rows: list[dict[str, Any]], n_train: int) -> Iterator[str]:
    """A group of near copies that is too large a share of the training images to consist of copies."""
    own = _of(rows, "train")
    if n_train and len(own) > max(MAX_GROUP, MAX_GROUP_SHARE * n_train) and any(row["kind"] != "exact" for row in own):
        yield (
            f"{len(own):,} of {n_train:,} training images ({len(own) / n_train:.0%}) are one group of near copies, such as "
            f"frames of a video or of a fixed camera, and share a fold; if they are different images, set "
            f"data.duplicates_distance: null, so that only byte-identical copies count"
        )


def _of(rows: list[dict[str, Any]], split: str) -> list[dict[str, Any]]:
    return [row for row in rows if row["split"] == split]


def _first_of(rows: list[dict[str, Any]], named: list[dict[str, Any]]) -> str:
    """Two images of a set of copies, as text."""
    kinds = "the same bytes" if {row["kind"] for row in rows} == {"exact"} else "nearly the same picture"
    return f"first {named[0]['id']!r} and {named[1]['id']!r} ({kinds})"
