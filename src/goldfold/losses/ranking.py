"""Losses over pairs of samples."""

import torch
from torch import Tensor
from torch.nn import functional


def pairwise(scores: Tensor, target: Tensor, weight: Tensor | float = 1.0) -> Tensor:
    """Logistic loss of pairs of a positive and a negative sample (Gao & Zhou 2015, consistent with AUC), (batch,).

    The mean over the samples is, averaged over the classes with pairs, the mean over pairs of log(1 + exp(negative score -
    positive score)). Half of a pair's loss is that of its positive sample, half that of its negative one. A class with no
    positive or no negative sample in the batch has no loss. Takes memory for batch x batch x classes numbers.

    Args:
        scores: (batch, classes), at least float32.
        target: (batch, classes), 0..1; a soft target is positive and negative in these shares.
        weight: (classes,), weight of the pairs of each class.
    """
    positive, negative = target.to(scores.dtype), 1 - target.to(scores.dtype)
    losses = functional.softplus(scores.unsqueeze(0) - scores.unsqueeze(1))  # [i, j]: i positive, j negative
    pairs = losses * positive.unsqueeze(1) * negative.unsqueeze(0)
    number = positive.sum(dim=0) * negative.sum(dim=0)
    has_pairs = number > 0
    of_class = weight * (pairs.sum(dim=1) + pairs.sum(dim=0)) / torch.where(has_pairs, number, 1)
    return of_class.sum(dim=-1) * (len(scores) / 2 / has_pairs.sum().clamp(min=1))
