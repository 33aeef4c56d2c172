"""Batches of images with masks, and their loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    from torch import nn

    from goldfold.cases import Batch
    from goldfold.losses import Losses


class Learn:
    """Training on masks in the network's frame."""

    def __init__(self, spec: Spec) -> None:
        pass

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are channel indices (batch, height, width)."""
        import torch

        from goldfold.cases import stacked

        return stacked(samples, torch.from_numpy(np.stack([sample["mask"] for sample in samples])).long())

    def loss(self, loss: components.Several) -> Callable[[nn.Module, Batch], Losses]:
        """Return the mean over the batch; images of equal weight are grouped, as Dice is not a mean over images.

        Outputs of a network that know their loss (`goldfold.models.mask_queries.Queries`) take its place, in training.
        """
        import torch

        from goldfold.losses import combined, own, summed

        criterion = combined(catalog.LOSSES["mask"], loss)

        def mean_loss(model: nn.Module, batch: Batch) -> Losses:
            outputs, groups = model(batch.inputs), []
            of_outputs = own if hasattr(outputs, "losses") else criterion
            for weight in torch.unique(batch.weights):
                rows = batch.weights == weight
                share = weight * rows.float().mean()
                groups.append(of_outputs(outputs[rows], batch.targets[rows]).map(partial(torch.mul, share)))
            return summed(groups)

        return mean_loss
