"""Scores and loss of the validation images, from one pass through the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from goldfold.cache.shrunk import at_size
from goldfold.engine.memory import as_memory_allows
from goldfold.engine.seeding import seeded
from goldfold.inference.predictor import Predictor
from goldfold.predictions.arrays import in_order
from goldfold.tasks.optional import has_validation_loss

if TYPE_CHECKING:
    import pandas as pd
    from accelerate import Accelerator

    from goldfold.cache.images import CachedImages
    from goldfold.engine.gradient import Loss
    from goldfold.engine.loop import Pause
    from goldfold.metrics import Metric
    from goldfold.tasks.protocol import Infer, Learn, Score, Target
    from goldfold.training.spec import Spec

BATCH_SIZE = 64
VAL_LOSS = "val_loss"


class Validation:
    """Function: (network, pause) -> its loss and the metrics on the validation images, at the network's resolution."""

    def __init__(
        self,
        spec: Spec,
        target: Target,
        learn: Learn,
        infer: Infer,
        scores: Score,
        rows: pd.DataFrame,
        images: CachedImages,
        metrics: Sequence[Metric],
        loss: Loss,
        accelerator: Accelerator,
    ) -> None:
        """``loss`` is that of training, computed for batches of the size that they have there."""
        self.spec, self.rows, self.images = spec, rows, at_size(images, spec.size, spec.resize, rows)
        self.learn, self.infer, self.scores = learn, infer, scores
        self.metrics, self.loss, self.accelerator = metrics, loss, accelerator
        self.targets, self.batch_size = target.targets(rows, self.images, spec.resize), BATCH_SIZE

    def __call__(self, network: nn.Module, pause: Pause) -> dict[str, float]:
        """Scores by name; the loss first, where the task has one in evaluation mode."""

        def work(size: int) -> tuple[Any, dict[str, float]]:
            watched: Any = _Losses(self) if has_validation_loss(self.learn) else self.infer
            device, autocast = self.accelerator.device, self.accelerator.autocast
            predictor = Predictor(network, watched, self.spec.resize, device, autocast=autocast)
            entries = predictor.entries(self.rows, self.images, size, on_batch=lambda n: pause())
            evidence = self.scores.evidence(in_order(entries), self.rows, self.targets)
            return evidence, {VAL_LOSS: watched.mean()} if isinstance(watched, _Losses) else {}

        with seeded(*self.spec.key, "validation"):
            (evidence, loss), self.batch_size = as_memory_allows(work, self.batch_size, 1, "validation")
        everything = np.arange(len(self.rows))
        return {**loss, **{metric.name: float(metric.value(evidence, everything)) for metric in self.metrics}}

    def batch(self, start: int, stop: int) -> Any:
        """Validation images with their targets, on the device."""
        ids = self.rows["id"].iloc[start:stop]
        samples = [
            {"image": self.images[id], **self.targets[row], "id": id, "weight": 1.0}
            for row, id in enumerate(ids, start)
        ]
        return self.learn.collate(samples).to(self.accelerator.device)


class _Losses:
    """The facet `Infer` for one pass over the validation images: it predicts, and notes the loss of what the network gave."""

    def __init__(self, of: Validation) -> None:
        self.of, self.infer, self.seen = of, of.infer, 0
        self.sums: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.infer, name)

    def predict(self, network: nn.Module, images: Tensor, views: Sequence[Any]) -> dict[str, Any]:
        """Predictions of a batch."""
        remembered = Remembered(network)
        found = self.infer.predict(remembered, images, views)
        size = self.of.spec.train.batch_size
        for start in range(0, len(images), size):
            remembered.rows = slice(start, min(start + size, len(images)))
            batch = self.of.batch(self.seen + start, self.seen + remembered.rows.stop)
            self.sums.append(float(self.of.loss(remembered, batch).total) * len(batch.ids))
        self.seen += len(images)
        return found

    def mean(self) -> float:
        """Mean over all images; not a number where there are none."""
        return math.fsum(self.sums) / self.seen if self.seen else math.nan


class Remembered(nn.Module):
    """A network in evaluation mode that need not compute again what it was given first, or ``rows`` of it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.rows = network, slice(None)
        self.images: Tensor | None = None
        self.output: Any = None
        self.eval()

    def forward(self, images: Tensor, *more: Any) -> Any:
        """Output for images (batch, channels, height, width)."""
        if self.images is None and not more:
            self.images, self.output = images, self.network(images)
            return self.output
        known = self._known(images) and isinstance(self.output, Tensor) and not more
        return self.output[self.rows] if known else self.network(images, *more)

    def _known(self, images: Tensor) -> bool:
        """Whether they are what `rows` of the first ones were, as uint8 or as floats."""
        if self.images is None:
            return False
        first = self.images[self.rows]
        return first.shape == images.shape and torch.equal(first.float(), images.float())

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)
