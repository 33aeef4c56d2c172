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
from goldfold.engine.gradient import Gradient, Loss
from goldfold.engine.hooks import Hook
from goldfold.engine.seeding import seeded
from goldfold.engine.state import State, Training, restore, saved
from goldfold.engine.updates import Losses, Update, plain


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

    model: nn.Module
    """As the accelerator prepared it; so is the optimizer."""
    loss: Loss
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    accelerator: Accelerator
    update: Update = plain
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    """By the name under which the state of each is saved; called in this order."""
    least_micro_batch: int | None = None
    """What a batch that does not fit into memory may be split down to; None: it is not split."""

    @property
    def network(self) -> nn.Module:
        """The network that `model` may be wrapped around."""
        unwrapped: nn.Module = self.accelerator.unwrap_model(self.model)
        return unwrapped


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
    network, optimizer, hooks = learner.network, learner.optimizer, learner.hooks.values()
    gradient = Gradient(learner.model, learner.loss, optimizer, learner.accelerator, learner.least_micro_batch)
    at = Training(scored=network)
    parts = _parts(learner, at)
    if resume is not None:
        restore(parts, resume)
    for epoch in range(len(at.history), course.epochs):
        learner.model.train()
        for hook in hooks:
            hook.before_epoch(at)
        for window in _windows(batches.epoch(epoch, len(at.losses) * course.accumulate), course.accumulate):
            learner.schedule.step(at.n_updates)
            draws = (*course.key, epoch, at.step)
            with seeded(*draws):
                losses = learner.update(
                    network, partial(_computed, gradient, at, window, draws), partial(_step, learner, at)
                )
            optimizer.zero_grad()
            at.losses.append(losses)
            at.step += 1
            if not getattr(optimizer, "step_was_skipped", False):
                at.n_updates += 1
                for hook in hooks:
                    hook.after_step(at)
            pause(at.step, partial(saved, parts))
        is_due = (epoch + 1) % course.validate_every == 0 or epoch == course.epochs - 1
        scores = validate(at.scored, partial(pause, at.step, partial(saved, parts))) if is_due else {}
        at.end_epoch(optimizer.param_groups[0]["lr"], scores)
        for hook in hooks:
            hook.after_epoch(at, scores)
    return at


def _parts(learner: Learner, at: Training) -> dict[str, Stateful]:
    """All that has a state, by the name under which it is saved."""
    scaler = {} if learner.accelerator.scaler is None else {"scaler": learner.accelerator.scaler}
    hooks = {f"hook {name}": hook for name, hook in learner.hooks.items()}
    return {"fit": at, "model": learner.network, "optimizer": learner.optimizer, **scaler, **hooks}


def _computed(gradient: Gradient, at: Training, window: list[Any], draws: tuple[int | str, ...]) -> Losses:
    """Leave the gradient of a window of batches in the network."""
    losses, at.micro_batch_size = gradient(window, at.micro_batch_size, draws)
    return losses


def _step(learner: Learner, at: Training) -> None:
    """Have the optimizer take a step with the gradient."""
    for hook in learner.hooks.values():
        hook.before_step(at)
    learner.optimizer.step()  # which may draw too: kron


def _windows(batches: Iterable[B], size: int) -> Iterator[list[B]]:
    iterator = iter(batches)
    while window := list(islice(iterator, size)):
        yield window
