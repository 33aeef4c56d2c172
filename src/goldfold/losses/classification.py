"""Losses for one label per image.

Arguments of all losses:
    logits: (batch, classes), before softmax.
    target: (batch, classes), rows sum to one.
    counts: (classes,), number of labelled training cases of each class in the fold; goldfold supplies it.

Each returns one value per sample, (batch,). Losses that treat each class against all others (`bce`, `asymmetric`, and
`class_balanced` over `sigmoid` or `focal`) take the mean over the classes; predictions are still the softmax of the logits.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional

from goldfold.base.errors import ConfigError, unknown
from goldfold.losses.class_weights import balanced
from goldfold.losses.numeric import asymmetric_terms, at_least_float32, focal_terms, gamma_fits, number, power
from goldfold.losses.ranking import pairwise


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each sample."""
    return -(target * functional.log_softmax(at_least_float32(logits), dim=-1)).sum(dim=-1)


def focal(logits: Tensor, target: Tensor, gamma: float = 2.0, alpha: Sequence[float] | None = None) -> Tensor:
    """Focal loss of each sample (Lin et al. 2017, eq. 5, softmax form for soft targets).

    Args:
        alpha: weight of each class, in the order of the classes.
    """
    gamma_fits(gamma)
    log_p = functional.log_softmax(at_least_float32(logits), dim=-1)
    terms = target * power(1 - log_p.exp(), gamma) * log_p
    return -(terms if alpha is None else terms * _per_class(alpha, log_p)).sum(dim=-1)


def bce(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of each class against all others, mean over the classes (Wightman et al. 2021)."""
    logits = at_least_float32(logits)
    return functional.binary_cross_entropy_with_logits(logits, target.to(logits.dtype), reduction="none").mean(dim=-1)


def symmetric_cross_entropy(
    logits: Tensor, target: Tensor, alpha: float = 0.1, beta: float = 1.0, log_zero: float = -4.0
) -> Tensor:
    """alpha x cross-entropy + beta x reverse cross-entropy, for noisy labels (Wang et al. 2019).

    Args:
        log_zero: value of log 0 (A in the paper) and lower limit of the logarithm of a target.
    """
    number("alpha", alpha, "of at least 0", lambda value: value >= 0)
    number("beta", beta, "of at least 0", lambda value: value >= 0)
    number("log_zero", log_zero, "below 0", lambda value: value < 0)
    p = functional.softmax(at_least_float32(logits), dim=-1)
    reverse = -(p * target.to(p.dtype).log().clamp(min=log_zero)).sum(dim=-1)
    return alpha * cross_entropy(logits, target) + beta * reverse


def asymmetric(
    logits: Tensor, target: Tensor, gamma_neg: float = 4.0, gamma_pos: float = 1.0, clip: float = 0.05
) -> Tensor:
    """Asymmetric loss of each class against all others (Ridnik et al. 2021), mean over the classes."""
    return asymmetric_terms(at_least_float32(logits), target, gamma_neg, gamma_pos, clip).mean(dim=-1)


def class_balanced(
    logits: Tensor, target: Tensor, counts: Tensor, beta: float = 0.999, over: str = "softmax", gamma: float = 2.0
) -> Tensor:
    """Loss weighted by the effective number of training cases of its class (Cui et al. 2019, sec. 4).

    Args:
        over: loss to be weighted: ``softmax`` (cross-entropy), ``sigmoid`` (`bce`), or ``focal``, the binary focal loss of each
            class against all others with exponent ``gamma``.
    """
    if over not in OVER:
        raise unknown("over", str(over), OVER)
    return OVER[over](logits, target, gamma) * (target * balanced(counts, beta)).sum(dim=-1)


def soft_auc(logits: Tensor, target: Tensor) -> Tensor:
    """Logistic surrogate of 1 - ROC AUC, each class against all others, over the pairs in the batch (Gao & Zhou 2015)."""
    return pairwise(functional.log_softmax(at_least_float32(logits), dim=-1), target)


def _binary_focal(logits: Tensor, target: Tensor, gamma: float) -> Tensor:
    gamma_fits(gamma)
    return focal_terms(at_least_float32(logits), target, 1.0, gamma).mean(dim=-1)


OVER = {
    "softmax": lambda logits, target, gamma: cross_entropy(logits, target),
    "sigmoid": lambda logits, target, gamma: bce(logits, target),
    "focal": _binary_focal,
}
"""Losses that `class_balanced` weights."""


def _per_class(values: Sequence[float], like: Tensor) -> Tensor:
    """Convert one weight per class to a tensor.

    Raises:
        ConfigError: there is another number of classes, or a weight is negative.
    """
    if not isinstance(values, Sequence) or isinstance(values, str) or len(values) != like.shape[-1]:
        raise ConfigError(f"alpha = {values!r}: must be a list of {like.shape[-1]} numbers, one per class")
    for place, value in enumerate(values):
        number(f"alpha[{place}]", value, "of at least 0", lambda value: value >= 0)
    return torch.tensor(values, dtype=like.dtype, device=like.device)
