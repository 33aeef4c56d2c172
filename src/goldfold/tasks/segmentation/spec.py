"""Specification of a segmentation task, with the coding of masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.targets.class_files import BITS

if TYPE_CHECKING:
    from goldfold.targets.mask_bits import Bits
    from goldfold.targets.mask_coding import Coding

Mask = NDArray[np.unsignedinteger[Any]]
"""(height, width) channel of every pixel, or set of classes where these may overlap."""


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

    @property
    def overlaps(self) -> bool:
        """Whether a pixel may be of several classes; masks then hold sets of classes, see `goldfold.targets.mask_bits`."""
        return self.mask_values == BITS

    @cached_property
    def coding(self) -> "Coding | Bits":
        """Conversion between pixel values and channels, or sets of classes."""
        if self.overlaps:
            from goldfold.targets.mask_bits import Bits

            return Bits(self.classes, self.ignore_value)
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

    @property
    def n_maps(self) -> int:
        """Number of stored maps of probabilities: of all classes, and of all but the first channel where pixels have one."""
        return len(self.classes) if self.overlaps else self.n_channels - 1

    @property
    def is_binary(self) -> bool:
        """Whether each map is decided by itself: one class against the background, or classes that may overlap."""
        return self.overlaps or self.n_channels == 2

    def true_mask(self, path: str) -> Mask:
        """Return the channel, or the set of classes, of every pixel of a mask file."""
        from goldfold.targets.masks import decode_mask

        return self.coding.channels(decode_mask(path))
