"""Losses for one class per pixel. Each takes logits and class indices and returns one value per batch.

Arguments of all losses:
    logits: (batch, classes, height, width), before softmax; one channel: foreground, before the sigmoid.
    target: (batch, height, width), class indices; 0 or 1 if the logits have one channel.
    ignore_index: pixels of this value are ignored and get no gradient.

A batch with only ignored pixels gives 0. Overlap losses (Dice, Jaccard, Tversky) are computed over the whole batch and
averaged over the classes present in the target; with one channel, a batch without foreground gives 0.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from goldfold.losses.numeric import at_least_float32, gamma_fits, number, power

IGNORE = 255


def ce(logits: Tensor, target: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """Cross-entropy, mean over pixels; binary for one channel."""
    return _mean(_pixel_ce(logits, target, ignore_index), target, ignore_index)


def focal(logits: Tensor, target: Tensor, ignore_index: int = IGNORE, gamma: float = 2.0) -> Tensor:
    """Focal loss (Lin et al. 2017, eq. 4; its softmax form for several channels), mean over pixels."""
    # not smp's, which treats several channels one against the rest, and is NaN if all pixels are ignored
    gamma_fits(gamma)
    loss = _pixel_ce(logits, target, ignore_index)
    return _mean(power(1 - (-loss).exp(), gamma) * loss, target, ignore_index)


def dice(logits: Tensor, target: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """1 - Dice coefficient (Milletari et al. 2016)."""
    return _overlap("DiceLoss", logits, target, ignore_index)


def jaccard(logits: Tensor, target: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """1 - soft intersection over union."""
    return _overlap("JaccardLoss", logits, target, ignore_index)


def tversky(
    logits: Tensor, target: Tensor, ignore_index: int = IGNORE, alpha: float = 0.3, beta: float = 0.7
) -> Tensor:
    """1 - Tversky index (Salehi et al. 2017), with weights ``alpha`` of false positives and ``beta`` of false negatives."""
    number("alpha", alpha, "of at least 0", lambda value: value >= 0)
    number("beta", beta, "of at least 0", lambda value: value >= 0)
    return _overlap("TverskyLoss", logits, target, ignore_index, alpha=alpha, beta=beta)


def lovasz(logits: Tensor, target: Tensor, ignore_index: int = IGNORE) -> Tensor:
    """Lovasz hinge for one channel, Lovasz softmax for several (Berman et al. 2018), over the whole batch."""
    from segmentation_models_pytorch.losses import LovaszLoss

    if not (target != ignore_index).any():
        return at_least_float32(logits).sum() * 0.0  # smp's softmax form does not return a scalar
    # smp's takes no float64
    loss: Tensor = LovaszLoss(_mode(logits), ignore_index=ignore_index)(logits.float(), target)
    return loss


def _mode(logits: Tensor) -> str:
    return "binary" if logits.shape[1] == 1 else "multiclass"


def _pixel_ce(logits: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Cross-entropy per pixel, (batch, height, width), 0 where ignored."""
    if logits.shape[1] > 1:
        return functional.cross_entropy(at_least_float32(logits), target, ignore_index=ignore_index, reduction="none")
    counts, values = target != ignore_index, at_least_float32(logits[:, 0])
    loss = functional.binary_cross_entropy_with_logits(values, (target * counts).to(values.dtype), reduction="none")
    return loss * counts


def _mean(values: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    return values.sum() / (target != ignore_index).sum().clamp(min=1)


def _overlap(name: str, logits: Tensor, target: Tensor, ignore_index: int, **params: Any) -> Tensor:
    """Average smp's loss over the classes present; smp averages over all and counts an absent class as loss 0."""
    from segmentation_models_pytorch import losses

    loss: Tensor = getattr(losses, name)(_mode(logits), ignore_index=ignore_index, **params)(
        at_least_float32(logits), target
    )
    if logits.shape[1] == 1:
        return loss
    present = len(torch.unique(target[target != ignore_index]))
    return loss * (logits.shape[1] / max(present, 1))
