"""Arithmetic and checks that the losses share."""

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from goldfold.base.errors import ConfigError


def at_least_float32(values: Tensor) -> Tensor:
    """Convert half-precision values to float32; float64 is kept."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def by_device(values: Tensor) -> Callable[[torch.device], Tensor]:
    """Return a function that copies constant values to a device, once."""

    @cache
    def on(device: torch.device) -> Tensor:
        with torch.inference_mode(False):  # the first call may be in validation, later ones need a gradient
            return values.to(device)

    return on


def power(values: Tensor, exponent: float) -> Tensor:
    """Raise values up to 1 to a power of at least 0; negative ones count as 0, where the gradient is 0, not infinite."""
    return values.clamp(min=torch.finfo(values.dtype).tiny) ** exponent


def focal_terms(logits: Tensor, target: Tensor, positive_weight: Tensor | float, gamma: float) -> Tensor:
    """Binary focal loss (Lin et al. 2017, eq. 4, for soft targets) of each output, with the shape of ``logits``.

    Args:
        logits: before the sigmoid, at least float32.
        target: 0..1, same shape.
        positive_weight: weight of positive targets, relative to 1 for negative ones.
    """
    p = logits.sigmoid()
    positive = positive_weight * target * power(1 - p, gamma) * functional.logsigmoid(logits)
    negative = (1 - target) * power(p, gamma) * functional.logsigmoid(-logits)
    return -(positive + negative)


def asymmetric_terms(logits: Tensor, target: Tensor, gamma_neg: float, gamma_pos: float, clip: float) -> Tensor:
    """Asymmetric loss (Ridnik et al. 2021, for soft targets) of each output; arguments as in `focal_terms`.

    Args:
        clip: probability below which a negative target has no loss, and which is subtracted above.
    """
    number("gamma_neg", gamma_neg, "of at least 0", lambda value: value >= 0)
    number("gamma_pos", gamma_pos, "of at least 0", lambda value: value >= 0)
    number("clip", clip, "of at least 0 and below 1", lambda value: 0 <= value < 1)
    p = logits.sigmoid()
    positive = target * power(1 - p, gamma_pos) * functional.logsigmoid(logits)
    rest = functional.logsigmoid(-logits) if clip == 0 else (logits.neg().sigmoid() + clip).clamp(max=1).log()
    return -(positive + (1 - target) * power(p - clip, gamma_neg) * rest)


def number(name: str, value: object, range: str, fits: Callable[[float], bool]) -> None:
    """Check a parameter of a loss.

    Args:
        range: description of the allowed numbers, such as ``of at least 0``.

    Raises:
        ConfigError: it is not a number, or out of range.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and fits(value)):
        raise ConfigError(f"{name} = {value!r}: must be a number {range}")


def gamma_fits(gamma: object) -> None:
    """Check the exponent of a focal loss.

    Raises:
        ConfigError: it is not a number, or negative.
    """
    number("gamma", gamma, "of at least 0", lambda value: value >= 0)
