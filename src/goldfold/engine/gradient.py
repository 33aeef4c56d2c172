"""Gradient of one training step."""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from goldfold.base.errors import TrainingError
from goldfold.engine.device import total, totals
from goldfold.engine.memory import Batch, as_memory_allows, pieces
from goldfold.engine.seeding import same_draws, seeded
from goldfold.engine.state import base_lr

TOTAL = "train_loss"
"""Name of the total loss in the history; parts are named ``train_loss_<part>``."""


class Parts(Protocol):
    """Result of a loss, see `goldfold.losses.Losses`."""

    @property
    def total(self) -> Tensor:
        """Scalar mean over the samples."""

    @property
    def parts(self) -> Mapping[str, Tensor]:
        """Scalars by name, which sum to the total."""

    @property
    def rates(self) -> Mapping[str, Tensor]:
        """Further scalars by name, for the history alone."""


Loss = Callable[[nn.Module, Any], Parts]
"""(model, batch) -> losses."""


class Gradient:
    """Computes the gradient of the mean loss over a step's samples in all processes, and leaves it in the network.

    Random numbers that a loss draws from numpy are the same for all pieces of a batch; those drawn from torch (dropout) are
    drawn per piece.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        optimizer: torch.optim.Optimizer,
        accelerator: Accelerator,
        least_micro_batch: int | None = None,
    ) -> None:
        """Set up for a model and an optimizer that ``accelerator`` has prepared.

        Args:
            least_micro_batch: fewest samples in a piece when a batch is split for lack of memory; None: never split.
        """
        self.model, self.loss, self.optimizer, self.accelerator = model, loss, optimizer, accelerator
        self.network: nn.Module = accelerator.unwrap_model(model)
        self.least = least_micro_batch
        self.micro_batch_size = sys.maxsize
        """Maximum number of samples computed at once."""
        self.process = (accelerator.process_index,) if accelerator.num_processes > 1 else ()
        self.names: list[str] | None = None
        """Names of the total and the parts of the loss."""
        self.draws: tuple[int | str, ...] = ()
        """Seed of the last call."""
        self.means: dict[str, float] = {}
        """Result of the last call."""

    def __call__(self, window: Sequence[Batch], draws: tuple[int | str, ...]) -> dict[str, float]:
        """Return the mean loss and its parts.

        A second call for the same step draws the same random numbers as the first, and leaves buffers (statistics of batch
        normalisation) as the first did. It computes nothing if fp16 made the first gradient overflow: the step is skipped.

        Args:
            window: batches of the step.
            draws: seed that the caller has set the generators to; its last entry is the step number.

        Raises:
            TrainingError: the loss is not finite, or its parts differ from those of the first batch.
            torch.OutOfMemoryError: the smallest pieces do not fit into memory.
        """
        is_again, self.draws = draws == self.draws, draws
        if is_again and self._has_overflowed():
            return self.means
        whole = min(self.micro_batch_size, max(len(batch.ids) for batch in window))
        least = whole if self.least is None else self.least
        kept = is_again or self.least is not None
        buffers = [(buffer, buffer.clone()) for buffer in self.model.buffers()] if kept else []
        self.optimizer.zero_grad()

        def work(size: int) -> dict[str, float]:
            is_seeded = size == whole and not self.process and not is_again
            with nullcontext() if is_seeded else seeded(*draws, *self.process):
                return self._backward(window, size, draws[-1])

        self.means, size = as_memory_allows(work, whole, least, f"step {draws[-1]}", partial(self._forget, buffers))
        self.micro_batch_size = self.micro_batch_size if size == whole else size
        if is_again:
            _restore(buffers)
        self._unscale(is_again)
        return self.means

    def state_dict(self) -> dict[str, Any]:
        """Return the micro batch size that fits into memory."""
        return {"micro_batch_size": self.micro_batch_size}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the micro batch size."""
        self.micro_batch_size = state_dict["micro_batch_size"]

    def _backward(self, window: Sequence[Batch], size: int, step: int | str) -> dict[str, float]:
        n, means = total(self.accelerator, sum(len(batch.ids) for batch in window)), dict[str, float]()
        for batch in window:
            parts = pieces(batch, size)
            for part in same_draws(parts):
                is_last = batch is window[-1] and part is parts[-1]
                with nullcontext() if is_last else self.accelerator.no_sync(self.model):
                    for name, value in self._part(part, len(part.ids) / n, step).items():
                        means[name] = means.get(name, 0.0) + value
        return dict(zip(means, totals(self.accelerator, list(means.values())), strict=True))

    def _part(self, part: Batch, share: float, step: int | str) -> dict[str, float]:
        with self.accelerator.autocast():
            losses = self.loss(self.model, part.to(self.accelerator.device))
            if isinstance(losses, Tensor):
                raise TrainingError(
                    "the task's loss returns a tensor; return goldfold.losses.Losses(total=...) instead."
                )
            loss = losses.total * share
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {step}, lr {base_lr(self.optimizer):.3g}, ids "
                f"{', '.join(part.ids)}. Lower train.lr, set train.clip_norm: 1.0, or inspect these images."
            )
        self.accelerator.backward(loss * self.accelerator.num_processes)  # DDP averages over the processes
        beside = *losses.parts.values(), *losses.rates.values()
        values = torch.stack([loss.detach().double(), *(part.detach().double() * share for part in beside)])
        return dict(zip(self._names(losses), values.tolist(), strict=True))

    def _names(self, losses: Parts) -> list[str]:
        """Return the history columns, which must be the same for every batch."""
        names = [TOTAL, *(f"{TOTAL}_{name}" for name in losses.parts), *losses.rates]
        self.names = self.names or names
        if names != self.names:
            raise TrainingError(
                f"the parts of the loss were {', '.join(self.names[1:]) or 'none'}, but are {', '.join(names[1:]) or 'none'} "
                f"for another batch. Return the same parts in the same order, 0 where a part does not apply."
            )
        return names

    def _unscale(self, is_again: bool) -> None:
        """Undo the fp16 loss scaling, so that hooks and update rules see the true gradient."""
        scaler = self.accelerator.scaler
        if scaler is None:
            return
        if is_again:  # torch's scaler unscales once between two updates: make one that leaves the scale alone
            state = scaler.state_dict()
            scaler.update()
            scaler.load_state_dict(state)
        scaler.unscale_(getattr(self.optimizer, "optimizer", self.optimizer))

    def _has_overflowed(self) -> bool:
        """Return True if the gradient in the network is not finite, which the fp16 scaler answers by skipping the step."""
        if self.accelerator.scaler is None:
            return False
        finite = [value.grad.isfinite().all() for value in self.network.parameters() if value.grad is not None]
        return not bool(torch.stack(finite).all())

    def _forget(self, buffers: list[tuple[Tensor, Tensor]]) -> None:
        """Undo a failed attempt: clear the gradients and restore the batch norm statistics."""
        self.optimizer.zero_grad()
        _restore(buffers)


def _restore(buffers: list[tuple[Tensor, Tensor]]) -> None:
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
