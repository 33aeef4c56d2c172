"""Head of a network that embeds images on the unit sphere, and classifies them there by cosines or by neighbours."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from goldfold import catalog, components
from goldfold.models.case_head import MEAN, CaseHead, aggregation
from goldfold.models.fusion import headless
from goldfold.models.precision import without_autocast


class Cosines(nn.Module):
    """Scaled cosines between embeddings and classes; of a class with several centres, that of the nearest.

    With centres: Deng et al., Sub-center ArcFace, 2020 (https://doi.org/10.1007/978-3-030-58621-8_43).
    """

    def __init__(self, width: int, n_classes: int, scale: float, centres: int = 1) -> None:
        super().__init__()
        self.n_classes, self.scale, self.centres, self.in_features = n_classes, scale, centres, width
        self.weight = nn.Parameter(torch.empty(n_classes * centres, width))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return logits (batch, classes) float32 for embeddings (batch, width) of unit length, also under autocast."""
        with without_autocast(embeddings.device):
            cosines = embeddings.float() @ functional.normalize(self.weight.float()).T
            return self.scale * cosines.reshape(-1, self.n_classes, self.centres).amax(2)


class Embedding(nn.Module):
    """Head: a linear layer and batch normalisation give the embedding, scaled to unit length, and ``head`` classifies it.

    Batch normalisation as last layer before the sphere: Luo et al., Bag of Tricks for person re-identification, 2019
    (https://arxiv.org/abs/1903.07071).
    """

    def __init__(self, n_features: int, width: int, neck: str, head: nn.Module) -> None:
        super().__init__()
        layers = [nn.BatchNorm1d(width)] if neck == "batch_norm" else []
        self.neck = nn.Sequential(nn.Linear(n_features, width, bias=not layers), *layers)
        self.head = head

    def forward(self, features: Tensor, metadata: Tensor | None = None) -> Tensor:
        """Compute the outputs (batch, classes) of the head from features (batch, n_features)."""
        outputs: Tensor = self.head(self.embed(features))
        return outputs

    def embed(self, features: Tensor) -> Tensor:
        """Return embeddings (batch, width) float32 of unit length."""
        return functional.normalize(self.neck(features).float())


def embedded(
    network: nn.Module,
    name: str,
    classes: Sequence[str],
    embedding: Mapping[str, Any],
    neighbours: Mapping[str, Any] | None = None,
    views: components.Written = MEAN,
) -> CaseHead:
    """Remove the head of a network, and return the embedding that replaces it, with the layers over the images of a case.

    Args:
        network: see `goldfold.models.fusion.headless`.
        name: name of the network in errors.
        classes: names of the classes, in the order of the outputs.
        embedding: settings ``width``, ``neck``, ``scale`` and ``centres`` of the model.
        neighbours: settings of a model that predicts by neighbours.
        views: how the images of a case become one, see `goldfold.models.aggregation`.

    Raises:
        ConfigError: the head of the network cannot be removed.
    """
    layers, n_features = aggregation(headless(network, name, "embedding", "the embedding"), views)
    width = embedding["width"]
    head: nn.Module
    if neighbours is None:
        head = Cosines(width, len(classes), embedding["scale"], embedding["centres"])
    else:
        head = components.at(catalog.NEIGHBOURS, "neighbours")(width, classes, neighbours)
    return CaseHead(Embedding(n_features, width, embedding["neck"], head), layers)
