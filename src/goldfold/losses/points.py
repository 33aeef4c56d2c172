"""Losses for heat maps of points. Each takes logits and targets and returns one value per image, (batch,).

Arguments of all losses:
    logits: (batch, classes, height, width), before the sigmoid.
    target: same shape, 0..1: a Gaussian around each point, the largest where several overlap.
    peaks: same shape, True at the pixel that holds a point.
"""

import torch
from torch import Tensor
from torch.nn import functional

from goldfold.losses.numeric import at_least_float32, number, power


def peak_focal(logits: Tensor, target: Tensor, peaks: Tensor, alpha: float = 2.0, beta: float = 4.0) -> Tensor:
    """Penalty-reduced focal loss (Law and Deng 2018, eq. 1; Zhou et al. 2019, eq. 1), by the mean number of points of an image.

    Args:
        alpha: exponent of the distance from the right answer, by which sure pixels count less.
        beta: exponent by which pixels near a point are less of a mistake.
    """
    number("alpha", alpha, "of at least 0", lambda value: value >= 0)
    number("beta", beta, "of at least 0", lambda value: value >= 0)
    values = at_least_float32(logits)
    p, is_peak = values.sigmoid(), peaks.to(values.dtype)
    hits = is_peak * power(1 - p, alpha) * functional.logsigmoid(values)
    rest = (1 - is_peak) * power(1 - target, beta) * power(p, alpha) * functional.logsigmoid(-values)
    n_points = is_peak.sum() / max(1, len(values))
    return -(hits + rest).sum(dim=(1, 2, 3)) / n_points.clamp(min=1)


def bce(logits: Tensor, target: Tensor, peaks: Tensor, positive_weight: float = 10.0) -> Tensor:
    """Binary cross-entropy with the heat map, mean over pixels.

    Args:
        positive_weight: weight of a pixel on a point relative to one far away, as most pixels are far away.
    """
    number("positive_weight", positive_weight, "above 0", lambda value: value > 0)
    values = at_least_float32(logits)
    weight = torch.full((), positive_weight, dtype=values.dtype, device=values.device)
    found = functional.binary_cross_entropy_with_logits(
        values, target.to(values.dtype), pos_weight=weight, reduction="none"
    )
    return found.mean(dim=(1, 2, 3))


def mse(logits: Tensor, target: Tensor, peaks: Tensor) -> Tensor:
    """Squared difference of probabilities and heat map, summed over pixels, by the mean number of points of an image."""
    values = at_least_float32(logits).sigmoid()
    n_points = peaks.sum() / max(1, len(values))
    return (values - target).square().sum(dim=(1, 2, 3)) / n_points.clamp(min=1)
