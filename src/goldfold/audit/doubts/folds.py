"""Doubts about folds: groups compared with those of the test images, and copies in several folds."""

from __future__ import annotations

from collections.abc import Iterator

from goldfold.base.words import count


def about_groups(found: dict[str, int] | None) -> Iterator[str]:
    """Folds that split groups otherwise than training and test images do; see `goldfold.splits.groups`."""
    from goldfold.splits.groups import in_words

    if found is not None and (found["shared"] or found["new"] < found["groups"]):
        yield in_words(found)


def about_parted(n_groups: int) -> Iterator[str]:
    """Copies in several folds, because of user-defined folds or a time order."""
    if n_groups:
        groups = f"{count(n_groups, 'group')} of copies over several folds"
        yield f"{groups}: a fold does not train on copies of its validation images"
