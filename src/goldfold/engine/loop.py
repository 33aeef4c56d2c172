"""The training loop."""

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from goldfold.engine.checkpoint import Stateful
from goldfold.engine.gradient import Gradient
from goldfold.engine.seeding import seeded


class Batches(Protocol):
    """Batches of each epoch."""

    def __len__(self) -> int: ...
    def epoch(self, number: int, start: int = 0) -> Iterator[Any]:
        """Batches of epoch ``number`` from the one numbered ``start`` on."""


class Schedule(Protocol):
    """Sets the learning rate of each step."""

    def step(self, update: int) -> None:
        """Set the rate for step number ``update``."""


B = TypeVar("B")
State = dict[str, Any]
Pause = Callable[[], None]


@dataclass
class Fit:
    """How far training is, and what it leaves behind: a row an epoch, the weights of the last and of the best epoch."""

    step: int = 0
    losses: list[float] = field(default_factory=list)
    """Of the steps of the running epoch."""
    history: list[dict[str, float]] = field(default_factory=list)
    last: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = -1
    micro_batch_size: int = sys.maxsize
    """Most samples that are computed at once."""
    resumed_at_step: list[int] = field(default_factory=list)


def fit(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], Tensor],
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    batches: Batches,
    validate: Callable[[nn.Module, Pause], dict[str, float]],
    *,
    accelerator: Accelerator,
    epochs: int,
    key: tuple[int | str, ...],
    monitor: str,
    greater_is_better: bool,
    validate_every: int = 1,
    accumulate: int = 1,
    clip_norm: float | None = None,
    ema: Any = None,
    least_micro_batch: int | None = None,
    resume: State | None = None,
    pause: Callable[[int, Callable[[], State]], None] = lambda step, state: None,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> Fit:
    """Train ``model``; every random draw is a function of ``key``, epoch and step.

    Args:
        loss: (model, batch) -> mean loss over the batch.
        validate: (model, pause) -> scores; called on the averaged weights where ``ema`` is given. It calls ``pause``
            between its batches.
        validate_every: epochs between two validations; the last is always validated. Other rows have no scores.
        monitor: the score by which the best epoch is known.
        accumulate: batches a step; an incomplete last window is stepped too.
        ema: timm's ModelEmaV3 of ``model``.
        least_micro_batch: what a batch that does not fit into memory may be split down to; None: it is not split.
        resume: a state that ``pause`` was given in a run with the same arguments; training goes on from there.
        pause: called between two pieces of work with the number of steps done and what makes the state; may raise.
        on_step: told the number of steps done and the loss, after each step.

    Raises:
        TrainingError: the loss is not finite.
        torch.OutOfMemoryError: a step does not fit into memory.
    """
    parts = {"model": accelerator.unwrap_model(model), "optimizer": optimizer, "ema": ema, "scaler": accelerator.scaler}
    at = Fit() if resume is None else _restored(resume, parts)
    gradient = Gradient(model, loss, optimizer, accelerator, least_micro_batch)
    for epoch in range(len(at.history), epochs):
        model.train()
        for window in _windows(batches.epoch(epoch, len(at.losses) * accumulate), accumulate):
            schedule.step(at.step)
            draws = (*key, epoch, at.step)
            with seeded(*draws):
                mean, at.micro_batch_size = gradient(window, at.micro_batch_size, draws)
                if clip_norm is not None:
                    accelerator.clip_grad_norm_(model.parameters(), clip_norm)
                optimizer.step()  # which may draw too: kron
            optimizer.zero_grad()
            at.losses.append(mean)
            at.step += 1
            if ema is not None:
                ema.update(parts["model"], step=at.step)
            on_step(at.step, mean)
            pause(at.step, partial(_state, at, parts))
        averaged = parts["model"] if ema is None else ema.module
        is_due = (epoch + 1) % validate_every == 0 or epoch == epochs - 1
        scores = validate(averaged, partial(pause, at.step, partial(_state, at, parts))) if is_due else {}
        lr, train_loss = optimizer.param_groups[0]["lr"], math.fsum(at.losses) / len(at.losses)
        at.history.append({"epoch": epoch, "train_loss": train_loss, "lr": lr, **scores})
        at.losses = []
        if scores and _is_best(at.history, monitor, greater_is_better):
            at.best_epoch, at.best = epoch, _weights(averaged)
    at.last = _weights(averaged)
    if not at.best:  # no epoch could be scored, e.g. a validation fold of one class under roc_auc
        at.best, at.best_epoch = at.last, epochs - 1
    return at


def _state(at: Fit, parts: dict[str, Stateful | None]) -> State:
    """All that training goes on from; whatever is random is a function of counters, and needs no state."""
    return {"fit": dict(vars(at)), **{name: part.state_dict() for name, part in parts.items() if part is not None}}


def _restored(state: State, parts: dict[str, Stateful | None]) -> Fit:
    for name, part in parts.items():
        if part is not None:
            part.load_state_dict(state[name])
    at = Fit(**state["fit"])
    at.resumed_at_step.append(at.step)
    return at


def _windows(batches: Iterable[B], size: int) -> Iterator[list[B]]:
    iterator = iter(batches)
    while window := list(islice(iterator, size)):
        yield window


def _is_best(history: list[dict[str, float]], monitor: str, greater_is_better: bool) -> bool:
    """Whether the last epoch beats every one before it; a score that is not a number beats nothing."""
    scores = [row[monitor] for row in history if monitor in row]
    *before, last = (score if greater_is_better else -score for score in scores)
    return math.isfinite(last) and all(last > score for score in before if math.isfinite(score))


def _weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone().contiguous() for name, value in model.state_dict().items()}
