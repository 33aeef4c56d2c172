"""Cases of a table on the device, decoded once per batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goldfold.cases import Inputs


class Images(Protocol):
    """Images of cases by id, at the network's input size.

    Those that are stored at a larger size also have ``both``, see `goldfold.cache.shrunk.Shrunk`.
    """

    def case_batch(self, ids: Sequence[str]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Return images (len(ids), views, height, width, channels) uint8, and which are present (len(ids), views)."""

    @property
    def frame(self) -> tuple[int, int]:
        """Height and width of every image."""


@dataclass(frozen=True)
class Loader:
    """Function: ids -> cases on the device, images uint8."""

    images: Images
    device: torch.device
    metadata: Mapping[str, NDArray[Any]] | None = None
    """Encoded metadata of each case, where the network takes it."""

    def __call__(self, ids: Sequence[str]) -> Inputs:
        """Load cases at the network's input size."""
        return self._inputs(ids, *self.images.case_batch(ids))

    def with_larger(self, ids: Sequence[str]) -> tuple[Inputs, Tensor | None]:
        """Also return the images (cases, views, channels, height, width) uint8 as stored, if they are stored larger."""
        both = getattr(self.images, "both", None)
        if both is None:
            return self(ids), None
        larger, pixels, present = both(ids)
        return self._inputs(ids, pixels, present), _channels_first(torch.from_numpy(larger).to(self.device))

    def _inputs(self, ids: Sequence[str], pixels: NDArray[np.uint8], present: NDArray[np.bool_]) -> Inputs:
        known = self.metadata
        metadata = None if known is None else torch.from_numpy(np.stack([known[id] for id in ids]))
        inputs = Inputs(torch.from_numpy(pixels), torch.from_numpy(present), metadata).to(self.device)
        return replace(inputs, images=_channels_first(inputs.images))


def _channels_first(images: Tensor) -> Tensor:
    return images.permute(0, 1, 4, 2, 3)
