"""Learning-rate schedules, in units of optimizer steps."""

import warnings
from typing import Any, Protocol

import torch

from goldfold import components
from goldfold.catalog import SCHEDULES


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
    def __init__(self, optimizer: torch.optim.Optimizer, steps: int, **params: Any) -> None:
        peaks = [group["lr"] for group in optimizer.param_groups]
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=peaks, total_steps=steps + 1, cycle_momentum=False, **params
        )

    def step(self, update: int) -> None:
        if update > 0:
            self.scheduler.last_epoch = update - 1  # a run may be resumed at any step, for which torch would warn
            with warnings.catch_warnings(action="ignore"):
                self.scheduler.step()


def cosine(optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int, min_lr: float = 0.0) -> Schedule:
    """Linear warm-up, then half a cosine down to ``min_lr`` (SGDR, Loshchilov & Hutter 2017, one cycle)."""
    return _Timm(optimizer, steps, warmup_steps, sched="cosine", min_lr=min_lr)


def poly(
    optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int, power: float = 1.0, min_lr: float = 0.0
) -> Schedule:
    """Linear warm-up, then polynomial decay to ``min_lr``; linear for power 1."""
    return _Timm(optimizer, steps, warmup_steps, sched="poly", min_lr=min_lr, decay_rate=power)


def step(
    optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int, n_drops: int = 2, factor: float = 0.1
) -> Schedule:
    """Linear warm-up, then ``n_drops`` evenly spaced drops; each multiplies the rate by ``factor``."""
    return _Timm(optimizer, steps, warmup_steps, sched="step", decay_epochs=max(1, steps // (n_drops + 1)),
                 decay_rate=factor)  # fmt: skip


def constant(optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int) -> Schedule:
    """Linear warm-up, then a constant rate."""
    return _Timm(optimizer, steps, warmup_steps, sched="step", decay_epochs=steps + 1, decay_rate=1.0)


def one_cycle(
    optimizer: torch.optim.Optimizer,
    steps: int,
    warmup_steps: int,
    rise: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Rise over the fraction ``rise`` of the steps, then decay to nearly 0 (Smith & Topin 2018); no other warm-up.

    Args:
        div_factor: the initial rate is lr / div_factor, and the last is the initial rate / final_div_factor.
    """
    return _OneCycle(optimizer, steps, pct_start=rise, div_factor=div_factor, final_div_factor=final_div_factor)


def build_schedule(
    wanted: components.Written, optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int
) -> Schedule:
    """Build the schedule of a config over ``steps`` optimizer steps, including ``warmup_steps``."""
    schedule: Schedule = components.load(wanted, SCHEDULES, "schedule")(optimizer, steps, warmup_steps)
    return schedule
