"""Networks with one map per channel, and probability maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.tasks.protocol import Entries
from goldfold.tasks.segmentation.maps import header_entries
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from goldfold.cases import Inputs
    from goldfold.inference.views import View
    from goldfold.inference.windows import Grid

FULL = 255
"""Stored value of probability 1."""


class Infer:
    """Networks and their predictions; the arrays are described in `goldfold.tasks.segmentation.maps`."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network with one output per channel; one per class if they may overlap, or there is one and a background."""
        from goldfold import models
        from goldfold.models.wrapping import Normalised

        outputs = self.spec.n_maps if self.spec.is_binary else self.spec.n_channels
        built = models.build(network, n_classes=outputs, in_channels=channels, image_size=image_size, **params)
        return Normalised(built, channels)

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Predict ``maps`` (batch, channels - 1, height, width) uint8, the mean over the views."""
        import torch

        mean: Tensor | None = None
        frame = inputs.images.shape[-2], inputs.images.shape[-1]
        for view in views:
            logits = model(inputs.map(view.forward)).float()
            shares = torch.sigmoid(logits) if self.spec.is_binary else torch.softmax(logits, dim=1)[:, 1:]
            back = view.turn.inverse(shares, frame) / len(views)  # type: ignore[union-attr]
            mean = back if mean is None else mean + back
        assert mean is not None, "there is at least one view"
        return {"maps": (mean * FULL).round().to(torch.uint8).cpu().numpy()}

    def joined(self, grid: Grid, parts: Iterator[dict[str, Any]]) -> dict[str, Any]:
        """Blend the maps of the windows of an image."""
        from goldfold.inference.windows import blended

        return {"maps": [blended(grid, (part["maps"] for part in parts))]}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Entries:
        """Yield the maps without the frame's padding, one image after the other."""
        from goldfold.images.geometry import placements

        sizes = table[["height", "width"]].astype(int).to_numpy(dtype=np.int32).reshape(-1, 2)
        placed = placements(table, frame, resize)
        rois = {"rois": np.array([one.roi for one in placed], np.int32).reshape(-1, 4)} if "roi" in table else {}
        yield from header_entries(self.classes, table["id"].to_numpy(dtype=str), {"sizes": sizes, **rois}).items()
        maps = (image for part in parts for image in part["maps"])
        for row, (placement, image) in enumerate(zip(placed, maps, strict=True)):
            inner = placement.out_of_frame(image.transpose(1, 2, 0))
            yield f"maps/{row}", np.ascontiguousarray(inner.transpose(2, 0, 1))
