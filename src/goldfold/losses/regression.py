"""Losses for one number per image. Each returns (batch,); targets are scaled to a standard deviation of about 1."""

import math

from torch import Tensor
from torch.nn import functional

from goldfold.losses.numeric import at_least_float32, number


def mse(output: Tensor, target: Tensor) -> Tensor:
    """Squared error."""
    return functional.mse_loss(*_alike(output, target), reduction="none")


def smooth_l1(output: Tensor, target: Tensor) -> Tensor:
    """Huber loss (Huber 1964): squared up to a distance of 1 and linear beyond, so that outliers have less influence."""
    return functional.smooth_l1_loss(*_alike(output, target), reduction="none")


def l1(output: Tensor, target: Tensor) -> Tensor:
    """Absolute error, minimised by the median."""
    return functional.l1_loss(*_alike(output, target), reduction="none")


def huber(output: Tensor, target: Tensor, delta: float = 1.0) -> Tensor:
    """Huber loss (Huber 1964): half the square up to a distance of ``delta``, and linear beyond."""
    number("delta", delta, "above 0", lambda value: value > 0)
    return functional.huber_loss(*_alike(output, target), reduction="none", delta=delta)


def log_cosh(output: Tensor, target: Tensor) -> Tensor:
    """Logarithm of the hyperbolic cosine of the error: a Huber loss with continuous derivatives (Green 1990)."""
    values, target = _alike(output, target)
    distance = (values - target).abs()
    return distance + functional.softplus(-2 * distance) - math.log(2)


def quantile(output: Tensor, target: Tensor, quantile: float = 0.5) -> Tensor:
    """Pinball loss (Koenker & Bassett 1978), minimised by this quantile of the target."""
    number("quantile", quantile, "above 0 and below 1", lambda value: 0 < value < 1)
    values, target = _alike(output, target)
    above = target - values
    return (quantile * above).maximum((quantile - 1) * above)


def _alike(output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return both in the same precision, at least float32."""
    output = at_least_float32(output)
    return output, target.to(output.dtype)
