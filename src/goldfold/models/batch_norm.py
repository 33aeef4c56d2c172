"""Adaptive batch normalisation: statistics of the predicted images replace those of training.

Li et al., Revisiting Batch Normalization For Practical Domain Adaptation, 2016 (https://arxiv.org/abs/1603.04779).
"""

from collections.abc import Callable, Sequence
from copy import deepcopy

import torch
from torch import nn

from goldfold.cases import Inputs
from goldfold.models.norm_layers import even, layers

FEWEST = 32
"""Minimum number of images for statistics; fewer would give noise."""


class Adapter:
    """Replaces the batch norm statistics of a network by those of some images, or restores those of training.

    Args:
        model: a trained network; only its statistics change.
        forward: runs the network on a batch of cases.
    """

    def __init__(self, model: nn.Module, forward: Callable[[Inputs], object]) -> None:
        self._model = model
        self._forward = forward
        self._layers = layers(model)
        self._trained = [deepcopy(layer.state_dict()) for layer in self._layers]

    def adapt(self, ids: Sequence[str], batches: Callable[[Sequence[str]], Inputs], batch_size: int) -> bool:
        """Use the statistics of these images, averaged over batches of similar size; those of training if too few.

        Args:
            batches: ids -> cases on the network's device.

        Returns:
            True if the network now has the statistics of the images.
        """
        self._restore()
        if len(ids) < FEWEST or not self._layers:
            return False
        self._model.eval()
        momenta = [layer.momentum for layer in self._layers]
        for layer in self._layers:
            layer.reset_running_stats()
            layer.momentum = None  # cumulative mean over all batches
            layer.train()
        with torch.no_grad():
            for chosen in even(ids, batch_size):
                self._forward(batches(chosen))
        for layer, momentum in zip(self._layers, momenta, strict=True):
            layer.momentum = momentum
        self._model.eval()
        return True

    def _restore(self) -> None:
        for layer, trained in zip(self._layers, self._trained, strict=True):
            layer.load_state_dict(trained)
