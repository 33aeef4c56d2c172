"""Specification of a segmentation task, with the coding of masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from goldfold.targets.mask_coding import Coding


@dataclass(frozen=True)
class Spec:
    """Class names, their coding in masks on disk, and settings."""

    classes: list[str]
    mask_values: str | Mapping[str, int] = "index"
    ignore_value: int | Sequence[int] | None = None
    threshold: float = 0.5
    mask_palette: str | Mapping[str, Sequence[int]] = "auto"
    unlisted_values: str = "flaw"
    true_instances: str = "auto"

    @cached_property
    def coding(self) -> "Coding":
        """Conversion between pixel values and channels."""
        from goldfold.targets.mask_coding import Coding

        return Coding(self.classes, self.mask_values, self.ignore_value, self.unlisted_values == "nearest")

    @property
    def first(self) -> int:
        """Channel of the first class: 1 if channel 0 is the background, else 0."""
        return self.coding.first

    @property
    def n_channels(self) -> int:
        """Number of classes, plus the background if there is one."""
        return self.coding.n_channels

    def true_mask(self, path: str) -> NDArray[np.uint8]:
        """Return the channel of every pixel of a mask file."""
        from goldfold.targets.masks import decode_mask

        return self.coding.channels(decode_mask(path))
