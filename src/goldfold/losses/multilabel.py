"""Losses for several labels per image. Each returns one value per sample, the mean over the classes."""

from torch import Tensor
from torch.nn import functional


def bce(logits: Tensor, target: Tensor, positive_weight: Tensor) -> Tensor:
    """Binary cross-entropy of each class, mean over the classes, (batch,).

    Args:
        logits: (batch, classes), before the sigmoid.
        target: (batch, classes), 0..1.
        positive_weight: (classes,), weight of positive images, relative to 1 for negative ones.
    """
    return functional.binary_cross_entropy_with_logits(
        logits.float(), target, pos_weight=positive_weight, reduction="none"
    ).mean(dim=1)


def focal(logits: Tensor, target: Tensor, positive_weight: Tensor, gamma: float = 2.0) -> Tensor:
    """Focal loss (Lin et al. 2017, eq. 4, for soft targets) of each class, mean over the classes, (batch,).

    Args: as in `bce`.
    """
    logits = logits.float()
    p = logits.sigmoid()
    positive = positive_weight * target * (1 - p) ** gamma * functional.logsigmoid(logits)
    negative = (1 - target) * p**gamma * functional.logsigmoid(-logits)
    return -(positive + negative).mean(dim=1)
