"""The training as its hooks see it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.base.counter import counter
from goldfold.cache.shrunk import at_size
from goldfold.engine.hooks import Context
from goldfold.engine.seeding import seeded
from goldfold.inference.predictor import Predictor
from goldfold.models.norm_layers import even
from goldfold.planning.outputs import VAL_LOSS
from goldfold.tasks.optional import has_validation_loss
from goldfold.training.learner import steps_per_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import pandas as pd
    from torch import nn

    from goldfold.cache.images import CachedImages
    from goldfold.cases import Inputs
    from goldfold.engine.loop import Learner
    from goldfold.metadata.encoder import Encoder
    from goldfold.metrics import Metric
    from goldfold.tasks.protocol import Infer, Learn
    from goldfold.training.spec import Spec


def start_hooks(
    learner: Learner,
    spec: Spec,
    n_batches: int,
    metrics: Sequence[Metric],
    learn: Learn,
    training_images: TrainingImages,
) -> None:
    """Give the hooks their context.

    Args:
        n_batches: batches per epoch.
        metrics: scores of the validation, that which the config watches first.
        training_images: training images of the fold.
    """
    loss = VAL_LOSS if has_validation_loss(learn) else None
    directions = {**({} if loss is None else {loss: False}), **{one.name: one.greater_is_better for one in metrics}}
    context = Context(
        spec.train.epochs, steps_per_epoch(spec.train, n_batches), learner.optimizer, metrics[0].name, directions, loss,
        training_images.batches, training_images.forward,
    )  # fmt: skip
    for hook in learner.hooks.values():
        hook.before_training(context)


@dataclass(frozen=True)
class TrainingImages:
    """Training images of a fold as a network sees them in prediction: at its size and without augmentation."""

    spec: Spec
    infer: Infer
    rows: pd.DataFrame
    """Training cases; pseudo-labelled ones are among them."""
    images: CachedImages
    accelerator: Any
    encoder: Encoder | None = None

    def batches(self) -> Iterator[Inputs]:
        """Yield all images, in an order drawn once per run, so that classes are mixed in each batch of a sorted list."""
        n, spec = len(self.rows), self.spec
        order = np.random.default_rng(counter(*spec.key, "statistics")).permutation(n)
        load = self._predictor(None).loader(self.rows, at_size(self.images, spec.size, spec.resize, self.rows))
        ids = self.rows["id"].to_numpy()[order]
        for chosen in even(list(ids), spec.train.batch_size):
            yield load(chosen)

    def forward(self, network: nn.Module, inputs: Inputs) -> Any:
        """Return the outputs of the network as in validation; random draws are the same each time."""
        with seeded(*self.spec.key, "statistics"), self.accelerator.autocast():
            predictor = self._predictor(network)
            return predictor.task.predict(network, inputs, predictor.views)

    def _predictor(self, network: Any) -> Predictor:
        return Predictor(network, self.infer, self.spec.resize, self.accelerator.device, encoder=self.encoder)
