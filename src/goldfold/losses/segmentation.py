"""Losses of masks. Each takes logits and a target and returns one value per batch.

Arguments of all losses:
    logits: (batch, channels, height, width), before softmax; before the sigmoid if there is one channel, or classes may overlap.
    target: (batch, height, width), class indices, 0 or 1 if the logits have one channel; or (batch, channels, height, width),
        shares of the channels from 0 to 1, negative where ignored: of classes that may overlap, and of soft masks.
    ignore_index: pixels of this index are ignored and get no gradient.
    overlap: whether each channel is a class that may overlap the others; goldfold supplies it.
    class_weight: weights of the channels, (channels,), or of background and class if there is one, (2,); or None. goldfold
        supplies those of ``train.class_weights``.

A batch with only ignored pixels gives 0. Losses of overlap (Dice, Jaccard, Tversky, Lovasz) are computed over the whole batch and
averaged over the channels present in the target; with one channel, a batch without foreground gives 0.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from goldfold.base.errors import ConfigError
from goldfold.losses.mask_targets import IGNORE, is_known, shares_of
from goldfold.losses.numeric import at_least_float32, focal_terms, gamma_fits, number, power


def ce(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = IGNORE,
    overlap: bool = False,
    class_weight: Tensor | None = None,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy, mean over pixels; binary for one channel, and for each class if they may overlap.

    Args:
        label_smoothing: share of the target that is spread evenly over the channels, or over class and background.
    """
    number("label_smoothing", label_smoothing, "of at least 0 and below 1", lambda value: 0 <= value < 1)
    values = _pixel_ce(logits, target, ignore_index, overlap, label_smoothing)
    return _mean(values, target, ignore_index, _weights(values, target, ignore_index, overlap, class_weight))


def bce(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = IGNORE,
    overlap: bool = False,
    class_weight: Tensor | None = None,
    positive_weight: float | list[float] = 1.0,
) -> Tensor:
    """Binary cross-entropy of each channel, of those that exclude each other against the rest; mean over pixels and channels.

    Args:
        positive_weight: factor of pixels of a channel, or one for each channel.
    """
    each = positive_weight if isinstance(positive_weight, list) else [positive_weight] * logits.shape[1]
    for value in each:
        number("positive_weight", value, "above 0", lambda value: value > 0)
    if len(each) != logits.shape[1]:
        raise ConfigError(
            f"positive_weight has {len(each)} values; write one number, or one for each of the {logits.shape[1]} channels"
        )
    shares, known = shares_of(logits, target, ignore_index)
    factor = torch.tensor(each, dtype=torch.float32, device=logits.device).view(1, -1, 1, 1)
    values = functional.binary_cross_entropy_with_logits(
        at_least_float32(logits), shares, pos_weight=factor, reduction="none"
    )
    values = values * known
    if not overlap:
        values = values.mean(dim=1, keepdim=target.ndim == 4 and logits.shape[1] == 1)
    return _mean(values, target, ignore_index, _weights(values, target, ignore_index, overlap, class_weight))


def topk_ce(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = IGNORE,
    overlap: bool = False,
    share: float = 0.1,
) -> Tensor:
    """Cross-entropy, mean over the pixels with the largest (Wu et al. 2016), as in nnU-Net.

    Args:
        share: of the pixels of the batch that are not ignored, at least one.
    """
    number("share", share, "above 0 and at most 1", lambda value: 0 < value <= 1)
    values, known = _known_ce(logits, target, ignore_index, overlap)
    return _hardest(values[known], share)


def ohem_ce(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = IGNORE,
    overlap: bool = False,
    threshold: float = 0.7,
    least: float = 0.0625,
) -> Tensor:
    """Cross-entropy, mean over the pixels whose truth has a probability below a threshold (Shrivastava et al. 2016).

    Args:
        threshold: of the probability of the truth.
        least: share of the pixels that count at any rate, those with the largest cross-entropy.
    """
    number("threshold", threshold, "above 0 and at most 1", lambda value: 0 < value <= 1)
    number("least", least, "above 0 and at most 1", lambda value: 0 < value <= 1)
    values, known = _known_ce(logits, target, ignore_index, overlap)
    values = values[known]
    hard = values[values > -math.log(threshold)]
    return _hardest(values, least) if len(hard) < math.ceil(least * len(values)) or not len(hard) else hard.mean()


def focal(
    logits: Tensor,
    target: Tensor,
    ignore_index: int = IGNORE,
    overlap: bool = False,
    class_weight: Tensor | None = None,
    gamma: float = 2.0,
    alpha: float | None = None,
) -> Tensor:
    """Focal loss (Lin et al. 2017, eq. 4; its softmax form for channels that exclude each other), mean over pixels.

    Args:
        alpha: factor of pixels of a class, others have 1 - alpha (eq. 5); not for classes that exclude each other. None: 1.
    """
    # not smp's, which treats several channels one against the rest, and is NaN if all pixels are ignored
    gamma_fits(gamma)
    if target.ndim == 3:
        loss = _pixel_ce(logits, target, ignore_index, overlap)
        values = power(1 - (-loss).exp(), gamma) * loss
    elif overlap or logits.shape[1] == 1:
        shares, known = shares_of(logits, target, ignore_index)
        values = focal_terms(at_least_float32(logits), shares, 1.0, gamma) * known
    else:
        shares, known = shares_of(logits, target, ignore_index)
        logs = at_least_float32(logits).log_softmax(dim=1)
        values = -(shares * power(1 - logs.exp(), gamma) * logs).sum(dim=1) * known[:, 0]
    if alpha is not None:
        values = values * _of_alpha(alpha, logits, target, ignore_index, overlap)
    return _mean(values, target, ignore_index, _weights(values, target, ignore_index, overlap, class_weight))


def _pixel_ce(
    logits: Tensor, target: Tensor, ignore_index: int, overlap: bool = False, label_smoothing: float = 0.0
) -> Tensor:
    """Cross-entropy per pixel (batch, height, width), and per channel of shares decided by themselves; 0 where ignored."""
    if logits.shape[1] > 1 and not overlap:
        if target.ndim == 4:
            shares, known = shares_of(logits, target, ignore_index)
            loss = functional.cross_entropy(
                at_least_float32(logits), shares, reduction="none", label_smoothing=label_smoothing
            )
            return loss * known[:, 0]
        return functional.cross_entropy(
            at_least_float32(logits),
            target,
            ignore_index=ignore_index,
            reduction="none",
            label_smoothing=label_smoothing,
        )
    if target.ndim == 4:
        shares, known = shares_of(logits, target, ignore_index)
        values = at_least_float32(logits)
    else:
        known, values = target != ignore_index, at_least_float32(logits[:, 0])
        shares = (target * known).to(values.dtype)
    if label_smoothing:
        shares = shares * (1 - label_smoothing) + label_smoothing / 2
    return functional.binary_cross_entropy_with_logits(values, shares, reduction="none") * known


def _known_ce(logits: Tensor, target: Tensor, ignore_index: int, overlap: bool) -> tuple[Tensor, Tensor]:
    """Cross-entropy per pixel, and where it is known, of the same shape."""
    values = _pixel_ce(logits, target, ignore_index, overlap)
    return values, is_known(values, target, ignore_index)


def _hardest(values: Tensor, share: float) -> Tensor:
    """Mean of the largest values (n,); 0 of none."""
    if not len(values):
        return values.sum() * 0.0
    return values.topk(max(1, math.ceil(share * len(values)))).values.mean()


def _of_alpha(alpha: float, logits: Tensor, target: Tensor, ignore_index: int, overlap: bool) -> Tensor:
    """Factors of pixels for the parameter alpha of the focal loss, in the shape of the loss per pixel."""
    number("alpha", alpha, "from 0 to 1", lambda value: 0 <= value <= 1)
    if logits.shape[1] > 1 and not overlap:
        raise ConfigError(
            "focal: alpha is for one class, or for classes that may overlap; set train.class_weights instead"
        )
    shares, _ = shares_of(logits, target, ignore_index)
    factors = alpha * shares + (1 - alpha) * (1 - shares)
    return factors if target.ndim == 4 else factors[:, 0]


def _weights(
    values: Tensor, target: Tensor, ignore_index: int, overlap: bool, class_weight: Tensor | None
) -> Tensor | None:
    """Weight of each value per pixel (and per channel), 0 where ignored; None without class weights."""
    if class_weight is None:
        return None
    known = is_known(values, target, ignore_index)
    if overlap:
        return known * class_weight.view(1, -1, 1, 1)
    if target.ndim == 3:
        return known * class_weight[target * known]
    if target.shape[1] == 1:
        return known * (class_weight[0] + (class_weight[1] - class_weight[0]) * target)
    return known * (target * class_weight.view(1, -1, 1, 1)).sum(dim=1)


def _mean(values: Tensor, target: Tensor, ignore_index: int, weights: Tensor | None = None) -> Tensor:
    """Mean of values per pixel, 0 where ignored, over the pixels that are known; weighted by ``weights``."""
    if weights is None:
        return values.sum() / is_known(values, target, ignore_index).sum().clamp(min=1)
    return (values * weights).sum() / weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
