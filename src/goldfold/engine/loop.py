"""The training loop."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

import torch
from torch import nn

from goldfold.engine.checkpoint import Stateful
from goldfold.engine.gradient import Gradient
from goldfold.engine.hooks import Hook
from goldfold.engine.seeding import seeded
from goldfold.engine.state import State, Training, restore, saved
from goldfold.engine.updates import Update, plain


class Batches(Protocol):
    """Batches of each epoch."""

    def __len__(self) -> int: ...
    def epoch(self, number: int, start: int = 0) -> Iterator[Any]:
        """Batches of epoch ``number`` from the one numbered ``start`` on."""


class Schedule(Protocol):
    """Sets the learning rate of each step."""

    def step(self, update: int) -> None:
        """Set the rate for update number ``update`` of the weights."""


B = TypeVar("B")
Pause = Callable[[], None]
Validate = Callable[[nn.Module, Pause], Mapping[str, float]]


@dataclass(frozen=True)
class Learner:
    """What is trained, and how its weights move."""

    gradient: Gradient
    """Of the loss of a network."""
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    update: Update = plain
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    """By the name under which the state of each is saved; called in this order."""


@dataclass(frozen=True)
class Course:
    """How long training goes on, and what is random in it."""

    epochs: int
    key: tuple[int | str, ...]
    """Every random draw is a function of it, the epoch and the step."""
    accumulate: int = 1
    """Batches per step; an incomplete last window is stepped too."""
    validate_every: int = 1
    """Epochs between two validations; the last is always validated. Other rows of the history have no scores."""


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
        validate: (network, pause) -> scores; it calls ``pause`` between its batches.
        resume: a state that ``pause`` was given in a run with the same arguments; training goes on from there.
        pause: called between two pieces of work with the number of steps done and what makes the state; may raise.

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
        gradient.model.train()
        for hook in hooks:
            hook.before_epoch(at)
        for window in _windows(batches.epoch(epoch, len(at.losses) * course.accumulate), course.accumulate):
            learner.schedule.step(at.n_updates)
            draws = (*course.key, epoch, at.step)
            with seeded(*draws):
                at.losses.append(learner.update(gradient.network, partial(gradient, window, draws), step))
            optimizer.zero_grad()
            at.step += 1
            if not getattr(optimizer, "step_was_skipped", False):
                at.n_updates += 1
                for hook in hooks:
                    hook.after_step(at)
            pause(at.step, state)
        is_due = (epoch + 1) % course.validate_every == 0 or epoch == course.epochs - 1
        scores = validate(at.scored, partial(pause, at.step, state)) if is_due else {}
        at.end_epoch(optimizer.param_groups[0]["lr"], scores)
        for hook in hooks:
            hook.after_epoch(at, scores)
    return at


def _parts(learner: Learner, at: Training) -> dict[str, Stateful]:
    """All that has a state, by the name under which it is saved."""
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
    """Have the optimizer take a step with the gradient."""
    for hook in learner.hooks.values():
        hook.before_step(at)
    learner.optimizer.step()  # which may draw too: kron


def _windows(batches: Iterable[B], size: int) -> Iterator[list[B]]:
    iterator = iter(batches)
    while window := list(islice(iterator, size)):
        yield window
