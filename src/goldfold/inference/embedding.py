"""Embeddings: the pooled features of a backbone, which are the inputs of its last layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from goldfold import models
from goldfold.models.features import Heard
from goldfold.models.wrapping import Normalised

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.cases import Inputs
    from goldfold.inference.views import View

KEY = "frozen"
"""Key of the config that asks for embeddings, for messages."""


class Embedder:
    """Predicting facet, see `goldfold.inference.predictor.Predicting`, whose predictions are ``ids`` and ``features`` float32
    (n, d), the mean over the views and the images of each case."""

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network with one output, which is not used."""
        return Normalised(
            models.build(network, n_classes=1, in_channels=channels, image_size=image_size, **params), channels
        )

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Return the features of a batch."""
        with Heard(model, KEY) as heard:
            for view in views:
                model(inputs.map(view.forward))
        return {"features": heard.features(inputs).float().cpu().numpy()}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int] = (0, 0), resize: str = ""
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the entries of the file."""
        listed = [part["features"] for part in parts]
        yield "ids", table["id"].to_numpy(dtype=str)
        yield "features", np.concatenate(listed) if listed else np.zeros((0, 0), np.float32)
