"""Augmentation whose result has another size in later epochs."""

from bisect import bisect_right
from collections.abc import Sequence

from goldfold.samples.transforms import Augment


class BySize:
    """One augmentation per range of epochs: progressive resizing (Howard, fast.ai 2018; Tan and Le 2021)."""

    def __init__(self, starts: Sequence[int], augments: Sequence[Augment]) -> None:
        """``starts`` are the first epochs of the ranges, in order, beginning with 0."""
        self.starts, self.augments = list(starts), list(augments)

    def at(self, epoch: int) -> Augment:
        """Augmentation of an epoch."""
        return self.augments[bisect_right(self.starts, epoch) - 1]
