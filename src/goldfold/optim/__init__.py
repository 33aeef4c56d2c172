"""Optimizers and learning-rate schedules, by timm and torch."""

import torch
from torch import nn

from goldfold import components
from goldfold.optim.schedules import build_schedule

__all__ = ["build_optimizer", "build_schedule"]


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
