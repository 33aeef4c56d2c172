"""Hooks: what happens around the steps of a training. A hook is a file here and a line in ``goldfold.catalog.HOOKS``."""

from collections.abc import Mapping
from typing import Any

from goldfold.engine.state import Training


class Hook:
    """Called at fixed points of a training; a class that derives from it writes only the methods that it needs.

    A hook that a config names is made by ``Class(network, **parameters)``, with the network on its device, in each of
    the processes that train together. What it does must depend on its arguments and its state alone: then a run that was
    killed and resumed ends with the same bytes.
    """

    def before_epoch(self, training: Training) -> None:
        """Act before the first step of an epoch, and again where a run is resumed within it."""

    def before_step(self, training: Training) -> None:
        """Act on the gradient, complete and unscaled, before the optimizer takes a step with it."""

    def after_step(self, training: Training) -> None:
        """Act after a step that changed the weights; a step that the scaler of fp16 skipped is none."""

    def after_epoch(self, training: Training, scores: Mapping[str, float]) -> None:
        """Act on the scores of an epoch, empty where it was not validated; its row of the history is written."""

    def state_dict(self) -> dict[str, Any]:
        """All that changes in training: tensors and plain builtins."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
