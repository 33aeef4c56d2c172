"""Losses for one of several ordered classes per image.

Arguments and results as in `goldfold.losses.classification`; the classes are in order.
"""

import torch
from torch import Tensor
from torch.nn import functional

from goldfold.losses.numeric import at_least_float32


def cumulative(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of P(class > k), mean over the K - 1 places k between classes (Frank & Hall 2001, Cao et al. 2020)."""
    log_p = functional.log_softmax(at_least_float32(logits), dim=-1)
    terms = []
    for place in range(1, log_p.shape[-1]):
        above = target[..., place:].sum(dim=-1)
        log_above, log_below = log_p[..., place:].logsumexp(dim=-1), log_p[..., :place].logsumexp(dim=-1)
        terms.append(above * log_above + (1 - above) * log_below)
    return -torch.stack(terms).mean(dim=0)


def earth_mover(logits: Tensor, target: Tensor) -> Tensor:
    """Squared distance between the cumulative distributions of prediction and target, mean over the K - 1 places.

    The squared earth mover's distance (Hou et al. 2016), or ranked probability score: it grows with the distance between classes.
    """
    apart = functional.softmax(at_least_float32(logits), dim=-1) - target
    places = range(1, apart.shape[-1])
    return torch.stack([apart[..., place:].sum(dim=-1).square() for place in places]).mean(dim=0)
