"""Batches of images with numbers, and their loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from goldfold import catalog, components
from goldfold.tasks import logits as of_logits
from goldfold.tasks.logits import LabelBatch
from goldfold.tasks.regression.spec import Spec

if TYPE_CHECKING:
    from torch import nn

    from goldfold.losses import Losses


class Learn:
    """Numbers are learned on the scale of the training targets."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def collate(self, samples: list[dict[str, Any]]) -> LabelBatch:
        """Images stacked, channels first in shape and last in memory; numbers (batch,), scaled."""
        import torch

        middle, spread = self.spec.scale
        scaled = [(sample["value"] - middle) / spread for sample in samples]
        return of_logits.collate(samples, torch.tensor(scaled, dtype=torch.float32))

    def loss(self, loss: components.Several) -> Callable[[nn.Module, LabelBatch], Losses]:
        """Mean over the batch of weight x loss."""
        from goldfold.losses import combined

        criterion = combined(catalog.LOSSES["value"], loss)

        def mean_loss(model: nn.Module, batch: LabelBatch) -> Losses:
            losses = criterion(model(batch.images.float())[:, 0], batch.labels)
            return losses.map(lambda values: (batch.weights * values).mean())

        return mean_loss
