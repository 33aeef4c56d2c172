"""Hooks, called around the steps of a training. A hook is a file here and a line in ``goldfold.catalog.HOOKS``."""

from collections.abc import Mapping
from typing import Any

from goldfold.engine.state import Training


class Hook:
    """Base class; its methods are called at fixed points of a training, and subclasses override those they need.

    A hook named in a config is made by ``Class(network, **parameters)``, with the network on its device, in each training
    process. Its behaviour must depend on its arguments and its state alone, so that a run that was killed and resumed ends
    with the same bytes.
    """

    def before_epoch(self, training: Training) -> None:
        """Run before the first step of an epoch, and again if a run is resumed within it."""

    def before_step(self, training: Training) -> None:
        """Run before the optimizer step, when the gradient is complete and unscaled."""

    def after_step(self, training: Training) -> None:
        """Run after a step that changed the weights, so not after one skipped by the fp16 scaler."""

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Run after an epoch's row is added to the history; ``scores`` is empty if the epoch was not validated."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes during training: tensors and plain builtins."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
