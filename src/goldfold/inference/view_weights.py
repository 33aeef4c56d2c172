"""Predictions with the weights that the network gave to the images of each case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from goldfold.predictions.view_weights import WEIGHTS

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from goldfold.cases import Inputs
    from goldfold.inference.predictor import Predicting, Predictor
    from goldfold.inference.views import View


def with_view_weights(predictor: Predictor) -> Predictor:
    """Return a predictor whose predictions also have ``view_weights`` float32 (n, images), the mean over the views.

    They are 0 for missing images and sum to 1. A network that weights no images has none, and its predictor is returned as it
    is.
    """
    layer = _weighing(predictor.network)
    return predictor if layer is None else replace(predictor, task=_WithWeights(predictor.task, layer))


def _weighing(network: nn.Module) -> nn.Module | None:
    """Return the layer of `goldfold.models.aggregation.Weights` of a network; None if it has none."""
    of_cases = getattr(network, "views", None)
    if of_cases is None:
        return None
    from goldfold.models.aggregation import Weights  # networks without layers over images do not depend on it

    return next((part for part in of_cases.modules() if isinstance(part, Weights)), None)


class _WithWeights:
    """Facet `Infer` that also keeps the weights."""

    def __init__(self, task: Predicting, layer: nn.Module) -> None:
        self.task, self.layer = task, layer

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network of the task."""
        return self.task.model(network, image_size, channels, **params)

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Predict a batch, and return the weights with its arrays."""
        recorded: list[Tensor] = []
        hook = self.layer.register_forward_hook(lambda _, inputs, weights: recorded.append(weights))
        try:
            found = self.task.predict(model, inputs, views)
        finally:
            hook.remove()
        return {**found, WEIGHTS: torch.stack(recorded).float().mean(dim=0).cpu().numpy()}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the entries of the task, then the weights."""
        listed = list(parts)
        yield from self.task.pack(table, listed, frame, resize)
        if listed:
            yield WEIGHTS, np.concatenate([part[WEIGHTS] for part in listed])
