"""Metadata of cases beside their images: a branch of its own, joined with the features of the images before the head."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from goldfold.base.errors import ConfigError

MOST_DIMENSIONS = 50
"""Of the embedding of a categorical column."""


@dataclass(frozen=True)
class Branch:
    """Shape of the metadata, see `goldfold.metadata.encoder.Encoder`, and of the branch that takes it."""

    n_numeric: int
    n_levels: tuple[int, ...]
    """Levels of each categorical column, the unknown one not counted."""
    width: int
    """Features that the branch gives."""
    dropout: float

    @property
    def n_columns(self) -> int:
        """Columns of `goldfold.cases.Inputs.metadata`."""
        return 2 * self.n_numeric + len(self.n_levels)


def branch_of(settings: Mapping[str, Any], n_levels: Sequence[int]) -> Branch:
    """Branch of a model's ``metadata``: ``numeric`` (names of columns), ``width`` and ``dropout``."""
    return Branch(len(settings["numeric"]), tuple(n_levels), settings["width"], settings["dropout"])


class Fusion(nn.Module):
    """Head over the features of the images of a case, concatenated with those of its metadata.

    Numbers and embedded levels go through two layers with ReLU and dropout. Weights of what training cases may never show
    (a missing number, an unknown level) start from 0, and so change nothing where training never moves them.
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
        """Outputs (batch, n_outputs) of features (batch, n_features) and metadata (batch, columns)."""
        if metadata is None:
            raise ValueError("the network takes metadata, and the batch has none: make it by goldfold.cases.stacked")
        numbers, levels = metadata[:, : self.n_numbers], metadata[:, self.n_numbers :].long()
        embedded = [embedding(levels[:, column]) for column, embedding in enumerate(self.embeddings)]
        outputs: Tensor = self.head(torch.cat([features, self.branch(torch.cat([numbers, *embedded], 1))], 1))
        return outputs


def fused(network: nn.Module, name: str, n_outputs: int, branch: Branch) -> Fusion:
    """Fusion for a network, which loses its own head.

    Args:
        network: of timm, or one with ``reset_classifier(0)``, after which it gives features (images, ``num_features``).
        name: of the network, for errors.

    Raises:
        ConfigError: it is no such network.
    """
    reset: Any = getattr(network, "reset_classifier", None)
    if reset is None:
        raise ConfigError(
            f"metadata: network {name!r} has no head that can be taken off. Take timm or small_resnet, or give yours "
            f"reset_classifier(0), after which it returns features (images, num_features)."
        )
    reset(0)
    n_features: Any = getattr(network, "head_hidden_size", None) or getattr(network, "num_features", None)
    if not isinstance(n_features, int):
        raise ConfigError(f"metadata: network {name!r} does not say how many features it gives, as num_features.")
    if hasattr(network, "new"):  # names that a file of weights did not set
        kept = _without_head(network.new, network)
        network.new = [*kept, "the head, and the branch of metadata"]  # type: ignore[assignment]
    return Fusion(n_features, n_outputs, branch)


def _without_head(names: Any, network: nn.Module) -> Sequence[str]:
    own = network.state_dict().keys()
    return [name for name in names if name in own]
