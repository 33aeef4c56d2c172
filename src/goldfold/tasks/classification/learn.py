"""Batches of labelled images, and their loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.classification.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from goldfold.cases import Batch
    from goldfold.losses import Losses


class Learn:
    """Training on mutually exclusive classes."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are class indices (batch,), or rows of shares (batch, classes) where samples are mixed or some
        have soft labels."""
        import torch

        from goldfold.cases import stacked

        return stacked(samples, torch.as_tensor(np.array([sample["label"] for sample in samples])))

    def soft(self, sample: dict[str, Any]) -> dict[str, Any]:
        """Return the sample with its label as a row of shares (classes,), for mixing; a soft label is one already."""
        label = sample["label"]
        return {**sample, "label": np.eye(len(self.classes), dtype=np.float32)[label] if np.ndim(label) == 0 else label}

    def loss(
        self,
        loss: components.Several,
        label_smoothing: float = 0.0,
        class_weights: components.Written | None = None,
        counts: Sequence[float] | None = None,
    ) -> Callable[[nn.Module, Batch], Losses]:
        """Return the mean over the batch of weight x loss, of labels or rows of shares.

        Class weights multiply the weight of a sample by the mean weight of its (soft) target's classes.
        """
        return loss_of(catalog.LOSSES["label"], self.classes, loss, label_smoothing, class_weights, counts)


def loss_of(
    entries: Mapping[str, str],
    classes: Sequence[str],
    loss: components.Several,
    label_smoothing: float,
    class_weights: components.Written | None,
    counts: Sequence[float] | None,
) -> Callable[[nn.Module, Batch], Losses]:
    """Return the mean over the batch of weight x loss, see `Learn.loss`.

    Args:
        entries: available losses by name.
    """
    from torch.nn import functional

    from goldfold.losses import combined
    from goldfold.losses.class_weights import of_targets

    criterion, n = combined(entries, loss, counts, _hardened), len(classes)
    weights_of = of_targets(class_weights, classes, counts)

    def mean_loss(model: nn.Module, batch: Batch) -> Losses:
        is_mixed = batch.targets.dim() == 2
        shares = batch.targets if is_mixed else functional.one_hot(batch.targets, n).float()
        target = shares * (1 - label_smoothing) + label_smoothing / n
        weights = batch.weights if weights_of is None else batch.weights * weights_of(target)
        return criterion(model(batch.inputs), target).map(lambda values: (weights * values).mean())

    return mean_loss


def _hardened(target: Tensor) -> Tensor:
    return target.argmax(dim=1)
