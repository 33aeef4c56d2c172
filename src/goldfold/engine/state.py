"""State of a training: progress, history and what is saved to resume it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor, nn

from goldfold.engine.checkpoint import Stateful

State = dict[str, Any]


@dataclass
class Training:
    """Progress of a training, read by hooks; a hook that averages the weights sets ``scored``, one that ends it calls `stop`."""

    scored: nn.Module
    """Network that is validated and saved: the trained network, or an average of its weights."""
    step: int = 0
    """Number of steps done."""
    lr: float = math.nan
    """Learning rate of the last step, of parameters whose rate is not scaled."""
    n_updates: int = 0
    """Number of steps that changed the weights; the fp16 scaler skips a step whose gradient overflows."""
    losses: list[dict[str, float]] = field(default_factory=list)
    """Losses per step of the current epoch: the total as ``train_loss``, and its parts if there are several."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row per completed epoch."""
    resumed_at_step: list[int] = field(default_factory=list)
    """Step at which the run was resumed, once per resume."""
    stopped: dict[str, Any] | None = None
    """Set by `stop`; the epoch in which it is set is the last one."""

    def stop(self, by: str, why: str, on_validation: bool = False) -> None:
        """End the training with the current epoch; the first call counts.

        Args:
            by: name of the hook that calls it.
            why: reason, for the log and the report.
            on_validation: whether scores of the validation fold decided it, which biases them.
        """
        self.stopped = self.stopped or {"by": by, "why": why, "on_validation": on_validation}

    def state_dict(self) -> State:
        """Return everything except the network."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "scored"}

    def load_state_dict(self, state_dict: State) -> None:
        """Restore what `state_dict` returned, and record the resume."""
        for name, value in state_dict.items():
            setattr(self, name, value)
        self.resumed_at_step = [*self.resumed_at_step, self.step]

    def end_epoch(self, scores: Mapping[str, float]) -> None:
        """Append a row to the history: mean losses over the steps, last learning rate, scores."""
        means = {name: math.fsum(step[name] for step in self.losses) / len(self.losses) for name in self.losses[0]}
        self.history.append({"epoch": len(self.history), **means, "lr": self.lr, **scores})
        self.losses = []


def saved(parts: Mapping[str, Stateful]) -> State:
    """Return the state of all parts; random numbers are functions of counters and need no state."""
    return {name: part.state_dict() for name, part in parts.items()}


def restore(parts: Mapping[str, Stateful], state: State) -> None:
    """Restore each part to its state in ``state``, as returned by `saved`."""
    for name, part in parts.items():
        part.load_state_dict(state[name])


def base_lr(optimizer: torch.optim.Optimizer) -> float:
    """Return the learning rate of parameters whose rate is not scaled."""
    groups = optimizer.param_groups
    return unscaled([group["lr"] for group in groups], groups)


def unscaled(rates: Sequence[float], groups: Sequence[Mapping[str, Any]]) -> float:
    """Return the rate of parameters whose rate is not scaled, from the rates of the groups of parameters.

    The scale of a group may be 0, but not that of all. Biases may have a rate of their own.
    """
    ordered = sorted(zip(rates, groups, strict=True), key=lambda one: bool(one[1].get("is_bias")))
    scaled = ((rate, float(group.get("lr_scale", 1.0))) for rate, group in ordered)
    return next(float(rate / scale) for rate, scale in scaled if scale)


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all weights and buffers on the CPU."""
    return {name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}
