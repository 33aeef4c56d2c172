"""Batches of images with boxes, and their loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.tasks.detection.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from goldfold.cases import Batch
    from goldfold.losses import Losses


class Learn:
    """Training on boxes in pixels of the frame."""

    has_validation_loss = False

    def __init__(self, spec: Spec) -> None:
        pass

    @property
    def compose_params(self) -> dict[str, Any]:
        """Settings for boxes as x1, y1, x2, y2 in pixels; those narrower or lower than a pixel are dropped, as are those
        of which ``train.min_visible`` says that too little is left."""
        least = {"min_width": 1, "min_height": 1}
        return {"bbox_params": {"format": "pascal_voc", "label_fields": ["labels"], "clip": True, **least}}

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are, per image, ``boxes`` (n, 4) in pixels and ``labels`` (n,)."""
        import torch

        from goldfold.cases import stacked

        targets = [
            {
                "boxes": torch.as_tensor(np.asarray(sample["bboxes"], dtype=np.float32).reshape(-1, 4)),
                "labels": torch.as_tensor(np.asarray(sample["labels"], dtype=np.int64).reshape(-1)),
            }
            for sample in samples
        ]
        return stacked(samples, targets)

    def loss(self, loss_weights: Mapping[str, float] | None = None) -> Callable[[nn.Module, Batch], Losses]:
        """Return the sum of the detector's own losses, computed in training mode only.

        Args:
            loss_weights: factors of its parts by name, 1 for others; see `goldfold.losses.parts.weighted`.
        """
        from goldfold.losses import Losses
        from goldfold.losses.parts import weighted

        def total(model: nn.Module, batch: Batch) -> Losses:
            found: dict[str, Tensor] = weighted(model(batch.inputs, batch.targets), loss_weights or {})
            zero = batch.inputs.images.new_zeros((), dtype=next(iter(found.values())).dtype)
            parts = {name: part.detach() for name, part in found.items()}
            return Losses(sum(found.values(), zero), parts)

        return total
