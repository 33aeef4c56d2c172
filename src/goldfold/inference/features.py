"""Predictions with the pooled features that they were made from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from goldfold.models.features import Heard, head_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.cases import Inputs
    from goldfold.inference.predictor import Predicting, Predictor
    from goldfold.inference.views import View

LARGEST = float(np.finfo(np.float16).max)


def with_features(predictor: Predictor) -> Predictor:
    """Return a predictor whose predictions also have ``features`` float16 (n, d), the mean over the views.

    A network whose last layer is not known has none, and its predictor is returned as it is.
    """
    is_known = head_of(predictor.network) is not None
    return replace(predictor, task=_WithFeatures(predictor.task)) if is_known else predictor


class _WithFeatures:
    """Facet `Infer` that also keeps the features."""

    def __init__(self, task: Predicting) -> None:
        self.task = task

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network of the task."""
        return self.task.model(network, image_size, channels, **params)

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Predict a batch, and return the features with its arrays."""
        with Heard(model) as heard:
            found = self.task.predict(model, inputs, views)
        features = heard.features(inputs).float().clamp(-LARGEST, LARGEST)
        return {**found, "features": features.cpu().numpy().astype(np.float16)}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the entries of the task, then the features."""
        listed = list(parts)
        yield from self.task.pack(table, listed, frame, resize)
        if listed:
            yield "features", np.concatenate([part["features"] for part in listed])
