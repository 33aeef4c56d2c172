"""Embeddings: the pooled features of a backbone, which are the inputs of its last layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import nn

from goldfold import models
from goldfold.base.errors import ConfigError, DataError
from goldfold.models.features import Heard, head_of
from goldfold.models.wrapping import Normalised

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.cases import Inputs
    from goldfold.inference.views import View


class Embedder:
    """Predicting facet, see `goldfold.inference.predictor.Predicting`, whose predictions are ``ids`` and ``features`` float32
    (n, d), the mean over the views of each image."""

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network with one output, which is not used."""
        return Normalised(
            models.build(network, n_classes=1, in_channels=channels, image_size=image_size, **params), channels
        )

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Return the features of a batch."""
        with Heard(model) as heard:
            for view in views:
                model(inputs.map(view.forward))
        return {"features": heard.features(inputs).float().cpu().numpy()}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int] = (0, 0), resize: str = ""
    ) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield the entries of the file.

        Raises:
            DataError: a number is NaN or infinite.
        """
        listed = [part["features"] for part in parts]
        ids = table["id"].to_numpy(dtype=str)
        features = np.concatenate(listed) if listed else np.zeros((0, 0), np.float32)
        odd = ~np.isfinite(features).all(axis=1)
        if odd.any():
            raise DataError(
                f"the embeddings of {int(odd.sum()):,} of {len(ids):,} images are NaN or infinite, first {str(ids[odd][0])!r}. "
                f"With runtime.precision: fp16 set bf16 or fp32; otherwise look at the weights of the backbone."
            )
        yield "ids", ids
        yield "features", features


def check(network: nn.Module, size: tuple[int, int], channels: int) -> None:
    """Embed an empty image.

    Args:
        network: as `Embedder.model` builds it.
        size: height and width.

    Raises:
        ConfigError: it is not known where the head of the network begins, or its inputs are not one vector per image.
    """
    import torch

    from goldfold.cases import Inputs
    from goldfold.inference.views import identity

    if head_of(network) is None:
        raise ConfigError(
            "frozen: it is not known where the head of this network begins; give it get_classifier(), which returns its last "
            "layer, as in networks of timm, or use another network"
        )
    try:
        with torch.inference_mode():
            Embedder().predict(network.eval(), Inputs.of(torch.zeros(1, channels, *size)), [identity()])
    except ConfigError as error:
        raise ConfigError(
            "frozen: the last layer of this network does not take one vector per image; use another"
        ) from error
