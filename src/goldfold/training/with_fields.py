"""Facets of a task with further fields, one row per training case each, and the base of networks for their losses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

    from goldfold.cache.images import CachedImages
    from goldfold.cases import Batch
    from goldfold.tasks.protocol import Learn, Target


class TargetWith:
    """Facet `Target` whose targets also have ``fields``: rows of the training cases by name, mixed like a target."""

    def __init__(self, target: Target, fields: Mapping[str, NDArray[Any]]) -> None:
        self.target, self.fields = target, fields

    def __getattr__(self, name: str) -> Any:
        return getattr(self.target, name)

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the amount of each class per image."""
        return self.target.content(table)

    def targets(self, table: pd.DataFrame, images: CachedImages, resize: str) -> list[dict[str, Any]]:
        """Return the target fields per row, with the further ones."""
        found = self.target.targets(table, images, resize)
        return [{**own, **{name: rows[row] for name, rows in self.fields.items()}} for row, own in enumerate(found)]


class LearnWith:
    """Facet `Learn` whose batches have the targets of the task as `OWN`, and the further fields."""

    OWN: ClassVar = "own"

    def __init__(self, learn: Learn, fields: Sequence[str]) -> None:
        self.learn, self.fields = learn, fields

    def __getattr__(self, name: str) -> Any:
        return getattr(self.learn, name)

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are those of the task, and rows (batch, ...) of each field."""
        batch = self.learn.collate(samples)
        more = {name: torch.from_numpy(np.stack([sample[name] for sample in samples])) for name in self.fields}
        return replace(batch, targets={self.OWN: batch.targets, **more})

    def loss(self, **settings: Any) -> Any:
        """Return the task's own loss."""
        return self.learn.loss(**settings)


class Around(nn.Module):
    """Base of a network around another one, whose parts, mode and parameters stay its own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.__dict__["network"] = network  # not as a part
        self.training = network.training

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["network"], name)
