"""The training loop."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

import torch
from accelerate import Accelerator
from torch import nn

from goldfold.engine.checkpoint import Stateful
from goldfold.engine.device import total
from goldfold.engine.gradient import Gradient
from goldfold.engine.hooks import Hook
from goldfold.engine.seeding import seeded
from goldfold.engine.state import State, Training, base_lr, restore, saved
from goldfold.engine.updates import Update, plain


class Batches(Protocol):
    """Batches by epoch."""

    def __len__(self) -> int: ...
    def epoch(self, number: int, start: int = 0) -> Iterator[Any]:
        """Return the batches of epoch ``number``, beginning with number ``start``."""


class Schedule(Protocol):
    """Sets the learning rate of each step."""

    def step(self, update: int) -> None:
        """Set the rate for weight update number ``update``."""


B = TypeVar("B")
Pause = Callable[[], None]
Validate = Callable[[nn.Module, Pause], Mapping[str, float]]


@dataclass(frozen=True)
class Learner:
    """Network, loss and optimizer, with all that determines its weight updates."""

    gradient: Gradient
    """Computes the gradient of the loss; holds the network."""
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    update: Update = plain
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    """Hooks by the name under which their state is saved; called in this order."""


@dataclass(frozen=True)
class Course:
    """Length, validation interval and random seed of a training."""

    epochs: int
    key: tuple[int | str, ...]
    """Seed: every random draw is a function of the key, the epoch and the step."""
    accumulate: int = 1
    """Batches per step; an incomplete last group of batches also makes a step."""
    validate_every: int = 1
    """Epochs between two validations; the last epoch is always validated. Other rows of the history have no scores."""


def fit(
    learner: Learner,
    batches: Batches,
    validate: Validate,
    course: Course,
    resume: State | None = None,
    pause: Callable[[int, Callable[[], State]], None] = lambda step, state: None,
) -> Training:
    """Train a network.

    Args:
        validate: (network, pause) -> scores; calls ``pause`` between its batches.
        resume: state passed to ``pause`` in a run with the same arguments; training resumes there.
        pause: called between steps with the number of steps done and a function that makes the state; may raise.

    Raises:
        TrainingError: the loss is not finite.
        torch.OutOfMemoryError: a step does not fit into memory.
    """
    gradient, optimizer, hooks = learner.gradient, learner.optimizer, learner.hooks.values()
    at = Training(scored=gradient.network)
    parts = _parts(learner, at)
    step, state = partial(_step, learner, at), partial(saved, parts)
    if resume is not None:
        restore(parts, resume)
    for epoch in range(len(at.history), course.epochs):
        if at.stopped is not None and not at.losses:
            break
        gradient.model.train()
        for hook in hooks:
            hook.before_epoch(at)
        for window in _windows(batches.epoch(epoch, len(at.losses) * course.accumulate), course.accumulate):
            learner.schedule.step(at.n_updates)
            draws = (*course.key, epoch, at.step)
            with seeded(*draws):
                at.losses.append(learner.update(gradient.network, partial(gradient, window, draws), step))
            optimizer.zero_grad()
            at.step, at.lr = at.step + 1, base_lr(optimizer)
            if not getattr(optimizer, "step_was_skipped", False):
                at.n_updates += 1
                for hook in hooks:
                    hook.after_step(at)
            pause(at.step, state)
        _agree(at, gradient.accelerator)
        is_last = epoch == course.epochs - 1 or at.stopped is not None
        is_due = (epoch + 1) % course.validate_every == 0 or is_last
        for hook in hooks:
            hook.after_steps(at, is_due)
        scores = validate(at.scored, partial(pause, at.step, state)) if is_due else {}
        at.end_epoch(scores)
        for hook in hooks:
            hook.after_epoch(at, scores)
        _agree(at, gradient.accelerator)
    return at


def _agree(at: Training, accelerator: Accelerator) -> None:
    """Let the first process decide for all whether the training stops: clocks of processes differ."""
    if accelerator.num_processes > 1:
        is_decided = at.stopped is not None and accelerator.is_main_process
        at.stopped = (at.stopped or {}) if total(accelerator, float(is_decided)) else None


def _parts(learner: Learner, at: Training) -> dict[str, Stateful]:
    """Return everything that has a state, by the name under which it is saved."""
    gradient, scaler = learner.gradient, learner.gradient.accelerator.scaler
    return {
        "fit": at,
        "gradient": gradient,
        "model": gradient.network,
        "optimizer": learner.optimizer,
        **{f"hook {name}": hook for name, hook in learner.hooks.items()},
        **({} if scaler is None else {"scaler": scaler}),
    }


def _step(learner: Learner, at: Training) -> None:
    """Call the hooks, then the optimizer step."""
    for hook in learner.hooks.values():
        hook.before_step(at)
    learner.optimizer.step()  # may draw random numbers too (kron)


def _windows(batches: Iterable[B], size: int) -> Iterator[list[B]]:
    iterator = iter(batches)
    while window := list(islice(iterator, size)):
        yield window
