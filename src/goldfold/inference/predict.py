"""Predict many images, batch by batch."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn


class Images(Protocol):
    """Images by id."""

    def batch(self, ids: Sequence[str]) -> NDArray[np.uint8]:
        """(len(ids), height, width, channels) uint8."""


def load(images: Images, ids: Sequence[str], device: torch.device) -> Tensor:
    """(len(ids), channels, height, width) uint8 on ``device``."""
    return torch.from_numpy(images.batch(ids)).to(device, non_blocking=True).permute(0, 3, 1, 2)


def predict(
    model: nn.Module,
    predictor: Callable[[nn.Module, Tensor], dict[str, Any]],
    images: Images,
    ids: Sequence[str],
    batch_size: int,
    device: torch.device,
    on_batch: Callable[[int], None] = lambda n: None,
) -> Iterator[dict[str, Any]]:
    """What ``predictor`` makes of each batch, in the order of ``ids``; decoding and transfer happen once a batch.

    Args:
        predictor: (model, images (batch, channels, height, width) uint8 on ``device``) -> arrays.
        on_batch: told the number of images done, after each batch.
    """
    model.eval()
    for start in range(0, len(ids), batch_size):
        chosen = ids[start : start + batch_size]
        with torch.inference_mode():
            part = predictor(model, load(images, chosen, device))
        on_batch(len(chosen))
        yield part
