"""Heads on frozen backbones as last layers of networks: their numbers are buffers, of the sizes of those that are loaded.

They compute in float64, in the same steps as the heads of `goldfold.heads`, so that trees split alike.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from goldfold.bundles.networks import FrozenHead
from goldfold.heads.neighbours import TEMPERATURE, TIED
from goldfold.heads.protocol import LABEL, LABELS, LEAST, SMALLEST, VALUE
from goldfold.models.features import head_of
from goldfold.models.precision import without_autocast


class Layer(nn.Module):
    """A layer with outputs (batch, n_outputs): logits, or scaled numbers.

    Args:
        target: kind of target, see `goldfold.heads.protocol`.
        arrays: buffers by name, of `names`; without them they are empty until weights are loaded.
    """

    names: Mapping[str, tuple[int, torch.dtype]] = {}
    """Number of dimensions and type of each buffer."""

    def __init__(self, target: str, n_outputs: int, arrays: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.target, self.n_outputs = target, n_outputs
        for name, (n_dims, kind) in self.names.items():
            value = torch.zeros([0] * n_dims) if arrays is None else torch.as_tensor(arrays[name])
            self.register_buffer(name, value.to(kind))

    def forward(self, features: Tensor) -> Tensor:
        """Return the outputs for features (batch, d)."""
        with without_autocast(features.device):
            return self.outputs(features.double()).float()

    def outputs(self, features: Tensor) -> Tensor:
        """Return the outputs (batch, n_outputs) float64."""
        raise NotImplementedError

    def _load_from_state_dict(self, state: Mapping[str, Tensor], prefix: str, *others: Any) -> None:
        """Take on the sizes of the saved buffers."""
        for name, (n_dims, kind) in self.names.items():
            saved = state.get(f"{prefix}{name}")
            if saved is not None and saved.dim() == n_dims:
                setattr(self, name, torch.zeros(saved.shape, dtype=kind, device=getattr(self, name).device))
        super()._load_from_state_dict(state, prefix, *others)

    def _finished(self, scores: Tensor, seen: Tensor) -> Tensor:
        """Return outputs from scores (batch, classes that were seen): log probabilities, clipped as those of the heads."""
        if self.target == LABELS:
            most = torch.logit(scores.new_tensor(1 - LEAST)).item()
            return scores.clamp(-most, most)
        if self.target != LABEL:
            return scores
        logs = functional.log_softmax(functional.log_softmax(scores, 1).clamp(min=_log(SMALLEST)), 1)
        return scores.new_full((len(scores), self.n_outputs), _log(LEAST)).index_copy(1, seen, logs)


def _log(value: float) -> float:
    return torch.tensor(value, dtype=torch.float64).log().item()


class Perceptron(Layer):
    """One hidden layer; standardisation and principal components are parts of the first matrix."""

    names = {
        "first": (2, torch.float64),
        "first_bias": (1, torch.float64),
        "last": (2, torch.float64),
        "last_bias": (1, torch.float64),
        "seen": (1, torch.int64),
    }
    first: Tensor
    first_bias: Tensor
    last: Tensor
    last_bias: Tensor
    seen: Tensor

    def outputs(self, features: Tensor) -> Tensor:
        """Return the outputs (batch, n_outputs)."""
        hidden = functional.linear(features, self.first, self.first_bias).relu()
        return self._finished(functional.linear(hidden, self.last, self.last_bias), self.seen)


class Nearest(Layer):
    """Votes of the training cases with the largest cosines, as `goldfold.heads.neighbours`."""

    names = {
        "centre": (1, torch.float64),
        "spread": (1, torch.float64),
        "known": (2, torch.float32),
        "values": (2, torch.float64),
        "k": (0, torch.int64),
    }
    centre: Tensor
    spread: Tensor
    known: Tensor
    values: Tensor
    k: Tensor

    def outputs(self, features: Tensor) -> Tensor:
        """Return the outputs (batch, n_outputs)."""
        rows = ((features - self.centre) / self.spread).float()
        length = rows.norm(dim=1, keepdim=True)
        k = int(self.k)
        cosines = (rows / length.where(length > 0, 1)) @ self.known.T
        near = cosines.topk(k).values
        above, level = cosines > near[:, -1:] + TIED, (cosines - near[:, -1:]).abs() <= TIED
        shared = (k - above.sum(1, keepdim=True)) / level.sum(1, keepdim=True)
        weights = (above + shared * level) * ((cosines - near[:, :1]) / TEMPERATURE).exp().double()
        votes = weights @ self.values / weights.sum(1, keepdim=True)
        shares = (votes * k + self.values.mean(0)) / (k + 1)
        if self.target == LABEL:
            return shares.clamp(min=SMALLEST).log()
        return torch.logit(shares.clamp(LEAST, 1 - LEAST)) if self.target == LABELS else shares


class Trees(Layer):
    """Sums of the leaves of trees (trees, nodes) on principal components; a leaf is its own child."""

    names = {
        **dict.fromkeys(("centre", "spread", "middle", "baseline"), (1, torch.float64)),
        "axes": (2, torch.float64),
        **dict.fromkeys(("feature", "left", "right"), (2, torch.int64)),
        **dict.fromkeys(("threshold", "value"), (2, torch.float64)),
        "output": (1, torch.int64),
        "seen": (1, torch.int64),
    }
    centre: Tensor
    spread: Tensor
    middle: Tensor
    baseline: Tensor
    axes: Tensor
    feature: Tensor
    left: Tensor
    right: Tensor
    threshold: Tensor
    value: Tensor
    output: Tensor
    """(trees,), the score that a tree adds to."""
    seen: Tensor

    def outputs(self, features: Tensor) -> Tensor:
        """Return the outputs (batch, n_outputs)."""
        rows = ((features - self.centre) / self.spread).float().double()
        columns = ((rows - self.middle) @ self.axes.T).float().double()
        tree = torch.arange(len(self.feature), device=features.device)
        node = torch.zeros(len(columns), len(tree), dtype=torch.int64, device=features.device)
        for _ in range(self.feature.shape[1]):  # no path is longer than a tree has nodes
            goes_left = columns.gather(1, self.feature[tree, node]) <= self.threshold[tree, node]
            later = torch.where(goes_left, self.left[tree, node], self.right[tree, node])
            if torch.equal(later, node):
                break
            node = later
        scores = self.baseline.expand(len(columns), -1).clone()
        return self._finished(scores.index_add(1, self.output, self.value[tree, node]), self.seen)


class Cosines(Layer):
    """Cosines with the texts of the classes, times a scale, as `goldfold.heads.zero_shot`."""

    names = {"classes": (2, torch.float64), "scale": (0, torch.float64)}
    classes: Tensor
    scale: Tensor

    def outputs(self, features: Tensor) -> Tensor:
        """Return the outputs (batch, n_outputs)."""
        length = features.norm(dim=1, keepdim=True)
        return self.scale * (features / length.where(length > 0, 1)) @ self.classes.T


LAYERS: dict[str, type[Layer]] = {"mlp": Perceptron, "knn": Nearest, "boosted": Trees, "zero_shot": Cosines}
"""Layers by the name of their head."""


def with_last(network: nn.Module, layer: nn.Module) -> nn.Module:
    """Put another layer in place of the last one of a network."""
    last = head_of(network)
    for parent in [*network.modules()]:
        for name, child in [*parent.named_children()]:
            if child is last:
                setattr(parent, name, layer)
    return network


class Headed:
    """Facet of a task that builds its networks with such a layer, see `goldfold.inference.predictor.Predicting`."""

    def __init__(self, task: Any, head: str, target: str, n_outputs: int) -> None:
        self.task, self.settings = task, (head, target, n_outputs)

    def model(self, *arguments: Any, **params: Any) -> nn.Module:
        """Build a network, whose layer gets its numbers with the weights."""
        name, target, n_outputs = self.settings
        return with_last(self.task.model(*arguments, **params), LAYERS[name](target, n_outputs))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.task, name)


def with_head(task: Any, head: FrozenHead | None, n_classes: int) -> Any:
    """Return the facet of a task, of a network with a head `Headed`."""
    return task if head is None else Headed(task, head.head, head.target, 1 if head.target == VALUE else n_classes)
