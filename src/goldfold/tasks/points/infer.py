"""Networks with one heat map per class, and points in pixels of the images."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.tasks.points.arrays import arrays
from goldfold.tasks.points.spec import Spec
from goldfold.tasks.protocol import Entries

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from goldfold.cases import Inputs
    from goldfold.inference.views import View


class Infer:
    """Networks and their predictions; the arrays are described in `goldfold.tasks.points.arrays.arrays`."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def model(self, network: str, image_size: tuple[int, int], channels: int, **params: Any) -> nn.Module:
        """Build a network with one heat map per class, at the stride of the task."""
        from goldfold import models
        from goldfold.models.heat_maps import of_points
        from goldfold.models.wrapping import Normalised

        n = len(self.classes)
        built = models.build(network, n_classes=n, in_channels=channels, image_size=image_size, **params)
        return Normalised(of_points(built, n, self.spec.stride), channels)

    def predict(self, model: nn.Module, inputs: Inputs, views: Sequence[View]) -> dict[str, Any]:
        """Predict ``found``: per image points in pixels of the frame, scores and labels, of the mean heat map over the views."""
        import torch

        from goldfold.inference.peaks import peaks

        mean: Tensor | None = None
        frame = inputs.images.shape[-2], inputs.images.shape[-1]
        size: tuple[int, int] | None = None
        for view in views:
            seen = inputs.map(view.forward)
            shares = torch.sigmoid(model(seen).float())
            size = size or map_size(frame, seen.images.shape[-2:], shares.shape[-2:], swaps=turn_of(view).swaps)
            if mirrors(view):
                shares = shares[:, self.spec.mirrored]
            back = view.turn.inverse(shares, size) / len(views)  # type: ignore[union-attr]
            mean = back if mean is None else mean + back
        assert mean is not None, "there is at least one view"
        return {"found": peaks(mean, frame)}

    def pack(
        self, table: pd.DataFrame, parts: Iterable[dict[str, Any]], frame: tuple[int, int], resize: str
    ) -> Entries:
        """Convert points to pixels of the original images; those in the padding are left out."""
        from goldfold.images.geometry import placements

        sizes = table[["height", "width"]].astype(int).to_numpy(dtype=np.int32).reshape(-1, 2)
        found = (image for part in parts for image in part["found"])
        turned = []
        for placed, (points, scores, labels) in zip(placements(table, frame, resize), found, strict=True):
            first, last = (placed.left, placed.top), (placed.left + placed.inner[1], placed.top + placed.inner[0])
            keep = ((points >= first) & (points <= last)).all(axis=1)
            original = placed.to_original(np.hstack([points, points]))[:, :2]
            turned.append((original[keep], np.asarray(scores)[keep], np.asarray(labels)[keep]))
        return arrays(self.classes, table["id"].to_numpy(dtype=str), sizes, turned).items()


def mirrors(view: View) -> bool:
    """Return whether a view shows images as in a mirror."""
    turn = turn_of(view)
    return bool((turn.swaps + turn.flips_y + turn.flips_x) % 2)


def turn_of(view: View) -> Any:
    """Return the symmetry of a view; one of another size has the turn before it."""
    return getattr(view.turn, "turn", view.turn)


def map_size(frame: Sequence[int], seen: Sequence[int], made: Sequence[int], swaps: bool) -> tuple[int, int]:
    """Height and width of a network's map of the frame, by those of its map of a view of another size.

    >>> map_size((98, 130), (98, 130), (25, 33), swaps=False), map_size((96, 128), (160, 120), (40, 30), swaps=True)
    ((25, 33), (24, 32))
    """
    sides = zip(frame, seen[::-1] if swaps else seen, made[::-1] if swaps else made, strict=True)
    height, width = (round(whole * map_side / side) for whole, side, map_side in sides)
    return height, width
