"""Batches of images with boxes, and their loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.tasks.batches import images_of
from goldfold.tasks.detection.spec import Spec

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from goldfold.losses import Losses


@dataclass
class BoxBatch:
    """Images (batch, channels, height, width) uint8; for each, ``boxes`` (n, 4) in pixels and ``labels`` (n,)."""

    ids: list[str]
    images: Tensor
    targets: list[dict[str, Tensor]]

    def to(self, device: torch.device) -> BoxBatch:
        """The batch on ``device``."""
        targets = [{name: value.to(device) for name, value in target.items()} for target in self.targets]
        return replace(self, images=self.images.to(device, non_blocking=True), targets=targets)


class Learn:
    """Boxes in pixels of the frame."""

    has_validation_loss = False

    def __init__(self, spec: Spec) -> None:
        pass

    @property
    def compose_params(self) -> dict[str, Any]:
        """Boxes as x1, y1, x2, y2 in pixels; those of which a random crop leaves less than a quarter go."""
        least = {"min_visibility": 0.25, "min_width": 1, "min_height": 1}
        return {"bbox_params": {"format": "pascal_voc", "label_fields": ["labels"], "clip": True, **least}}

    def collate(self, samples: list[dict[str, Any]]) -> BoxBatch:
        """Images stacked, channels first in shape and last in memory."""
        import torch

        targets = [
            {
                "boxes": torch.as_tensor(np.asarray(sample["bboxes"], dtype=np.float32).reshape(-1, 4)),
                "labels": torch.as_tensor(np.asarray(sample["labels"], dtype=np.int64).reshape(-1)),
            }
            for sample in samples
        ]
        return BoxBatch([sample["id"] for sample in samples], images_of(samples), targets)

    def loss(self) -> Callable[[nn.Module, BoxBatch], Losses]:
        """Sum of the detector's own losses, which it has in training mode alone."""
        from goldfold.losses import Losses

        def total(model: nn.Module, batch: BoxBatch) -> Losses:
            found: dict[str, Tensor] = model(batch.images, batch.targets)
            zero = batch.images.new_zeros((), dtype=next(iter(found.values())).dtype)
            parts = {name.removeprefix("loss_"): part.detach() for name, part in found.items()}
            return Losses(sum(found.values(), zero), parts)

        return total
