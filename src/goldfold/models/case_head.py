"""Layers between the features of images and the output of a case: aggregation over the images, and the head."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from goldfold import components
from goldfold.catalog import AGGREGATIONS
from goldfold.models.blocks import mlp
from goldfold.models.fusion import Branch, Fusion, headless

MEAN = "mean"
"""Aggregation without layers, so that the network keeps its own head, see `goldfold.models.aggregation.mean`."""


class CaseHead(NamedTuple):
    """Parts of `goldfold.models.wrapping.Normalised` that come after the network; both None if the network has its own head."""

    fusion: nn.Module | None
    views: nn.Module | None = None


class Head(nn.Module):
    """Head for features of cases without metadata, in the place of `goldfold.models.fusion.Fusion`; ``hidden`` and ``dropout``
    are those of `goldfold.models.blocks.mlp`."""

    def __init__(self, n_features: int, n_outputs: int, hidden: Sequence[int] = (), dropout: float = 0.0) -> None:
        super().__init__()
        self.head = mlp(n_features, hidden, n_outputs, dropout)

    def forward(self, features: Tensor, metadata: Tensor | None) -> Tensor:
        """Compute outputs (batch, n_outputs) from features (batch, n_features)."""
        outputs: Tensor = self.head(features)
        return outputs


def case_head(
    network: nn.Module, name: str, n_outputs: int, branch: Branch | None = None, views: components.Written = MEAN
) -> CaseHead:
    """Replace the head of a network, where metadata or an aggregation of images come before it.

    Args:
        network: a timm network, or one whose ``reset_classifier(0)`` makes it return features (images, ``num_features``).
        name: name of the network in errors.
        branch: branch for metadata, if the network takes it.
        views: how the images of a case become one, see `goldfold.models.aggregation`.

    Raises:
        ConfigError: the head cannot be removed, or the aggregation does not take its parameters.
    """
    settings: Mapping[str, Any] = getattr(network, "head_settings", None) or {}
    layered = {key: settings[key] for key in ("hidden", "dropout") if key in settings}
    if components.name_of(views) == MEAN:
        if branch is None:
            return CaseHead(None)
        n_features = headless(network, name, "metadata", "the head, and the branch of metadata")
        return CaseHead(Fusion(n_features, n_outputs, branch, **layered))
    n_features = headless(network, name, "views", "the head, and the layers over the images of a case")
    layers, n_features = aggregation(n_features, views)
    if branch is None:
        return CaseHead(Head(n_features, n_outputs, **layered), layers)
    return CaseHead(Fusion(n_features, n_outputs, branch, **layered), layers)


def aggregation(n_features: int, views: components.Written) -> tuple[nn.Module | None, int]:
    """Return the layers over the images of a case, and the number of features per case; without layers for the mean."""
    layers: Any = components.load(views, AGGREGATIONS, "aggregation of views")(n_features)
    return layers, n_features if layers is None else layers.n_features
