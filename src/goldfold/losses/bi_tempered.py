"""Bi-tempered logistic loss (Amid et al. 2019), robust against wrong labels.

With t1 < 1 the loss of a sample is bounded, so that far outliers have little influence; with t2 > 1 the tail of the softmax is
heavy, so that wrong labels near the decision boundary have.
"""

import torch
from torch import Tensor

from goldfold.losses.numeric import at_least_float32, number

FIXED_POINT_STEPS, NEWTON_STEPS = 4, 8
"""The fixed point iteration of the paper (appendix A) comes close for many classes, Newton's method from there is exact to
rounding for t2 up to 8."""


def bi_tempered(logits: Tensor, target: Tensor, t1: float = 0.8, t2: float = 1.2) -> Tensor:
    """Bi-tempered logistic loss of each sample, for noisy labels (Amid et al. 2019); t1 = t2 = 1: cross-entropy.

    With soft targets it is a divergence, 0 where predictions equal the target: cross-entropy minus the target's entropy.

    Args:
        logits: (batch, classes), before the softmax.
        target: (batch, classes), rows sum to one.
        t1: 0 to 1; the lower, the smaller the bound 1 / (1 - t1) of the loss.
        t2: at least 1; the higher, the heavier the tail of the softmax.
    """
    number("t1", t1, "from 0 to 1", lambda value: 0 <= value <= 1)
    number("t2", t2, "of at least 1", lambda value: value >= 1)
    log_p = log_tempered_softmax(at_least_float32(logits), t2)
    target = target.to(log_p.dtype)
    log_target = target.clamp(min=torch.finfo(target.dtype).tiny).log()
    gained = target * (_tempered(log_target, t1) - _tempered(log_p, t1))
    return (gained - (target ** (2 - t1) - ((2 - t1) * log_p).exp()) / (2 - t1)).sum(dim=-1)


def log_tempered_softmax(logits: Tensor, t: float) -> Tensor:
    """Logarithm of the tempered softmax (Amid et al. 2019), differentiable through its normalisation."""
    if t == 1:
        return logits.log_softmax(dim=-1)
    with torch.no_grad():
        norm = _normalisation(logits, t)
        slope = (t * _log_exp(logits - norm, t)).exp().sum(dim=-1, keepdim=True)
    # a step of Newton's method at the solution changes nothing, and has the gradient of the solution
    excess = _log_exp(logits - norm, t).exp().sum(dim=-1, keepdim=True) - 1
    return _log_exp(logits - (norm + excess / slope), t)


def _normalisation(logits: Tensor, t: float) -> Tensor:
    """Return the number to subtract from the logits so that the sum of tempered exponentials is 1, (batch, 1)."""
    highest = logits.max(dim=-1, keepdim=True).values
    shifted, found = logits - highest, logits - highest
    for _ in range(FIXED_POINT_STEPS):
        found = shifted * _log_exp(found, t).exp().sum(dim=-1, keepdim=True) ** (1 - t)
    total = _log_exp(found, t).exp().sum(dim=-1, keepdim=True)
    norm = -_tempered(-total.log(), t)
    for _ in range(NEWTON_STEPS):
        log_p = _log_exp(shifted - norm, t)
        step = (log_p.exp().sum(dim=-1, keepdim=True) - 1) / (t * log_p).exp().sum(dim=-1, keepdim=True)
        norm = (norm + step).clamp(min=0)
    return norm + highest


def _log_exp(values: Tensor, t: float) -> Tensor:
    """Logarithm of the tempered exponential for t > 1 and values of at most 0."""
    return ((1 - t) * values).log1p() / (1 - t)


def _tempered(log: Tensor, t: float) -> Tensor:
    """Tempered logarithm of a number, from its natural logarithm."""
    return log if t == 1 else ((1 - t) * log).expm1() / (1 - t)
