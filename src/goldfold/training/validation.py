"""Scores and loss on the validation images, in one pass through the network."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn

from goldfold.cache.shrunk import at_size
from goldfold.cases import Inputs
from goldfold.engine.memory import as_memory_allows
from goldfold.engine.seeding import seeded
from goldfold.inference.predictor import Predictor
from goldfold.planning.outputs import VAL_LOSS
from goldfold.predictions.arrays import in_order
from goldfold.samples.dataset import metadata_of, sample
from goldfold.tasks.optional import has_validation_loss
from goldfold.training import windows

if TYPE_CHECKING:
    import pandas as pd
    from accelerate import Accelerator

    from goldfold.engine.gradient import Loss
    from goldfold.engine.loop import Pause, Validate
    from goldfold.metadata.encoder import Encoder
    from goldfold.metrics import Metric
    from goldfold.tasks.protocol import Infer, Learn, Score, Target
    from goldfold.training.spec import Spec

BATCH_SIZE = 64


class Validation:
    """Callable: (network, pause) -> loss and metrics on the validation images, at the network's resolution."""

    def __init__(
        self,
        spec: Spec,
        target: Target,
        learn: Learn,
        infer: Infer,
        scores: Score,
        rows: pd.DataFrame,
        images: Any,
        metrics: Sequence[Metric],
        loss: Loss | None,
        accelerator: Accelerator,
        encoder: Encoder | None = None,
    ) -> None:
        """``loss``: the training loss, computed for batches of the training batch size; None for scores alone.

        Args:
            encoder: encoder of the metadata columns of ``rows``, if the network takes them.
        """
        self.encoder, self.metadata = encoder, None if encoder is None else encoder.encode(rows)
        self.spec, self.rows, self.images = spec, rows, at_size(images, spec.size, spec.resize, rows)
        self.learn, self.infer, self.scores = learn, infer, scores
        self.metrics, self.loss, self.accelerator = metrics, loss, accelerator
        self.targets, self.batch_size = target.targets(rows, self.images, spec.resize), BATCH_SIZE
        self.windows = windows.of_validation(spec)
        self.of_windows = windows.of_validation_images(spec, target, rows["id"], self.images, self.targets)

    def __call__(self, network: nn.Module, pause: Pause) -> dict[str, float]:
        """Return scores by name, the loss first if the task has one in evaluation mode."""

        def work(size: int) -> tuple[Any, dict[str, float]]:
            loss = self.loss if has_validation_loss(self.learn) else None
            infer: Any = self.infer if loss is None else _Losses(self, loss)
            device, autocast = self.accelerator.device, self.accelerator.autocast
            how: dict[str, Any] = {"autocast": autocast, "encoder": self.encoder, "windows": self.windows}
            predictor = Predictor(network, infer, self.spec.resize, device, **how)
            entries = predictor.entries(self.rows, self.images, size, on_batch=lambda n: pause())
            evidence = self.scores.evidence(in_order(entries), self.rows, self.targets)
            return evidence, {VAL_LOSS: infer.mean()} if isinstance(infer, _Losses) else {}

        with seeded(*self.spec.key, "validation"):
            (evidence, loss), self.batch_size = as_memory_allows(work, self.batch_size, 1, "validation")
        everything = np.arange(len(self.rows))
        return {**loss, **{metric.name: float(metric.value(evidence, everything)) for metric in self.metrics}}

    def batch(self, start: int, stop: int) -> Any:
        """Return a batch of validation images, or of their windows, with their targets, on the device."""
        if self.of_windows is not None:
            each = [self.of_windows.at(number) for number in range(start, stop)]
            return self.learn.collate([sample(one, id, target) for id, one, target in each]).to(self.accelerator.device)
        ids = self.rows["id"].iloc[start:stop]
        samples = [
            sample(self.images, id, self.targets[row], metadata=metadata_of(self.metadata, row))
            for row, id in enumerate(ids, start)
        ]
        return self.learn.collate(samples).to(self.accelerator.device)


def with_notes(validate: Validate, monitor: str, bar: Any) -> Validate:
    """Wrap validation to print the score with the step count."""

    def validate_and_note(network: nn.Module, pause: Pause) -> Any:
        scores = validate(network, pause)
        text = f"{monitor} {scores[monitor]:.4f}"
        print(f"step {bar.done}/{bar.total}: {text}", flush=True)
        bar.advance(0, note=text)
        return scores

    return validate_and_note


class _Losses:
    """Wrapper of the facet `Infer` for one pass over the validation images that also computes the loss of the outputs."""

    def __init__(self, of: Validation, loss: Loss) -> None:
        self.of, self.infer, self.loss, self.seen = of, of.infer, loss, 0
        self.sums: list[float] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.infer, name)

    def predict(self, network: nn.Module, inputs: Inputs, views: Sequence[Any]) -> dict[str, Any]:
        """Predict a batch and record its loss."""
        cached = CachedOutput(network)
        found = self.infer.predict(cached, inputs, views)
        size = self.of.spec.train.batch_size
        for start in range(0, len(inputs), size):
            cached.rows = slice(start, min(start + size, len(inputs)))
            batch = self.of.batch(self.seen + start, self.seen + cached.rows.stop)
            self.sums.append(float(self.loss(cached, batch).total) * len(batch.ids))
        self.seen += len(inputs)
        return found

    def mean(self) -> float:
        """Return the mean loss over all images; NaN without images."""
        return math.fsum(self.sums) / self.seen if self.seen else math.nan


class CachedOutput(nn.Module):
    """A network in evaluation mode that caches the output for its first inputs, and reuses it for ``rows`` of them."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.rows = network, slice(None)
        self.inputs: Inputs | None = None
        self.output: Any = None
        self.eval()

    def forward(self, inputs: Inputs, *more: Any) -> Any:
        """Return the output for a batch of cases."""
        if self.inputs is None and not more:
            self.inputs, self.output = inputs, self.network(inputs)
            return self.output
        known = isinstance(self.output, Tensor) and not more and self._known(inputs)
        return self.output[self.rows] if known else self.network(inputs, *more)

    def _known(self, inputs: Inputs) -> bool:
        """Return True if the inputs are the selected `rows` of the first ones."""
        return self.inputs is not None and self.inputs.rows(self.rows).equals(inputs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("network"), name)
