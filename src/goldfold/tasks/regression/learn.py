"""Batches of images with numbers, and their loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from goldfold import catalog, components
from goldfold.tasks.regression.scale import Scale, keep, scale_of
from goldfold.tasks.regression.spec import Spec
from goldfold.tasks.regression.target import numbers

if TYPE_CHECKING:
    import pandas as pd
    from torch import nn

    from goldfold.cases import Batch
    from goldfold.losses import Losses


class Learn:
    """Numbers are learned on the scale of the training targets of the fold."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.fitted: Scale | None = None

    @property
    def scale(self) -> Scale:
        """Number that the network learns as 0, and the difference that it learns as 1."""
        return self.fitted or self.spec.scale

    def fit(self, rows: pd.DataFrame, network: nn.Module) -> None:
        """Fit the scale to the labelled training rows of the fold, and keep it with the weights of the network."""
        self.fitted = scale_of(numbers(rows))
        keep(network, self.fitted)

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Targets (batch,), numbers, scaled."""
        import torch

        from goldfold.cases import stacked

        middle, spread = self.scale
        scaled = [(sample["value"] - middle) / spread for sample in samples]
        return stacked(samples, torch.tensor(scaled, dtype=torch.float32))

    def loss(self, loss: components.Several) -> Callable[[nn.Module, Batch], Losses]:
        """Mean over the batch of weight x loss."""
        from goldfold.losses import combined

        criterion = combined(catalog.LOSSES["value"], loss)

        def mean_loss(model: nn.Module, batch: Batch) -> Losses:
            losses = criterion(model(batch.inputs)[:, 0], batch.targets)
            return losses.map(lambda values: (batch.weights * values).mean())

        return mean_loss
