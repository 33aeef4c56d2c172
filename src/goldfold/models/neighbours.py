"""Head of a network that predicts by the votes of the nearest training images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from goldfold.models.precision import without_autocast
from goldfold.models.search import Search

EVENLY = 0.01
"""Part of the votes for an unknown class that all classes share, so that none has the probability 0."""


@dataclass(frozen=True)
class Votes:
    """How neighbours vote."""

    k: int
    """Number of neighbours."""
    count: str
    """``sum``: a class has the votes of all its neighbours; ``max``: that of the nearest."""
    temperature: float
    """A neighbour at cosine c has exp(c / temperature) votes."""
    background: float
    """Cosine of one further neighbour, whose votes all classes share, or which votes for the unknown class."""
    unknown: int | None = None
    """Class of images that are like none in the index."""


def head(width: int, classes: Sequence[str], settings: Mapping[str, Any]) -> "Neighbours":
    """Build the head for a model's settings ``neighbours``.

    Args:
        width: of the embeddings.
        classes: their names, in the order of the outputs.
    """
    unknown = settings.get("unknown")
    votes = Votes(
        settings["k"], settings["votes"], settings["temperature"], settings["background"],
        None if unknown is None else [*classes].index(unknown),
    )  # fmt: skip
    return Neighbours(width, len(classes), votes)


class Neighbours(nn.Module):
    """Log probabilities of classes, from the votes of the nearest rows of an index of labelled embeddings.

    The index is part of the weights, and its size is that of the weights that are loaded.
    """

    index: Tensor
    labels: Tensor

    def __init__(self, width: int, n_classes: int, votes: Votes) -> None:
        super().__init__()
        self.n_classes, self.votes = n_classes, votes
        self.register_buffer("index", torch.zeros(0, width))
        self.register_buffer("labels", torch.zeros(0, dtype=torch.int64))
        self._search: Search | None = None

    def forward(self, embeddings: Tensor) -> Tensor:
        """Return log probabilities (batch, classes) for embeddings (batch, width) of unit length."""
        if self._search is None or self._search.index is not self.index:
            self._search = Search(self.index)
        with without_autocast(embeddings.device):
            cosines, rows = self._search.nearest(embeddings.float(), self.votes.k)
            return self._log_probabilities(cosines, self.labels[rows])

    def _log_probabilities(self, cosines: Tensor, labels: Tensor) -> Tensor:
        votes = self.votes
        n = len(cosines)
        background = cosines.new_full((n, 1), votes.background)
        largest = torch.cat([cosines, background], 1).amax(1, keepdim=True)
        mass = ((background - largest) / votes.temperature).exp()
        evenly = mass if votes.unknown is None else EVENLY * mass
        found = cosines.new_zeros(n, self.n_classes)
        each = ((cosines - largest) / votes.temperature).exp()
        found.scatter_reduce_(1, labels, each, "sum" if votes.count == "sum" else "amax")
        found = found + evenly / self.n_classes
        if votes.unknown is not None:
            found[:, votes.unknown] += (1 - EVENLY) * mass[:, 0]
        return (found / found.sum(1, keepdim=True)).clamp(min=torch.finfo(found.dtype).tiny).log()

    def _load_from_state_dict(self, state: Mapping[str, Tensor], prefix: str, *others: Any) -> None:
        """Take on the size of the saved index."""
        for name in ("index", "labels"):
            saved, own = state.get(f"{prefix}{name}"), getattr(self, name)
            if saved is not None and saved.shape != own.shape and saved.shape[1:] == own.shape[1:]:
                setattr(self, name, own.new_zeros(saved.shape))
        super()._load_from_state_dict(state, prefix, *others)
