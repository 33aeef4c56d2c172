"""Losses for several labels per image. Each returns one value per sample, the mean over the classes.

Arguments of all losses:
    logits: (batch, classes), before the sigmoid.
    target: (batch, classes), 0..1.
    positive_weight: (classes,), weight of positive images, relative to 1 for negative ones.
    counts: (classes,), number of labelled training cases in the fold that have each class; goldfold supplies it.
"""

from torch import Tensor
from torch.nn import functional

from goldfold.base.errors import unknown
from goldfold.losses.class_weights import balanced
from goldfold.losses.numeric import asymmetric_terms, at_least_float32, focal_terms, gamma_fits, number
from goldfold.losses.ranking import pairwise


def bce(logits: Tensor, target: Tensor, positive_weight: Tensor) -> Tensor:
    """Binary cross-entropy of each class, mean over the classes."""
    return _bce_terms(at_least_float32(logits), target, positive_weight).mean(dim=1)


def focal(
    logits: Tensor, target: Tensor, positive_weight: Tensor, gamma: float = 2.0, alpha: float | None = None
) -> Tensor:
    """Focal loss (Lin et al. 2017, eq. 4, for soft targets) of each class, mean over the classes.

    Args:
        alpha: weight of positive targets; negative ones have 1 - alpha (eq. 5). None: both have 1.
    """
    gamma_fits(gamma)
    terms = focal_terms(at_least_float32(logits), target, positive_weight, gamma)
    if alpha is not None:
        number("alpha", alpha, "from 0 to 1", lambda value: 0 <= value <= 1)
        terms = terms * (alpha * target + (1 - alpha) * (1 - target))
    return terms.mean(dim=1)


def asymmetric(
    logits: Tensor,
    target: Tensor,
    positive_weight: Tensor,
    gamma_neg: float = 4.0,
    gamma_pos: float = 1.0,
    clip: float = 0.05,
) -> Tensor:
    """Asymmetric loss (Ridnik et al. 2021, for soft targets) of each class, mean over the classes.

    Args:
        gamma_neg: exponent for negative targets; ``gamma_pos`` for positive ones.
        clip: probability below which a negative target has no loss, and which is subtracted above.
    """
    terms = asymmetric_terms(at_least_float32(logits), target, gamma_neg, gamma_pos, clip)
    return (terms * _of_positive(positive_weight, target)).mean(dim=1)


def class_balanced(
    logits: Tensor,
    target: Tensor,
    positive_weight: Tensor,
    counts: Tensor,
    beta: float = 0.999,
    over: str = "sigmoid",
    gamma: float = 2.0,
) -> Tensor:
    """Loss of each class, weighted by its effective number of training cases (Cui et al. 2019, sec. 4), mean over the classes.

    Args:
        over: loss to be weighted: ``sigmoid`` (`bce`), or ``focal`` with exponent ``gamma``.
    """
    if over not in ("sigmoid", "focal"):
        raise unknown("over", str(over), ("sigmoid", "focal"))
    gamma_fits(gamma)
    logits = at_least_float32(logits)
    is_focal = over == "focal"
    terms = (
        focal_terms(logits, target, positive_weight, gamma) if is_focal else _bce_terms(logits, target, positive_weight)
    )
    return (terms * balanced(counts, beta)).mean(dim=1)


def soft_auc(logits: Tensor, target: Tensor, positive_weight: Tensor) -> Tensor:
    """Logistic surrogate of 1 - ROC AUC of each class, over the pairs in the batch (Gao & Zhou 2015)."""
    return pairwise(at_least_float32(logits), target, positive_weight)


def _bce_terms(logits: Tensor, target: Tensor, positive_weight: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(
        logits, target.to(logits.dtype), pos_weight=positive_weight.to(logits.dtype), reduction="none"
    )


def _of_positive(positive_weight: Tensor, target: Tensor) -> Tensor:
    """Weight of each target: that of positive ones, 1 for negative ones, in between for soft ones."""
    return positive_weight * target + (1 - target)
