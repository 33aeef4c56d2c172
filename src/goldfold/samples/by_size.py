"""Augmentation whose result has another size in later epochs, or in each batch."""

from bisect import bisect_right
from collections.abc import Sequence

from goldfold.base.counter import counter
from goldfold.samples.transforms import Augment


class BySize:
    """Augmentations per range of epochs, of which each batch uses one.

    One per range is progressive resizing (Howard, fast.ai 2018; Tan and Le 2021); several, one per size, are multi-scale
    training (Redmon and Farhadi 2017, YOLO9000, section 3).
    """

    def __init__(
        self, starts: Sequence[int], augments: Sequence[Sequence[Augment]], key: tuple[int | str, ...]
    ) -> None:
        """``starts`` are the first epochs of the ranges, in order, beginning with 0.

        Args:
            key: seed of the run.
        """
        self.starts, self.augments, self.key = list(starts), [list(one) for one in augments], key

    def at(self, epoch: int, batch: int) -> Augment:
        """Return the augmentation of a batch: a function of the key, the epoch and the number of the batch in it."""
        choices = self.augments[bisect_right(self.starts, epoch) - 1]
        return choices[counter(*self.key, "size", epoch, batch) % len(choices) if len(choices) > 1 else 0]

    @property
    def every(self) -> list[Augment]:
        """Every augmentation once."""
        return list({id(one): one for choices in self.augments for one in choices}.values())
