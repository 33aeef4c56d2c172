"""Learning-rate schedules, counted in optimizer steps."""

import warnings
from collections.abc import Callable
from typing import Any, Protocol

import torch

from goldfold.runtime.errors import unknown


class Schedule(Protocol):
    """Sets the learning rate before each step."""

    def step(self, update: int) -> None:
        """Set the rate for step ``update``, counted from 0."""


class _Timm:
    def __init__(self, optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int, **params: Any) -> None:
        from timm.scheduler import create_scheduler_v2

        self.scheduler, _ = create_scheduler_v2(
            optimizer, num_epochs=max(1, steps - warmup_steps), warmup_epochs=warmup_steps, warmup_prefix=True,
            warmup_lr=optimizer.param_groups[0]["lr"] / 100, updates_per_epoch=1, step_on_epochs=False, **params,
        )  # fmt: skip

    def step(self, update: int) -> None:
        self.scheduler.step_update(update)


class _OneCycle:
    def __init__(self, optimizer: torch.optim.Optimizer, steps: int) -> None:
        peaks = [group["lr"] for group in optimizer.param_groups]
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=peaks, total_steps=steps + 1, cycle_momentum=False
        )

    def step(self, update: int) -> None:
        if update > 0:
            self.scheduler.last_epoch = update - 1  # a run may be resumed at any step, which torch would warn of
            with warnings.catch_warnings(action="ignore"):
                self.scheduler.step()


def cosine(optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int) -> Schedule:
    """Linear warm-up, then half a cosine to zero (SGDR, Loshchilov & Hutter 2017, one cycle)."""
    return _Timm(optimizer, steps, warmup_steps, sched="cosine", min_lr=0.0)


def poly(optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int) -> Schedule:
    """Linear warm-up, then a straight line to zero."""
    return _Timm(optimizer, steps, warmup_steps, sched="poly", min_lr=0.0, decay_rate=1.0)


def step(optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int) -> Schedule:
    """Linear warm-up, then a tenth of the rate after each third of the steps."""
    return _Timm(optimizer, steps, warmup_steps, sched="step", decay_epochs=max(1, steps // 3), decay_rate=0.1)


def constant(optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int) -> Schedule:
    """Linear warm-up, then the same rate."""
    return _Timm(optimizer, steps, warmup_steps, sched="step", decay_epochs=steps + 1, decay_rate=1.0)


def one_cycle(optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int) -> Schedule:
    """Up from lr/25 over the first 30 %, down to almost nothing (Smith & Topin 2018); brings its own warm-up."""
    return _OneCycle(optimizer, steps)


SCHEDULES: dict[str, Callable[[torch.optim.Optimizer, int, int], Schedule]] = {
    "constant": constant,
    "cosine": cosine,
    "one_cycle": one_cycle,
    "poly": poly,
    "step": step,
}


def build_schedule(name: str, optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int) -> Schedule:
    """Schedule by name over ``steps`` optimizer steps, the first ``warmup_steps`` of them rising."""
    if name not in SCHEDULES:
        raise unknown("schedule", name, SCHEDULES)
    return SCHEDULES[name](optimizer, steps, warmup_steps)
