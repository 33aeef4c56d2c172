"""Doubts about folds: groups compared with those of the test images, copies in several folds, and a poor holdout."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from goldfold.base.words import count
from goldfold.metrics.limits import few_cases

if TYPE_CHECKING:
    import pandas as pd


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


def about_holdout(content: pd.DataFrame) -> Iterator[str]:
    """A sealed holdout of few cases, or one that lacks classes; its numbers by class are not reported.

    Args:
        content: amount of each class in each of its cases.
    """
    if few := few_cases(len(content), "cases of the holdout"):
        yield few
    if lacking := [str(name) for name in content if not (content[name] > 0).any()]:
        named = ", ".join(map(repr, lacking[:5])) + ", ..." * (len(lacking) > 5)
        yield f"the holdout has no case of {count(len(lacking), 'class', 'classes')}, so it cannot score {named}"
