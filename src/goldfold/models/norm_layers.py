"""Batch norm layers of a network, and batches for their statistics."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def layers(model: nn.Module) -> list[_BatchNorm]:
    """Return the layers with running statistics."""
    return [layer for layer in model.modules() if isinstance(layer, _BatchNorm) and layer.track_running_stats]


def even(ids: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """Split the ids into parts of similar size, at most ``most`` each, and never of a single image."""
    n = max(1, min(-(-len(ids) // most), len(ids) // 2))
    bounds = [round(part * len(ids) / n) for part in range(n + 1)]
    for start, end in pairwise(bounds):
        yield ids[start:end]
