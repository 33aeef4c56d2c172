"""Batches of labelled images, with mixup and cutmix, and their loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from goldfold import catalog, components
from goldfold.tasks.classification.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from goldfold.cases import Batch, Inputs
    from goldfold.losses import Losses


class Learn:
    """Training on mutually exclusive classes."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are class indices (batch,)."""
        import torch

        from goldfold.cases import stacked

        return stacked(samples, torch.tensor([sample["label"] for sample in samples]))

    def loss(
        self,
        loss: components.Several,
        label_smoothing: float = 0.0,
        mixup_alpha: float = 0.0,
        cutmix_alpha: float = 0.0,
        mix_probability: float = 1.0,
        class_weights: components.Written | None = None,
        counts: Sequence[float] | None = None,
    ) -> Callable[[nn.Module, Batch], Losses]:
        """Return the mean over the batch of weight x loss; in training, timm's mixup or cutmix mixes images and labels.

        Class weights multiply the weight of a sample by the mean weight of its (soft) target's classes.
        """
        from timm.data.mixup import Mixup
        from torch.nn import functional

        from goldfold.losses import combined
        from goldfold.losses.class_weights import of_targets

        criterion, n = combined(catalog.LOSSES["label"], loss, counts, _hardened), len(self.classes)
        weights_of = of_targets(class_weights, self.classes, counts)
        mixes = bool(mixup_alpha or cutmix_alpha)
        mix = Mixup(mixup_alpha, cutmix_alpha, prob=mix_probability, num_classes=n, label_smoothing=label_smoothing)

        def mean_loss(model: nn.Module, batch: Batch) -> Losses:
            inputs, weights = batch.inputs, batch.weights
            is_even = len(inputs) % 2 == 0  # odd only if there are fewer training images than a batch has
            if mixes and model.training and is_even:
                inputs, target = _mixed(mix, inputs, batch.targets)
                weights = (weights + weights.flip(0)) / 2
            else:
                target = functional.one_hot(batch.targets, n).float() * (1 - label_smoothing) + label_smoothing / n
            if weights_of is not None:
                weights = weights * weights_of(target)
            return criterion(model(inputs), target).map(lambda values: (weights * values).mean())

        return mean_loss


def _hardened(target: Tensor) -> Tensor:
    return target.argmax(dim=1)


def _mixed(
    mix: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], inputs: Inputs, labels: Tensor
) -> tuple[Inputs, Tensor]:
    """Mix each case with its mirror in the batch, view by view; a view is present if either case has it."""
    images, target = mix(inputs.images.float().flatten(1, 2), labels)
    present = inputs.present | inputs.present.flip(0)
    return replace(inputs, images=images.reshape(inputs.images.shape), present=present), target
