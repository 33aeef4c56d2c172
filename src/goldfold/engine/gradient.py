"""The gradient of one step."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from goldfold.base.errors import TrainingError
from goldfold.engine.device import total
from goldfold.engine.memory import Batch, as_memory_allows, pieces
from goldfold.engine.seeding import same_draws, seeded


class Gradient:
    """Leaves the gradient of the mean loss over a step's samples, those of all processes together, in the network.

    What a loss draws from numpy (mixup) is drawn once a batch, so that pieces of a batch are mixed as the whole one
    would be; what it draws from torch (dropout) is drawn for each piece.
    """

    def __init__(
        self,
        model: nn.Module,
        loss: Callable[[nn.Module, Any], Tensor],
        optimizer: torch.optim.Optimizer,
        accelerator: Accelerator,
        least_micro_batch: int | None,
    ) -> None:
        """``least_micro_batch``: samples in the smallest piece a batch may be split into; None: it is never split."""
        self.model, self.loss, self.optimizer, self.accelerator = model, loss, optimizer, accelerator
        self.least = least_micro_batch
        self.process = (accelerator.process_index,) if accelerator.num_processes > 1 else ()

    def __call__(self, window: Sequence[Batch], micro_batch: int, draws: tuple[int | str, ...]) -> tuple[float, int]:
        """Mean loss, and ``micro_batch`` or what it had to be lowered to.

        Args:
            window: the batches of the step.
            micro_batch: most samples that are computed at once.
            draws: what the caller has seeded the generators with; the last is the number of the step.

        Raises:
            TrainingError: the loss is not finite.
            torch.OutOfMemoryError: the smallest pieces do not fit into memory.
        """
        whole = min(micro_batch, max(len(batch.ids) for batch in window))
        least = whole if self.least is None else self.least
        buffers = [] if self.least is None else [(buffer, buffer.clone()) for buffer in self.model.buffers()]

        def work(size: int) -> float:
            is_seeded = size == whole and not self.process
            with nullcontext() if is_seeded else seeded(*draws, *self.process):
                return self._backward(window, size, draws[-1])

        mean, size = as_memory_allows(work, whole, least, f"step {draws[-1]}", partial(self._forget, buffers))
        return mean, micro_batch if size == whole else size

    def _backward(self, window: Sequence[Batch], size: int, step: int | str) -> float:
        n, mean = total(self.accelerator, sum(len(batch.ids) for batch in window)), 0.0
        for batch in window:
            parts = pieces(batch, size)
            for part in same_draws(parts):
                is_last = batch is window[-1] and part is parts[-1]
                with nullcontext() if is_last else self.accelerator.no_sync(self.model):
                    mean += self._part(part, len(part.ids) / n, step)
        return total(self.accelerator, mean)

    def _part(self, part: Batch, share: float, step: int | str) -> float:
        with self.accelerator.autocast():
            loss = self.loss(self.model, part.to(self.accelerator.device)) * share
        if not torch.isfinite(loss):
            raise TrainingError(
                f"the loss is {loss.item()} at step {step}, lr {self.optimizer.param_groups[0]['lr']:.3g}, ids "
                f"{', '.join(part.ids)}. Lower train.lr, set train.clip_norm: 1.0, or look at these images."
            )
        self.accelerator.backward(loss * self.accelerator.num_processes)  # of which DDP takes the mean
        return loss.item()

    def _forget(self, buffers: list[tuple[Tensor, Tensor]]) -> None:
        """Undo what the first pieces of a step have left: gradients, and statistics of batch norm."""
        self.optimizer.zero_grad()
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
