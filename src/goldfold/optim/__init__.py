"""Optimizers and learning-rate schedules of timm and torch."""

import torch
from torch import nn

from goldfold import components
from goldfold.optim.schedules import build_schedule

__all__ = ["build_optimizer", "build_schedule"]


def build_optimizer(
    model: nn.Module, wanted: components.Written, lr: float, weight_decay: float
) -> torch.optim.Optimizer:
    """Build any optimizer of timm, or a user-defined function of (parameter groups, lr, weight_decay).

    Weight decay is not applied to norms and biases.
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
