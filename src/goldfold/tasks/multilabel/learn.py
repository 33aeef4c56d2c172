"""Batches of images with sets of labels, and their loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.multilabel.spec import Spec

if TYPE_CHECKING:
    from torch import nn

    from goldfold.cases import Batch
    from goldfold.losses import Losses


class Learn:
    """Training on independent binary classes."""

    def __init__(self, spec: Spec) -> None:
        self.positive_weights = [float(spec.positive_weights.get(name, 1.0)) for name in spec.classes]

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are (batch, classes), 0 or 1."""
        import torch

        from goldfold.cases import stacked

        return stacked(samples, torch.from_numpy(np.stack([sample["labels"] for sample in samples])).float())

    def loss(
        self, loss: components.Several, label_smoothing: float = 0.0, counts: Sequence[float] | None = None
    ) -> Callable[[nn.Module, Batch], Losses]:
        """Return the mean over the batch of weight x loss; label smoothing moves targets towards one half."""
        import torch

        from goldfold.losses import combined

        criterion, weights = combined(catalog.LOSSES["labels"], loss, counts), torch.tensor(self.positive_weights)

        def mean_loss(model: nn.Module, batch: Batch) -> Losses:
            target = batch.targets * (1 - label_smoothing) + label_smoothing / 2
            losses = criterion(model(batch.inputs), target, weights.to(target.device))
            return losses.map(lambda values: (batch.weights * values).mean())

        return mean_loss
