"""The training loop."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from goldfold.engine.seeding import seeded
from goldfold.runtime.errors import TrainingError


class Batch(Protocol):
    """What a task's collate makes."""

    ids: list[str]

    def to(self, device: torch.device) -> Any:
        """The batch on ``device``."""


class Batches(Protocol):
    """Batches of each epoch."""

    def __len__(self) -> int: ...
    def epoch(self, number: int) -> Iterator[Any]:
        """Batches of epoch ``number``."""


class Schedule(Protocol):
    """Sets the learning rate of each step."""

    def step(self, update: int) -> None:
        """Set the rate for step number ``update``."""


B = TypeVar("B", bound=Batch)


@dataclass
class Fit:
    """What training leaves behind: a row an epoch, and the weights of the last and of the best epoch."""

    history: list[dict[str, float]] = field(default_factory=list)
    last: dict[str, Tensor] = field(default_factory=dict)
    best: dict[str, Tensor] = field(default_factory=dict)
    best_epoch: int = -1


def fit(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], Tensor],
    optimizer: torch.optim.Optimizer,
    schedule: Schedule,
    batches: Batches,
    validate: Callable[[nn.Module], dict[str, float]],
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
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> Fit:
    """Train ``model``; every random draw is a function of ``key``, epoch and step.

    Args:
        loss: (model, batch) -> mean loss over the batch.
        validate: model -> scores; called on the averaged weights where ``ema`` is given.
        validate_every: epochs between two validations; the last is always validated. Other rows have no scores.
        monitor: the score by which the best epoch is known.
        accumulate: batches a step; an incomplete last window is stepped too.
        ema: timm's ModelEmaV3 of ``model``.
        on_step: told the number of steps done and the loss, after each step.

    Raises:
        TrainingError: the loss is not finite.
    """
    result, update = Fit(), 0
    for epoch in range(epochs):
        model.train()
        losses = []
        for window in _windows(batches.epoch(epoch), accumulate):
            schedule.step(update)
            with seeded(*key, epoch, update):
                losses.append(_backward(model, loss, window, accelerator, optimizer, update))
            if clip_norm is not None:
                accelerator.clip_grad_norm_(model.parameters(), clip_norm)
            optimizer.step()
            optimizer.zero_grad()
            update += 1
            if ema is not None:
                ema.update(accelerator.unwrap_model(model), step=update)
            on_step(update, losses[-1])
        averaged = accelerator.unwrap_model(model) if ema is None else ema.module
        is_due = (epoch + 1) % validate_every == 0 or epoch == epochs - 1
        scores = validate(averaged) if is_due else {}
        lr = optimizer.param_groups[0]["lr"]
        result.history.append({"epoch": epoch, "train_loss": math.fsum(losses) / len(losses), "lr": lr, **scores})
        if scores and _is_best(result.history, monitor, greater_is_better):
            result.best_epoch, result.best = epoch, _weights(averaged)
    result.last = _weights(averaged)
    if not result.best:  # no epoch could be scored, e.g. a validation fold of one class under roc_auc
        result.best, result.best_epoch = result.last, epochs - 1
    return result


def _backward(
    model: nn.Module,
    loss: Callable[[nn.Module, Any], Tensor],
    window: Sequence[Any],
    accelerator: Accelerator,
    optimizer: torch.optim.Optimizer,
    update: int,
) -> float:
    """Leave the gradient of the mean loss over all samples of ``window``; return that mean."""
    n, total = sum(len(batch.ids) for batch in window), 0.0
    for batch in window:
        with accelerator.autocast():
            part = loss(model, batch.to(accelerator.device)) * (len(batch.ids) / n)
        if not torch.isfinite(part):
            raise TrainingError(
                f"the loss is {part.item()} at step {update}, lr {optimizer.param_groups[0]['lr']:.3g}, ids "
                f"{', '.join(batch.ids)}. Lower train.lr, set train.clip_norm: 1.0, or look at these images."
            )
        accelerator.backward(part)
        total += part.item()
    return total


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
