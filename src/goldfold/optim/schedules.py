"""Learning-rate schedules, in units of optimizer steps.

Each is a function of (optimizer, steps, warmup_steps, parameters with defaults). Lengths within a run are shares of it, or
numbers of cycles or drops, so that a schedule is never longer than the run.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import torch

from goldfold.base.errors import ConfigError, shown
from goldfold.optim.checks import start_of_warmup, whole, within
from goldfold.optim.scaling import Schedule


class _Timm:
    def __init__(
        self, optimizer: torch.optim.Optimizer, steps: float, warmup_steps: int, warmup_start: float, **params: Any
    ) -> None:
        from timm.scheduler import create_scheduler_v2

        within("warmup_start", warmup_start, 0, 1)
        settings = {"warmup_prefix": True, **params}
        self.scheduler, _ = create_scheduler_v2(
            optimizer, num_epochs=steps, warmup_epochs=warmup_steps, updates_per_epoch=1, step_on_epochs=False,
            warmup_lr=start_of_warmup(optimizer.param_groups[0]["lr"], warmup_start), **settings,
        )  # fmt: skip

    def step(self, update: int) -> None:
        self.scheduler.step_update(update)


class _Torch:
    """A schedule of torch that computes the rate of a step from its number alone."""

    def __init__(self, scheduler: torch.optim.lr_scheduler.LRScheduler) -> None:
        self.scheduler = scheduler

    def step(self, update: int) -> None:
        if update > 0:
            self.scheduler.last_epoch = update - 1  # a run may be resumed at any step, for which torch would warn
            with warnings.catch_warnings(action="ignore"):
                self.scheduler.step()


def cosine(
    optimizer: torch.optim.Optimizer,
    steps: int,
    warmup_steps: int,
    min_lr: float = 0.0,
    warmup_start: float = 0.01,
    cycles: int = 1,
    cycle_mult: float = 1.0,
    cycle_decay: float = 1.0,
) -> Schedule:
    """Linear warm-up, then half a cosine down to ``min_lr``, in ``cycles`` with restarts (SGDR, Loshchilov & Hutter 2017).

    Args:
        warmup_start: share of lr at which the warm-up begins.
        cycles: number of cycles in the run.
        cycle_mult: length of a cycle over that of the one before it.
        cycle_decay: peak of a cycle over that of the one before it.
    """
    whole("cycles", cycles, 1)
    within("cycle_mult", cycle_mult, 0.1, 10)
    within("cycle_decay", cycle_decay, 0, 1)
    _below_peak(optimizer, min_lr, cycle_decay ** (cycles - 1))
    n = _after_warmup(steps, warmup_steps)
    first = n if cycles == 1 else n / sum(cycle_mult**number for number in range(cycles))
    params = {"cycle_limit": cycles, "cycle_mul": cycle_mult, "cycle_decay": cycle_decay}
    return _Timm(optimizer, first, warmup_steps, warmup_start, sched="cosine", min_lr=min_lr, **params)


def poly(
    optimizer: torch.optim.Optimizer,
    steps: int,
    warmup_steps: int,
    power: float = 1.0,
    min_lr: float = 0.0,
    warmup_start: float = 0.01,
) -> Schedule:
    """Linear warm-up, then polynomial decay to ``min_lr``; linear for power 1."""
    _below_peak(optimizer, min_lr)
    within("power", power, 0, 100)
    n = _after_warmup(steps, warmup_steps)
    return _Timm(optimizer, n, warmup_steps, warmup_start, sched="poly", min_lr=min_lr, decay_rate=power)


def step(
    optimizer: torch.optim.Optimizer,
    steps: int,
    warmup_steps: int,
    n_drops: int = 2,
    factor: float = 0.1,
    warmup_start: float = 0.01,
) -> Schedule:
    """Linear warm-up, then ``n_drops`` drops every steps / (n_drops + 1) steps; each multiplies the rate by ``factor``."""
    whole("n_drops", n_drops, 0)
    within("factor", factor, 0, 1)
    n = _after_warmup(steps, warmup_steps)
    every = max(1, min(steps // (n_drops + 1), (n - 1) // max(n_drops, 1)))  # so that the last drop is in the run
    after = [number * every + 1 for number in range(1, n_drops + 1)]  # timm drops a step before the milestone
    return _Timm(optimizer, n, warmup_steps, warmup_start, sched="multistep", decay_milestones=after, decay_rate=factor)


def multistep(
    optimizer: torch.optim.Optimizer,
    steps: int,
    warmup_steps: int,
    milestones: Sequence[float] = (0.5, 0.75),
    factor: float = 0.1,
    warmup_start: float = 0.01,
) -> Schedule:
    """Linear warm-up, then a drop at each of ``milestones``, which multiplies the rate by ``factor``.

    Args:
        milestones: shares of the run, warm-up included, in ascending order.
    """
    if not isinstance(milestones, Sequence) or isinstance(milestones, str) or list(milestones) != sorted(milestones):
        raise ConfigError(
            f"milestones = {shown(milestones)}: must be shares of the run in ascending order: [0.5, 0.75]"
        )
    for share in milestones:
        within("milestones", share, 0, 1)
    within("factor", factor, 0, 1)
    after = [round(share * steps) + 1 for share in milestones]  # timm drops a step before the milestone, torch at it
    n, drops = _after_warmup(steps, warmup_steps), {"decay_milestones": after, "warmup_prefix": False}
    return _Timm(optimizer, n, warmup_steps, warmup_start, sched="multistep", decay_rate=factor, **drops)


def constant(optimizer: torch.optim.Optimizer, steps: int, warmup_steps: int, warmup_start: float = 0.01) -> Schedule:
    """Linear warm-up, then a constant rate."""
    n, never = _after_warmup(steps, warmup_steps), steps + 1
    return _Timm(optimizer, n, warmup_steps, warmup_start, sched="step", decay_epochs=never, decay_rate=1.0)


def one_cycle(
    optimizer: torch.optim.Optimizer,
    steps: int,
    warmup_steps: int,
    rise: float = 0.3,
    div_factor: float = 25.0,
    final_div_factor: float = 1e4,
) -> Schedule:
    """Rise over the fraction ``rise`` of the steps, then decay to nearly 0 (Smith & Topin 2018); no other warm-up.

    These are the rates of torch's OneCycleLR with ``total_steps`` = ``steps``, of which it needs 2.

    Args:
        div_factor: the initial rate is lr / div_factor, and the last is the initial rate / final_div_factor.
    """
    within("rise", rise, 0, 1)
    within("div_factor", div_factor, 1, 1e9)
    within("final_div_factor", final_div_factor, 1, 1e9)
    n = max(2, steps)
    share = float(rise) * (1 - 1e-9 * (rise * n == 1))  # a rise of no step is 0 / 0 for torch; its limit is the peak
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, _peaks(optimizer), total_steps=n, cycle_momentum=False,
        pct_start=share, div_factor=div_factor, final_div_factor=final_div_factor,
    )  # fmt: skip
    return _Torch(scheduler)


def cyclic(
    optimizer: torch.optim.Optimizer,
    steps: int,
    warmup_steps: int,
    cycles: int = 4,
    rise: float = 0.5,
    div_factor: float = 10.0,
    cycle_decay: float = 1.0,
) -> Schedule:
    """Triangular cycles between lr / div_factor and lr (Smith 2017); no other warm-up. For cosine cycles: ``cosine``.

    Args:
        cycles: number of cycles in the run.
        rise: share of a cycle in which the rate rises.
        cycle_decay: height of a cycle over that of the one before it; 0.5 is the paper's triangular2.
    """
    whole("cycles", cycles, 1)
    within("rise", rise, 0.01, 0.99)
    within("div_factor", div_factor, 1, 1e12)
    within("cycle_decay", cycle_decay, 0, 1)
    peaks, length = _peaks(optimizer), steps / cycles
    scheduler = torch.optim.lr_scheduler.CyclicLR(
        optimizer, [peak / div_factor for peak in peaks], peaks, cycle_momentum=False,
        step_size_up=length * rise, step_size_down=length * (1 - rise),  # type: ignore[arg-type]
        scale_fn=lambda number: cycle_decay ** (number - 1),
    )  # fmt: skip
    return _Torch(scheduler)


def _below_peak(optimizer: torch.optim.Optimizer, min_lr: Any, share: float = 1.0) -> None:
    """Refuse a least rate above the peaks, of which the lowest is ``share`` times the rate of the optimizer."""
    lowest = share * max(_peaks(optimizer))
    if isinstance(min_lr, bool) or not isinstance(min_lr, int | float) or not 0 <= min_lr <= lowest:
        raise ConfigError(f"min_lr = {shown(min_lr)}: must lie between 0 and the peak of the rate, {lowest:g}")


def _peaks(optimizer: torch.optim.Optimizer) -> list[float]:
    return [group["lr"] for group in optimizer.param_groups]


def _after_warmup(steps: int, warmup_steps: int) -> int:
    return max(1, steps - warmup_steps)
