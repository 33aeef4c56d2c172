"""Losses for one number per image. Each returns (batch,); targets are scaled to a standard deviation of about 1."""

from torch import Tensor
from torch.nn import functional


def mse(output: Tensor, target: Tensor) -> Tensor:
    """Squared error."""
    return functional.mse_loss(output.float(), target, reduction="none")


def smooth_l1(output: Tensor, target: Tensor) -> Tensor:
    """Huber loss (Huber 1964): squared up to a distance of 1 and linear beyond, so that outliers have less influence."""
    return functional.smooth_l1_loss(output.float(), target, reduction="none")


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Absolute error, minimised by the median."""
    return functional.l1_loss(output.float(), target, reduction="none")
