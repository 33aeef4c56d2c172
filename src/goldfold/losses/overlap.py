"""Losses of the overlap of masks; arguments as described in `goldfold.losses.segmentation`."""

import torch
from torch import Tensor
from torch.nn import functional

from goldfold.base.errors import unknown
from goldfold.losses.mask_targets import IGNORE, shares_of
from goldfold.losses.numeric import at_least_float32, number, power

LEAST = 1e-6
"""Smallest sum of weights of channels that is divided by; below it no channel is present."""


def dice(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = IGNORE,
    overlap: bool = False,
    class_weight: Tensor | None = None,
    background: bool = True,
    per_image: bool = False,
) -> Tensor:
    """1 - Dice coefficient (Milletari et al. 2016; for soft masks Wang et al. 2023).

    Args:
        background: whether the first of several channels that exclude each other counts too.
        per_image: compute it for each image, and average.
    """
    return _overlap(logits, target, ignore_index, overlap, class_weight, background, per_image, 0.5, 0.5)


def jaccard(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = IGNORE,
    overlap: bool = False,
    class_weight: Tensor | None = None,
    background: bool = True,
    per_image: bool = False,
) -> Tensor:
    """1 - soft intersection over union; parameters as of `dice`."""
    return _overlap(logits, target, ignore_index, overlap, class_weight, background, per_image, 1.0, 1.0)


def tversky(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = IGNORE,
    overlap: bool = False,
    class_weight: Tensor | None = None,
    alpha: float = 0.3,
    beta: float = 0.7,
    gamma: float = 1.0,
    background: bool = True,
    per_image: bool = False,
) -> Tensor:
    """1 - Tversky index (Salehi et al. 2017), with weights ``alpha`` of false positives and ``beta`` of false negatives.

    Args:
        gamma: exponent of the loss of each channel, that of the focal Tversky loss (Abraham & Khan 2019, who call it 1 / gamma).
        background, per_image: as of `dice`.
    """
    number("alpha", alpha, "of at least 0", lambda value: value >= 0)
    number("beta", beta, "of at least 0", lambda value: value >= 0)
    number("gamma", gamma, "above 0", lambda value: value > 0)
    return _overlap(logits, target, ignore_index, overlap, class_weight, background, per_image, alpha, beta, gamma)


def lovasz(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = IGNORE,
    overlap: bool = False,
    per_image: bool = False,
    classes: str = "present",
) -> Tensor:
    """Lovasz hinge for one channel or classes that may overlap, else Lovasz softmax (Berman et al. 2018); soft masks are decided.

    Args:
        per_image: compute it for each image, and average.
        classes: ``present`` averages the softmax form over the channels in the target, ``all`` over all.
    """
    if classes not in ("present", "all"):
        raise unknown("classes", str(classes), ("present", "all"))
    if target.ndim == 4:
        target = _decided(target, overlap or logits.shape[1] == 1, ignore_index)
    # smp's functions take no float64
    logits = at_least_float32(logits).float()
    if overlap:
        of_classes = [
            _hinge(one[:, None], of, ignore_index, per_image)
            for one, of in zip(logits.unbind(1), target.unbind(1), strict=True)
        ]
        return torch.stack(of_classes).mean()
    if logits.shape[1] == 1:
        return _hinge(logits, target[:, 0] if target.ndim == 4 else target, ignore_index, per_image)
    return _lovasz_softmax(logits, target, ignore_index, per_image, classes)


def _hinge(logits: Tensor, target: Tensor, ignore_index: int, per_image: bool) -> Tensor:
    from segmentation_models_pytorch.losses import LovaszLoss

    rows = (target != ignore_index).flatten(1).any(dim=1)
    if not rows.any():
        return logits.sum() * 0.0
    if per_image:
        logits, target = logits[rows], target[rows]
    loss: Tensor = LovaszLoss("binary", per_image=per_image, ignore_index=ignore_index)(logits, target)
    return loss


def _lovasz_softmax(logits: Tensor, target: Tensor, ignore_index: int, per_image: bool, classes: str) -> Tensor:
    from segmentation_models_pytorch.losses import lovasz

    rows = (target != ignore_index).flatten(1).any(dim=1)
    if not rows.any():
        return logits.sum() * 0.0  # smp's does not return a scalar
    if per_image:
        logits, target = logits[rows], target[rows]
    loss: Tensor = lovasz._lovasz_softmax(logits.softmax(dim=1), target, classes, per_image, ignore_index)
    return loss


def _decided(shares: Tensor, binary: bool, ignore_index: int) -> Tensor:
    """Class indices of shares: (batch, height, width), or (batch, channels, height, width) of channels decided by themselves."""
    hard = (shares >= 0.5).long() if binary else shares.argmax(dim=1)
    is_unknown = shares < 0 if binary else shares[:, 0] < 0
    return hard.masked_fill(is_unknown, ignore_index)


def _overlap(
    logits: Tensor,
    target: Tensor,
    ignore_index: int,
    overlap: bool,
    class_weight: Tensor | None,
    background: bool,
    per_image: bool,
    alpha: float,
    beta: float,
    gamma: float = 1.0,
) -> Tensor:
    """Average the loss of each channel over those present; smp averages over all and counts an absent one as loss 0."""
    from segmentation_models_pytorch.losses._functional import soft_tversky_score

    values, n = at_least_float32(logits), logits.shape[1]
    is_binary = overlap or n == 1
    shares, known = shares_of(logits, target, ignore_index)
    positive = (functional.logsigmoid(values) if is_binary else values.log_softmax(dim=1)).exp() * known
    of_target = (shares * known).flatten(2)
    dims = 2 if per_image else (0, 2)
    loss = 1.0 - soft_tversky_score(positive.flatten(2), of_target, alpha, beta, dims=dims)
    loss = loss if gamma == 1 else power(loss, gamma)
    factors = (of_target.sum(dims) > 0).to(loss.dtype)
    if not background and not is_binary:
        factors = factors * torch.cat([factors.new_zeros(1), factors.new_ones(n - 1)])
    if class_weight is not None and len(class_weight) == n:
        factors = factors * class_weight
    means = (loss * factors).mean(dim=-1) * (n / factors.sum(dim=-1).clamp(min=LEAST))
    return means if not per_image else _mean_of_images(means, factors)


def _mean_of_images(means: Tensor, factors: Tensor) -> Tensor:
    """Mean over the images that have any channel."""
    has_any = factors.sum(dim=-1) > 0
    return (means * has_any).sum() / has_any.sum().clamp(min=1)
