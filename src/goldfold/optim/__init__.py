"""Optimizers and learning-rate schedules of timm and torch."""

from collections.abc import Mapping

import torch
from torch import nn

from goldfold import components
from goldfold.optim.checks import check_length
from goldfold.optim.freezing import NEVER, Freeze
from goldfold.optim.groups import parameter_groups
from goldfold.optim.scaling import build_schedule

__all__ = ["build_optimizer", "build_schedule", "check_length"]


def build_optimizer(
    model: nn.Module,
    wanted: components.Written,
    lr: float,
    weight_decay: float,
    layer_decay: float | None = None,
    lr_scale: Mapping[str, float] | None = None,
    freeze: Freeze = (),
    biases: bool = False,
) -> torch.optim.Optimizer:
    """Build any optimizer of timm, or a user-defined function of (parameter groups, lr, weight_decay).

    See `parameter_groups` for which parameters decay and how ``layer_decay`` and ``lr_scale`` scale the rate. Parameters whose
    rate is scaled by 0, or which ``freeze`` never trains, get no gradient, so that clipping and SAM measure that of the others
    alone; those that are trained later are frozen by `goldfold.engine.hooks.freezing.Freezing`. With ``biases`` these are groups
    of their own, for `goldfold.engine.hooks.warmup.Warmup`.
    """
    from timm.optim import create_optimizer_v2

    name, params = components.parse(wanted)
    groups = parameter_groups(model, weight_decay, layer_decay, lr_scale, freeze, biases)
    if ":" in name:
        own = components.load(wanted, {}, "optimizer")
        optimizer: torch.optim.Optimizer = own(groups, lr=lr, weight_decay=weight_decay)
    else:
        # what timm makes of a network: each group has its own weight decay, and the optimizer's default is 0
        optimizer = create_optimizer_v2(groups, opt=name, lr=lr, weight_decay=0.0, **params)
    for group in groups:
        if group.get("lr_scale") == 0 or group.get("trained_from") == NEVER:
            for value in group["params"]:
                value.requires_grad_(False)
    return optimizer
