"""Settings of how weights are updated, and checks that span several of them."""

import math
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from goldfold.base.errors import shown
from goldfold.catalog import SCHEDULES
from goldfold.components import name_of, parse
from goldfold.config.base import Number, Section
from goldfold.config.written import Written
from goldfold.signatures import default

CLIPPING = {"clip": "clip_norm", "clip_value": "", "agc": ""}
"""Hooks that clip the gradient, with their short forms."""
OWN_WARMUP = ("one_cycle", "cyclic")
"""Schedules that rise by themselves, instead of the warm-up."""


class LrScale(Section):
    """Factors of the learning rate by part of the network; the head is what its pretrained weights do not hold."""

    backbone: Number = Field(1.0, ge=0)
    """0: the weights of the backbone stay as they are; statistics of batch normalisation still adapt."""
    norm: Number | None = Field(None, ge=0, exclude_if=lambda value: value is None)
    """Normalisation layers of the backbone; by default the factor of the backbone."""
    head: Number = Field(1.0, gt=0)


class Warmup(Section):
    """Further settings that change linearly during the warm-up of the learning rate (`warmup_epochs`), as in YOLO's recipe."""

    momentum: Number | None = Field(None, ge=0, lt=1, exclude_if=lambda value: value is None)
    """Momentum of the first step, such as 0.8; it ends at that of the optimizer (its first beta, for Adam and the like)."""
    bias_lr: Number | None = Field(None, gt=0, exclude_if=lambda value: value is None)
    """Learning rate of biases in the first step, such as 0.1, times their factor of `lr_scale` or `layer_decay`; it ends at
    `lr`."""


def warmup_problem(warmup: Warmup | None, schedule: Written, warmup_epochs: float) -> str:
    """Problem of a warm-up of momentum or biases without a warm-up of the learning rate; empty if there is none."""
    if warmup is None:
        return ""
    if warmup == Warmup():
        return "warmup: has no effect; set momentum, bias_lr or both, or remove it"
    if (name := name_of(schedule)) in OWN_WARMUP:
        return f"warmup: schedule {name} rises by itself and has no warm-up; use another schedule, or remove warmup"
    if warmup_epochs == 0:
        return "warmup: lasts as long as the warm-up of the learning rate, and warmup_epochs is 0; set it, or remove warmup"
    return ""


def clipping_problem(hooks: Sequence[Written]) -> str:
    """Problem of hooks that clip the gradient in more than one way; empty if there is none."""
    found = [name for name in map(name_of, hooks) if name in CLIPPING]
    if len(found) < 2:
        return ""
    named = [f"{name!r}" + (f" ({CLIPPING[name]})" if CLIPPING[name] else "") for name in found]
    return f"hooks: {' and '.join(named)} both clip the gradient. Keep one"


def sam_problem(update: Written, on_oom: str) -> str:
    """Problem of SAM with a policy that changes the batch between its two passes; empty if there is none."""
    if name_of(update) != "sam" or on_oom != "shrink":
        return ""
    return (
        "update: sam needs two equal passes over a batch, which on_oom: shrink may split between them. Set on_oom: fail, and "
        "a smaller batch_size with accumulate"
    )


def schedule_problem(schedule: Written, epochs: int, warmup_epochs: float, validate_every: int) -> str:
    """Problem of a schedule or a warm-up that is longer than the run; empty if there is none."""
    name = name_of(schedule)
    is_too_long = warmup_epochs > epochs if name == "constant" else warmup_epochs >= epochs
    if is_too_long and name not in OWN_WARMUP:
        than = "at most" if name == "constant" else "less than"
        return f"warmup_epochs {warmup_epochs:g} must be {than} epochs {epochs}: set train.warmup_epochs: 0, or more epochs"
    params = parse(schedule)[1]
    if name == "step":
        return _step_problem(params.get("n_drops", default(SCHEDULES["step"], "n_drops")), epochs, warmup_epochs)
    return _plateau_problem(params, epochs, warmup_epochs, validate_every) if name == "plateau" else ""


def _step_problem(n_drops: Any, epochs: int, warmup_epochs: float) -> str:
    """Problem of a warm-up so long that the last drop of a schedule would come after the run; empty if there is none."""
    if not isinstance(n_drops, int) or n_drops < 1 or warmup_epochs * (n_drops + 1) < epochs:
        return ""
    return (
        f"schedule: step with n_drops {n_drops} drops the rate every {epochs / (n_drops + 1):.3g} epochs after the warm-up, so "
        f"with warmup_epochs {warmup_epochs:g} the last drop comes after the {epochs} epochs. Set a shorter warm-up, or use "
        f"multistep, whose milestones are shares of the whole run"
    )


def _plateau_problem(params: dict[str, Any], epochs: int, warmup_epochs: float, validate_every: int) -> str:
    """Problem of a schedule plateau that can never lower the rate."""
    patience = params.get("patience", default(SCHEDULES["plateau"], "patience"))
    if not isinstance(patience, int) or patience < 0:
        return f"schedule: patience = {shown(patience)}: must be a whole number of at least 0"
    first = max(1, math.ceil(warmup_epochs))
    n = sum(epoch % validate_every == 0 for epoch in range(first, epochs))  # those with an epoch after them
    if n >= patience + 2:
        return ""
    return (
        f"schedule: plateau with patience {patience} never lowers the rate: it needs {patience + 2} validations before the "
        f"last epoch, and epochs {epochs} with warmup_epochs {warmup_epochs:g} and validate_every {validate_every} have {n}. "
        f"Set a smaller patience, or more epochs"
    )
