"""Batches of images with masks, and their loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.batches import images_of, weights_of
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from goldfold.losses import Losses


@dataclass
class MaskBatch:
    """Images (batch, channels, height, width) uint8, masks (batch, height, width) of indices, weights (batch,)."""

    ids: list[str]
    images: Tensor
    masks: Tensor
    weights: Tensor

    def to(self, device: torch.device) -> MaskBatch:
        """The batch on ``device``."""
        moved = [tensor.to(device, non_blocking=True) for tensor in (self.images, self.masks, self.weights)]
        return replace(self, images=moved[0], masks=moved[1], weights=moved[2])


class Learn:
    """Masks in the network's frame."""

    def __init__(self, spec: Spec) -> None:
        pass

    def collate(self, samples: list[dict[str, Any]]) -> MaskBatch:
        """Images stacked, channels first in shape and last in memory."""
        import torch

        masks = torch.from_numpy(np.stack([sample["mask"] for sample in samples])).long()
        return MaskBatch([sample["id"] for sample in samples], images_of(samples), masks, weights_of(samples))

    def loss(self, loss: components.Several) -> Callable[[nn.Module, MaskBatch], Losses]:
        """Mean over the batch; images of one weight are scored together, since Dice is not a mean over images."""
        import torch

        from goldfold.losses import combined, summed

        criterion = combined(catalog.LOSSES["mask"], loss)

        def mean_loss(model: nn.Module, batch: MaskBatch) -> Losses:
            logits, groups = model(batch.images), []
            for weight in torch.unique(batch.weights):
                rows = batch.weights == weight
                share = weight * rows.float().mean()
                groups.append(criterion(logits[rows], batch.masks[rows]).map(partial(torch.mul, share)))
            return summed(groups)

        return mean_loss
