"""Detectors, and boxes in pixels of the images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.tasks.detection.boxes import Found, arrays, fused
from goldfold.tasks.detection.spec import Spec
from goldfold.tasks.protocol import Entries

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from goldfold.cases import Inputs
    from goldfold.inference.views import View
    from goldfold.inference.windows import Grid


class Infer:
    """Detectors and their predictions; the arrays are described in `goldfold.tasks.detection.boxes.arrays`."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a detector with one output per class."""
        from goldfold import models
        from goldfold.models.wrapping import Normalised

        built = models.build(
            network, n_classes=len(self.classes), in_channels=channels, image_size=image_size, **params
        )
        return Normalised(built, channels)

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Predict ``found``: per image boxes in pixels of the frame, scores and labels, with views inverted and fused."""
        height, width = inputs.images.shape[-2:]
        found: list[list[Found]] = [[] for _ in range(len(inputs))]
        for view in views:
            seen = inputs.map(view.forward)
            for own, output in zip(found, model(seen), strict=True):
                size = seen.images.shape[-2], seen.images.shape[-1]
                boxes = view.turn.boxes_back(output["boxes"], size, (height, width))  # type: ignore[union-attr]
                own.append((_numpy(boxes), _numpy(output["scores"]), _numpy(output["labels"])))
        if len(views) == 1:
            return {"found": [own[0] for own in found]}
        from goldfold.ensembling.boxes import wbf

        sizes = np.tile([[height, width]], (len(found), 1))
        return {"found": fused(found, sizes, [1.0] * len(views), wbf)}

    def joined(self, grid: Grid, parts: Iterator[dict[str, Any]]) -> dict[str, Any]:
        """Join the boxes of the windows of an image, in pixels of the whole image."""
        from goldfold.inference import window_boxes

        return {"found": [window_boxes.joined(grid, (part["found"] for part in parts))]}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Entries:
        """Convert boxes to pixels of the original images, clipped to the region used; boxes in the padding are dropped."""
        from goldfold.images.geometry import placements

        sizes = table[["height", "width"]].astype(int).to_numpy(dtype=np.int32).reshape(-1, 2)
        found = [image for part in parts for image in part["found"]]
        turned = [
            _with_area(placement.to_original(boxes), scores, labels)
            for placement, (boxes, scores, labels) in zip(placements(table, frame, resize), found, strict=True)
        ]
        return arrays(self.classes, table["id"].to_numpy(dtype=str), sizes, turned).items()


def _with_area(boxes: NDArray[Any], scores: Any, labels: Any) -> Found:
    keep = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    return boxes[keep], np.asarray(scores)[keep], np.asarray(labels)[keep]


def _numpy(values: Tensor) -> NDArray[Any]:
    found: NDArray[Any] = values.float().cpu().numpy()
    return found
