"""Losses for one number an image. Each gives one value a sample, (batch,); numbers are scaled to a spread of about 1."""

from torch import Tensor
from torch.nn import functional


def mse(output: Tensor, target: Tensor) -> Tensor:
    """Squared error."""
    return functional.mse_loss(output.float(), target, reduction="none")


def smooth_l1(output: Tensor, target: Tensor) -> Tensor:
    """Huber's loss (Huber 1964): squared up to a distance of 1, linear beyond, so that wild targets pull less."""
    return functional.smooth_l1_loss(output.float(), target, reduction="none")


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Absolute error: aims at the median."""
    return functional.l1_loss(output.float(), target, reduction="none")
