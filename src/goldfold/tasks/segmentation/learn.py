"""Batches of images with masks, and their loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.targets.mask_coding import IGNORE
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from goldfold.cases import Batch
    from goldfold.losses import Losses


LEVELS = 254
"""Share 1 of a channel in targets of bytes, where 255 marks ignored pixels."""


class Learn:
    """Training on masks in the network's frame."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def collate(self, samples: list[dict[str, Any]]) -> Batch:
        """Batch samples; targets are channel indices (batch, height, width), or shares as bytes (batch, channels, height, width).

        Of classes that may overlap, and of soft masks, targets are shares, 254 for 1 and 255 for ignored pixels.
        """
        import torch

        from goldfold.cases import stacked

        masks = np.stack([sample["mask"] for sample in samples])
        if masks.ndim == 3:
            return stacked(samples, torch.from_numpy(masks).long())
        return stacked(samples, torch.from_numpy(self._levels(masks)))

    def _levels(self, masks: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return levels (batch, channels, height, width) of masks (batch, height, width, channels or bytes of sets)."""
        from goldfold.targets.mask_bits import layers, n_bytes

        if not self.spec.overlaps or masks.shape[-1] != n_bytes(len(self.spec.classes)):
            return np.ascontiguousarray(masks.transpose(0, 3, 1, 2))
        found = np.stack([layers(mask, len(self.spec.classes)) for mask in masks])
        return np.where(found == 1, np.uint8(LEVELS), found)

    def loss(
        self,
        loss: components.Several,
        class_weights: components.Written | None = None,
        counts: Sequence[float] | None = None,
    ) -> Callable[[nn.Module, Batch], Losses]:
        """Return the mean over the batch; images of equal weight are grouped, as Dice is not a mean over images.

        Outputs of a network that know their loss (`goldfold.models.mask_queries.Queries`) take its place, in training; of outputs
        of several depths (`goldfold.models.deep.Deep`), the losses are added up.

        Args:
            counts: pixels of each channel in the training masks of the fold, where class weights are computed from them.
        """
        import torch

        from goldfold.losses import combined, own, summed

        criterion = combined(catalog.LOSSES["mask"], loss, given=self._given(class_weights, counts))

        def mean_loss(model: nn.Module, batch: Batch) -> Losses:
            outputs, groups = model(batch.inputs), []
            targets = batch.targets if batch.targets.ndim == 3 else self._shares(batch.targets)
            for weight in torch.unique(batch.weights):
                rows = batch.weights == weight
                share = weight * rows.float().mean()
                groups.append(of_outputs(outputs[rows], targets[rows]).map(partial(torch.mul, share)))
            return summed(groups)

        def of_outputs(outputs: Any, targets: Tensor) -> Losses:
            if hasattr(outputs, "losses"):
                return own(outputs, targets)
            if hasattr(outputs, "depths"):
                parts = outputs.depths(targets.shape[-2:])
                return summed([criterion(one, targets).map(partial(torch.mul, weight)) for one, weight in parts])
            return criterion(outputs, targets)

        return mean_loss

    def _given(self, class_weights: components.Written | None, counts: Sequence[float] | None) -> dict[str, Any]:
        """Return the arguments that losses get by name."""
        given: dict[str, Any] = {"overlap": True} if self.spec.overlaps else {}
        if class_weights is not None:
            from goldfold.losses.class_weights import weights

            names = [""] * self.spec.first * (not self.spec.overlaps) + self.spec.classes
            given["class_weight"] = weights(class_weights, names, counts)
        return given

    def _shares(self, levels: Tensor) -> Tensor:
        """Return levels as shares of all channels, negative where ignored."""
        import torch

        is_unknown, shares = levels == IGNORE, levels.float() / LEVELS
        if not self.spec.is_binary:
            shares = torch.cat([1 - shares.sum(dim=1, keepdim=True).clamp(max=1), shares], dim=1)
            is_unknown = is_unknown[:, :1]
        return shares.masked_fill(is_unknown, -1.0)
