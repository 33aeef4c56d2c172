"""Doubts about folds: groups that differ from those of the test images, and copies in several folds."""

from __future__ import annotations

from collections.abc import Iterator

from goldfold.base.words import count


def about_groups(found: dict[str, int] | None) -> Iterator[str]:
    """Whether the folds ask of a model what the test images ask; see `goldfold.splits.groups`."""
    from goldfold.splits.groups import in_words

    if found is not None and (found["shared"] or found["new"] < found["groups"]):
        yield in_words(found)


def about_parted(n_groups: int) -> Iterator[str]:
    """Copies that the user's folds, or an order, part."""
    if n_groups:
        groups = f"{count(n_groups, 'group')} of copies over several folds"
        yield f"{groups}: a fold does not learn from copies of what it is scored on"
