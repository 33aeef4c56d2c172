"""Branch of a network for metadata, joined with the features of the images before the head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from goldfold.base.errors import ConfigError

MOST_DIMENSIONS = 50
"""Largest embedding of a categorical column."""


@dataclass(frozen=True)
class Branch:
    """Shape of the metadata (see `goldfold.metadata.encoder.Encoder`) and of its branch."""

    n_numeric: int
    n_levels: tuple[int, ...]
    """Number of levels of each categorical column, without the unknown one."""
    width: int
    """Number of features of each layer."""
    dropout: float

    @property
    def n_columns(self) -> int:
        """Number of columns of `goldfold.cases.Inputs.metadata`."""
        return 2 * self.n_numeric + len(self.n_levels)


def branch_of(settings: Mapping[str, Any], n_levels: Sequence[int]) -> Branch:
    """Return the branch for a model's settings ``metadata``: ``numeric`` (names of columns), ``width`` and ``dropout``."""
    return Branch(len(settings["numeric"]), tuple(n_levels), settings["width"], settings["dropout"])


class Fusion(nn.Module):
    """Head of a network, whose inputs are the image features of a case and the features of its metadata.

    Numbers and embedded levels pass through two layers with ReLU and dropout. The weights of inputs that may never occur in
    training (a missing number, an unknown level) are initialised to 0, so that without training they have no effect.
    """

    def __init__(self, n_features: int, n_outputs: int, branch: Branch) -> None:
        super().__init__()
        self.n_numbers = 2 * branch.n_numeric
        sizes = [min(MOST_DIMENSIONS, (n + 3) // 2) for n in branch.n_levels]
        embeddings = [nn.Embedding(n + 1, size) for n, size in zip(branch.n_levels, sizes, strict=True)]
        first = nn.Linear(self.n_numbers + sum(sizes), branch.width)
        with torch.no_grad():
            first.weight[:, branch.n_numeric : self.n_numbers] = 0
            for embedding in embeddings:
                embedding.weight[0] = 0
        self.embeddings = nn.ModuleList(embeddings)
        self.branch = nn.Sequential(
            first, nn.ReLU(), nn.Dropout(branch.dropout),
            nn.Linear(branch.width, branch.width), nn.ReLU(), nn.Dropout(branch.dropout),
        )  # fmt: skip
        self.head = nn.Linear(n_features + branch.width, n_outputs)

    def forward(self, features: Tensor, metadata: Tensor | None) -> Tensor:
        """Compute outputs (batch, n_outputs) from features (batch, n_features) and metadata (batch, columns)."""
        if metadata is None:
            raise ValueError(
                "the network takes metadata, but the batch has none; make batches with goldfold.cases.stacked"
            )
        numbers, levels = metadata[:, : self.n_numbers], metadata[:, self.n_numbers :].long()
        embedded = [embedding(levels[:, column]) for column, embedding in enumerate(self.embeddings)]
        outputs: Tensor = self.head(torch.cat([features, self.branch(torch.cat([numbers, *embedded], 1))], 1))
        return outputs


def fused(network: nn.Module, name: str, n_outputs: int, branch: Branch) -> Fusion:
    """Remove the head of a network, and return the fusion that replaces it; arguments and errors as of `headless`."""
    return Fusion(headless(network, name, "metadata", "the head, and the branch of metadata"), n_outputs, branch)


def headless(network: nn.Module, name: str, key: str, instead: str) -> int:
    """Remove the head of a network, and return the number of its features.

    Args:
        network: a timm network, or one whose ``reset_classifier(0)`` makes it return features (images, ``num_features``).
        name: name of the network in errors.
        key: setting that replaces the head, for errors.
        instead: description of what replaces it.

    Raises:
        ConfigError: the network has no ``reset_classifier`` or no ``num_features``.
    """
    reset: Any = getattr(network, "reset_classifier", None)
    if reset is None:
        raise ConfigError(
            f"{key}: the head of network {name!r} cannot be removed. Use timm or small_resnet, or give your network "
            f"reset_classifier(0), after which it returns features (images, num_features)."
        )
    reset(0)
    n_features: Any = getattr(network, "head_hidden_size", None) or getattr(network, "num_features", None)
    if not isinstance(n_features, int):
        raise ConfigError(f"{key}: network {name!r} has no attribute num_features (number of its features).")
    if hasattr(network, "new"):  # weights that a pretrained file did not have
        network.new = [*_without_head(network.new, network), instead]  # type: ignore[assignment]
    return n_features


def _without_head(names: Any, network: nn.Module) -> Sequence[str]:
    own = network.state_dict().keys()
    return [name for name in names if name in own]
