"""Images and metadata of a batch of cases: the input of networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Inputs:
    """Cases with one or more images (views) each; a case may lack images for some of the views.

    >>> both = Inputs(torch.zeros(3, 2, 1, 8, 8), torch.tensor([[True, True], [True, False], [False, True]]))
    >>> len(both), both.n_views
    (3, 2)
    >>> both.mean(torch.tensor([[1.0], [3.0], [5.0], [7.0]]))  # outputs for the four images that are present
    tensor([[2.],
            [5.],
            [7.]])
    """

    images: Tensor
    """(batch, views, channels, height, width), uint8 or float, 0..255; arbitrary where an image is missing."""
    present: Tensor
    """(batch, views) bool: whether a case has an image for a view; every case has at least one."""
    metadata: Tensor | None = None
    """(batch, columns) float, where networks take metadata; see `goldfold.metadata.encoder.Encoder`."""

    @classmethod
    def of(cls, images: Tensor) -> Inputs:
        """Make cases of one image each from images (batch, channels, height, width)."""
        return cls(images.unsqueeze(1), torch.ones(len(images), 1, dtype=torch.bool, device=images.device))

    def __len__(self) -> int:
        return len(self.images)

    @property
    def n_views(self) -> int:
        """Number of images per case, missing ones included."""
        return int(self.images.shape[1])

    @property
    def single(self) -> Tensor:
        """Images (batch, channels, height, width) of cases with one image each.

        Raises:
            ValueError: if cases have several images.
        """
        if self.n_views != 1:
            raise ValueError(f"cases have {self.n_views} images each, where one is needed")
        return self.images[:, 0]

    @property
    def there(self) -> Tensor:
        """Images (n, channels, height, width) that are present, ordered by case."""
        return self.images[:, 0] if self.n_views == 1 else self.images[self.present]

    def by_view(self, outputs: Tensor) -> Tensor:
        """Arrange ``outputs`` (n, ...), one row per image of `there`, by case and view: (batch, views, ...), 0 where missing."""
        if self.n_views == 1:
            return outputs.unsqueeze(1)
        by_case = outputs.new_zeros(*self.present.shape, *outputs.shape[1:])
        by_case[self.present] = outputs
        return by_case

    def mean(self, outputs: Tensor) -> Tensor:
        """Average ``outputs`` (n, ...), one row per image of `there`, over the images of each case: (batch, ...)."""
        if self.n_views == 1:
            return outputs
        counts = self.present.sum(dim=1).to(outputs.dtype)
        return self.by_view(outputs).sum(dim=1) / counts.view(-1, *[1] * (outputs.dim() - 1))

    def map(self, function: Callable[[Tensor], Tensor]) -> Inputs:
        """Apply ``function`` to the images (n, channels, height, width) of all cases."""
        made = function(self.images.flatten(0, 1))
        return replace(self, images=made.reshape(*self.present.shape, *made.shape[1:]))

    def rows(self, rows: Sequence[int] | slice) -> Inputs:
        """Select some of the cases."""
        metadata = None if self.metadata is None else self.metadata[rows]
        return Inputs(self.images[rows], self.present[rows], metadata)

    def to(self, device: torch.device) -> Inputs:
        """Move to ``device``."""
        metadata = None if self.metadata is None else self.metadata.to(device, non_blocking=True)
        return Inputs(self.images.to(device, non_blocking=True), self.present.to(device, non_blocking=True), metadata)

    def equals(self, other: Inputs) -> bool:
        """Return whether all values are equal, whether images are uint8 or float."""
        mine, others = (
            [inputs.images.float(), inputs.present, *([] if inputs.metadata is None else [inputs.metadata])]
            for inputs in (self, other)
        )
        return len(mine) == len(others) and all(torch.equal(a, b) for a, b in zip(mine, others, strict=True))
