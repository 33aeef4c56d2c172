"""Pseudo labels of FixMatch: predicted in every step from weak views, or every few epochs for all unlabelled images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from goldfold.cache.shrunk import at_size
from goldfold.cases import Inputs
from goldfold.engine.gradient import TOTAL
from goldfold.engine.hooks import Hook
from goldfold.inference.loading import Loader
from goldfold.losses.fixmatch import pseudo_labels
from goldfold.planning.outputs import MASK_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from goldfold.cache.images import CachedImages
    from goldfold.engine.hooks import Context
    from goldfold.engine.state import Training
    from goldfold.training.spec import Spec

WEAK, STRONG, THERE, ROW = "weak", "strong", "there", "unlabeled_row"
"""Parts of a batch's targets: views of the unlabelled images, which are present, and the images' numbers."""
UNLABELED = "unlabeled"
"""Part of the loss, and stream of the random draws of the unlabelled images."""


class InEveryStep:
    """Callable: (network, targets of a batch) -> targets of the strong views and images that are used, from the weak views."""

    def __init__(self, threshold: float, temperature: float | None = None) -> None:
        self.threshold, self.temperature = threshold, temperature
        self.teacher: nn.Module | None = None
        """Network that predicts the weak views; None for the one that is trained."""

    def __call__(self, model: nn.Module, targets: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """See `goldfold.losses.fixmatch.pseudo_labels`."""
        with torch.no_grad():
            logits = (model if self.teacher is None else self.teacher)(inputs_of(targets[WEAK], targets[THERE]))
            return pseudo_labels(logits, self.threshold, self.temperature)


class Kept:
    """Callable: as `InEveryStep`, from labels of all unlabelled images that were made earlier; at first none is used."""

    def __init__(self, n: int, threshold: float, temperature: float | None = None) -> None:
        self.threshold, self.temperature = threshold, temperature
        self.labels, self.is_used = torch.zeros(n, dtype=torch.int64), torch.zeros(n)
        """Classes (n,) or, with a temperature, rows (n, classes); 1.0 for images that are used (n,)."""

    def renew(self, logits: Tensor) -> None:
        """Replace the labels; ``logits`` (n, classes)."""
        rows, self.is_used = pseudo_labels(logits, self.threshold, self.temperature)
        self.labels = rows.argmax(dim=1) if self.temperature is None else rows

    def __call__(self, model: nn.Module, targets: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the labels of a batch, classes or rows, and 1.0 for images that are used."""
        rows = targets[ROW].flatten().to(self.labels.device)
        return self.labels[rows], self.is_used[rows]


class _Logged(Hook):
    """Logs each epoch, and has the number of images in the record."""

    def __init__(self, n_images: int) -> None:
        self.n_images = n_images

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Log the epoch."""
        last = training.history[-1]
        loss, rate = last[f"{TOTAL}_{UNLABELED}"], last[MASK_RATE]
        print(f"epoch {len(training.history)}: mask rate {rate:.3f}, loss on unlabelled images {loss:.4f}", flush=True)

    def facts(self) -> dict[str, Any]:
        """Return the number of images."""
        return {"images": self.n_images}


class Teacher(_Logged):
    """Lets the averaged weights of the training predict the weak views, where the config says so."""

    def __init__(self, labels: InEveryStep, n_images: int, is_averaged: bool) -> None:
        super().__init__(n_images)
        self.labels, self.is_averaged = labels, is_averaged

    def before_epoch(self, training: Training) -> None:
        """Take the average, which a hook before this one has selected for validation."""
        self.labels.teacher = training.scored.eval() if self.is_averaged else None


class Renewal(_Logged):
    """Labels all unlabelled images, without augmentation, before epochs ``every``, 2 ``every``, ...

    The network that is validated predicts them: the average of the weights, if the training has one.
    """

    def __init__(self, labels: Kept, ids: Sequence[str], spec: Spec, images: CachedImages, every: int) -> None:
        super().__init__(len(ids))
        self.labels, self.ids, self.spec, self.images, self.every = labels, list(ids), spec, images, every
        self.last = 0
        """Epoch before which the labels were made; 0 before the first time."""

    def before_training(self, context: Context) -> None:
        """Take the function that predicts."""
        self.forward = context.forward

    def before_epoch(self, training: Training) -> None:
        """Make the labels, if they are due and this run did not make them before it was stopped."""
        epoch = len(training.history)
        if epoch == self.last or epoch % self.every:
            return
        network = training.scored
        modes, device = [(part, part.training) for part in network.modules()], next(network.parameters()).device
        network.eval()
        with torch.no_grad():
            self.labels.renew(torch.cat([self._logits(network, batch, device) for batch in self._batches()]))
        for part, was_training in modes:  # frozen batch norm was in evaluation mode
            part.training = was_training
        self.last = epoch

    def _batches(self) -> Iterator[list[str]]:
        size = self.spec.train.batch_size
        return (self.ids[start : start + size] for start in range(0, len(self.ids), size))

    def _logits(self, network: nn.Module, ids: list[str], device: torch.device) -> Tensor:
        load = Loader(at_size(self.images, self.spec.size, self.spec.resize), device)
        return torch.as_tensor(self.forward(network, load(ids))["logits"], device=device).float()

    def state_dict(self) -> dict[str, Any]:
        """Return the labels and when they were made."""
        return {"labels": self.labels.labels, "is_used": self.labels.is_used, "last": self.last}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the labels."""
        self.labels.labels, self.labels.is_used = state_dict["labels"], state_dict["is_used"]
        self.last = state_dict["last"]


def inputs_of(images: Tensor, present: Tensor) -> Inputs:
    """Cases from views (batch, mu, views, height, width, channels), channels first in shape and last in memory."""
    return Inputs(images.flatten(0, 1).permute(0, 1, 4, 2, 3), present.flatten(0, 1))
