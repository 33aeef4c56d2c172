"""Batches of training samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from goldfold.cases.inputs import Inputs

Targets = Tensor | list[Any] | dict[str, Any]
"""Tensor or list with one row per case, or several of these by name."""


@dataclass(frozen=True)
class Batch:
    """Cases with their targets.

    >>> inputs = Inputs.of(torch.zeros(3, 1, 8, 8))
    >>> batch = Batch(["x", "y", "z"], inputs, {"age": torch.tensor([3, 4, 5])}, torch.ones(3))
    >>> batch.rows([0, 2]).targets
    {'age': tensor([3, 5])}
    """

    ids: list[str]
    inputs: Inputs
    targets: Any
    """Made by the task, see `Targets`; tensors in a list may differ in shape."""
    weights: Tensor
    """(batch,) weight of each case in the loss."""

    def rows(self, rows: Sequence[int]) -> Batch:
        """Return the batch of some of the cases."""
        chosen = list(rows)
        return Batch(
            [self.ids[row] for row in chosen],
            self.inputs.rows(chosen),
            _rows(self.targets, chosen),
            self.weights[chosen],
        )

    def to(self, device: torch.device) -> Batch:
        """Return the batch on ``device``."""
        return Batch(
            self.ids, self.inputs.to(device), _on(self.targets, device), self.weights.to(device, non_blocking=True)
        )


def stacked(samples: Sequence[Mapping[str, Any]], targets: Targets) -> Batch:
    """Stack samples into a batch, whose images have channels first in shape and last in memory.

    Args:
        samples: ``id``, ``weight``, ``images`` (views, height, width, channels) uint8 and ``present`` (views,) of each, and
            ``metadata`` (columns,) float where networks take it.
        targets: targets of the batch.
    """
    images = torch.from_numpy(np.stack([sample["images"] for sample in samples])).permute(0, 1, 4, 2, 3)
    present = torch.from_numpy(np.stack([sample["present"] for sample in samples]))
    weights = torch.tensor([sample["weight"] for sample in samples], dtype=torch.float32)
    metadata = None
    if "metadata" in samples[0]:
        metadata = torch.from_numpy(np.stack([sample["metadata"] for sample in samples]))
    return Batch([sample["id"] for sample in samples], Inputs(images, present, metadata), targets, weights)


def _rows(values: Any, rows: list[int]) -> Any:
    if isinstance(values, Tensor):
        return values[rows]
    if isinstance(values, Mapping):
        return {name: _rows(value, rows) for name, value in values.items()}
    return [values[row] for row in rows]


def _on(values: Any, device: torch.device) -> Any:
    if isinstance(values, Tensor):
        return values.to(device, non_blocking=True)
    if isinstance(values, Mapping):
        return {name: _on(value, device) for name, value in values.items()}
    return [_on(value, device) for value in values] if isinstance(values, list) else values
