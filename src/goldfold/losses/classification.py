"""Losses for one label per image."""

from torch import Tensor
from torch.nn import functional


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of each sample, (batch,).

    Args:
        logits: (batch, classes), before softmax.
        target: (batch, classes), rows sum to one.
    """
    return -(target * functional.log_softmax(logits.float(), dim=-1)).sum(dim=-1)


def focal(logits: Tensor, target: Tensor, gamma: float = 2.0) -> Tensor:
    """Focal loss of each sample (Lin et al. 2017, eq. 5, softmax form for soft targets), (batch,).

    Args:
        logits: (batch, classes), before softmax.
        target: (batch, classes), rows sum to one.
    """
    log_p = functional.log_softmax(logits.float(), dim=-1)
    return -(target * (1 - log_p.exp()) ** gamma * log_p).sum(dim=-1)
