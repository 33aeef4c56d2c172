"""Optimizers, learning-rate schedules and weight averaging, by timm and torch."""

from typing import Any

import torch
from torch import nn

from goldfold import components
from goldfold.optim.schedules import build_schedule

__all__ = ["average", "build_optimizer", "build_schedule"]


def build_optimizer(
    model: nn.Module, wanted: components.Written, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Any optimizer of timm, or the user's own function of (parameter groups, lr, weight_decay).

    Norms and biases get no weight decay.
    """
    from timm.optim import create_optimizer_v2, param_groups_weight_decay

    name, params = components.parse(wanted)
    if ":" in name:
        own = components.load(wanted, {}, "optimizer")
        groups = param_groups_weight_decay(model, weight_decay)
        made: torch.optim.Optimizer = own(groups, lr=lr, weight_decay=weight_decay)
        return made
    optimizer: torch.optim.Optimizer = create_optimizer_v2(model, opt=name, lr=lr, weight_decay=weight_decay, **params)
    return optimizer


def average(model: nn.Module, decay: float | None) -> Any:
    """Exponential moving average of weights and buffers (timm's ModelEmaV3, its decay warmed up), or None."""
    from timm.utils import ModelEmaV3

    return None if decay is None else ModelEmaV3(model, decay=decay, use_warmup=True, warmup_power=0.75)
