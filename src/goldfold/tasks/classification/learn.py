"""Batches of labelled images, mixed or not, and their loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from goldfold import catalog, components
from goldfold.tasks import logits as of_logits
from goldfold.tasks.classification.spec import Spec
from goldfold.tasks.logits import LabelBatch

if TYPE_CHECKING:
    from torch import nn

    from goldfold.losses import Losses


class Learn:
    """Classes that exclude each other."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def collate(self, samples: list[dict[str, Any]]) -> LabelBatch:
        """Images stacked, channels first in shape and last in memory."""
        import torch

        return of_logits.collate(samples, torch.tensor([sample["label"] for sample in samples]))

    def loss(
        self,
        loss: components.Several,
        label_smoothing: float = 0.0,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        mix_probability: float = 1.0,
    ) -> Callable[[nn.Module, LabelBatch], Losses]:
        """Mean over the batch of weight x loss; in training, mixup or cutmix (timm's) mix images and labels."""
        from timm.data.mixup import Mixup
        from torch.nn import functional

        from goldfold.losses import combined

        criterion, n = combined(catalog.LOSSES["label"], loss), len(self.classes)
        mixes = bool(mixup_alpha or cutmix_alpha)
        mix = Mixup(mixup_alpha, cutmix_alpha, prob=mix_probability, num_classes=n, label_smoothing=label_smoothing)

        def mean_loss(model: nn.Module, batch: LabelBatch) -> Losses:
            images, weights = batch.images.float(), batch.weights
            is_even = len(images) % 2 == 0  # odd only where all training images are fewer than one batch
            if mixes and model.training and is_even:
                images, target = mix(images, batch.labels)
                weights = (weights + weights.flip(0)) / 2  # each image is mixed with its mirror in the batch
            else:
                target = functional.one_hot(batch.labels, n).float() * (1 - label_smoothing) + label_smoothing / n
            return criterion(model(images), target).map(lambda values: (weights * values).mean())

        return mean_loss
