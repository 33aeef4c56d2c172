"""Hooks, called around the steps of a training. A hook is a file here and a line in ``goldfold.catalog.HOOKS``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from goldfold.engine.state import Training


@dataclass(frozen=True)
class Context:
    """A training as its hooks may need it, given to `Hook.before_training`."""

    epochs: int
    """Planned number of epochs."""
    steps_per_epoch: int
    optimizer: torch.optim.Optimizer
    """Its learning rates are set by the schedule before each step; a hook may change them in `Hook.before_step`."""
    metric: str
    """Score of `Hook.after_epoch` that the config watches."""
    directions: Mapping[str, bool]
    """Scores of `Hook.after_epoch` by name, each with whether a larger value is better."""
    loss: str | None
    """Name of the validation loss among the scores; None if the task has none."""
    training_batches: Callable[[], Iterator[Any]]
    """All training images as inputs of the network on its device: without augmentation, in an order that never changes, and
    never one alone in a batch. The same in each process."""
    forward: Callable[[nn.Module, Any], Any]
    """(network, inputs) -> outputs, as in prediction; a network in training mode updates its batch norm statistics."""

    @property
    def greater_is_better(self) -> bool:
        """Whether a larger value of the metric is better."""
        return self.directions[self.metric]


class Hook:
    """Base class; its methods are called at fixed points of a training, and subclasses override those they need.

    A hook named in a config is made by ``Class(network, **parameters)``, with the network on its device, in each training
    process. Its behaviour must depend on its arguments and its state alone, so that a run that was killed and resumed ends
    with the same bytes.
    """

    def before_training(self, context: Context) -> None:
        """Run once per process, before the first epoch and before `load_state_dict`."""

    def before_epoch(self, training: Training) -> None:
        """Run before the first step of an epoch, and again if a run is resumed within it."""

    def before_step(self, training: Training) -> None:
        """Run before the optimizer step, when the gradient is complete and unscaled."""

    def after_step(self, training: Training) -> None:
        """Run after a step that changed the weights, so not after one skipped by the fp16 scaler."""

    def after_steps(self, training: Training, is_validated: bool) -> None:
        """Run after the last step of an epoch, and again if a run is resumed in the validation that may follow.

        Args:
            is_validated: whether ``training.scored`` will now be validated; always true in the last epoch.
        """

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Run after an epoch's row is added to the history; ``scores`` is empty if the epoch was not validated."""

    def facts(self) -> Mapping[str, Any] | Sequence[Any]:
        """Return facts for the run's record, plain builtins, after the last epoch; the record has them by the hook's name."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes during training: tensors and plain builtins."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
