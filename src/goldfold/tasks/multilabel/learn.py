"""Batches of images with sets of labels, and their loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import catalog, components
from goldfold.tasks import logits as of_logits
from goldfold.tasks.logits import LabelBatch
from goldfold.tasks.multilabel.spec import Spec

if TYPE_CHECKING:
    from torch import nn

    from goldfold.losses import Losses


class Learn:
    """Classes that are each a yes or no."""

    def __init__(self, spec: Spec) -> None:
        self.positive_weights = [float(spec.positive_weights.get(name, 1.0)) for name in spec.classes]

    def collate(self, samples: list[dict[str, Any]]) -> LabelBatch:
        """Images stacked, channels first in shape and last in memory; labels (batch, classes)."""
        import torch

        labels = torch.from_numpy(np.stack([sample["labels"] for sample in samples])).float()
        return of_logits.collate(samples, labels)

    def loss(self, loss: components.Several, label_smoothing: float = 0.0) -> Callable[[nn.Module, LabelBatch], Losses]:
        """Mean over the batch of weight x loss; smoothing draws each yes or no towards one half."""
        import torch

        from goldfold.losses import combined

        criterion, weights = combined(catalog.LOSSES["labels"], loss), torch.tensor(self.positive_weights)

        def mean_loss(model: nn.Module, batch: LabelBatch) -> Losses:
            target = batch.labels * (1 - label_smoothing) + label_smoothing / 2
            losses = criterion(model(batch.images.float()), target, weights.to(target.device))
            return losses.map(lambda values: (batch.weights * values).mean())

        return mean_loss
