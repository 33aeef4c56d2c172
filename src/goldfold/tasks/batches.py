"""Parts of a batch that are alike whatever is learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


def images_of(samples: Sequence[Mapping[str, Any]]) -> Tensor:
    """Images (batch, channels, height, width) uint8 of samples, channels first in shape and last in memory."""
    import torch

    return torch.from_numpy(np.stack([sample["image"] for sample in samples])).permute(0, 3, 1, 2)


def weights_of(samples: Sequence[Mapping[str, Any]]) -> Tensor:
    """Weights (batch,) of samples."""
    import torch

    return torch.tensor([sample["weight"] for sample in samples], dtype=torch.float32)
