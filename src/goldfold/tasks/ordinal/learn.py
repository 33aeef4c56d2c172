"""Batches of images with ordered labels, and their loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from goldfold import catalog, components
from goldfold.tasks.classification.learn import Learn as Labels
from goldfold.tasks.classification.learn import loss_of
from goldfold.tasks.ordinal.spec import Spec

if TYPE_CHECKING:
    from torch import nn

    from goldfold.cases import Batch
    from goldfold.losses import Losses


class Learn:
    """Training on ordered classes."""

    def __init__(self, spec: Spec) -> None:
        self.classes, self.labels = spec.classes, Labels(spec.labels)

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are class indices (batch,), or rows of shares (batch, classes) where samples are mixed or some
        have soft labels."""
        return self.labels.collate(samples)

    def soft(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return the sample with its label as a row of shares (classes,), for mixing; a soft label is one already."""
        return self.labels.soft(sample)

    def loss(
        self,
        loss: components.Several,
        class_weights: components.Written | None = None,
        counts: Sequence[float] | None = None,
    ) -> Callable[[nn.Module, Batch], Losses]:
        """Return the mean over the batch of weight x loss, of labels or rows of shares."""
        return loss_of(catalog.LOSSES["order"], self.classes, loss, 0.0, class_weights, counts)
