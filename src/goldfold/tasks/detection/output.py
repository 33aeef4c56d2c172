"""Predictions for boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.detection.boxes import Found, arrays, by_image, fused, with_weighted_scores
from goldfold.tasks.detection.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays


class Output:
    """Joining and fusing; the arrays are described in `goldfold.tasks.detection.boxes.arrays`."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def by_image(self, predictions: Arrays, ids: Sequence[str] | None = None) -> list[Found]:
        """Return boxes (n, 4), scores (n,) and labels (n,) of each image, in the order of ``ids`` if given."""
        return by_image(predictions, ids)

    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Concatenate the parts, ordered by id."""
        from goldfold.predictions.arrays import disjoint

        order, ids = disjoint(parts, self.classes)
        found = [image for part in parts for image in by_image(part)]
        sizes = np.concatenate([part["sizes"] for part in parts])[order]
        return arrays(self.classes, ids, sizes, [found[row] for row in order])

    def fuse(
        self,
        members: Sequence[Arrays],
        weights: Sequence[float],
        workers: int = 1,
        method: components.Written = "wbf",
        iou_threshold: float = 0.55,
        skip_threshold: float = 0.0,
    ) -> Arrays:
        """Fuse the boxes of all members per image; a single member is returned unchanged."""
        from goldfold.predictions.arrays import common_ids, rows_of

        ids = common_ids(members, self.classes)
        sizes = members[0]["sizes"][rows_of(members[0], ids.tolist())]
        of_members = [by_image(member, ids.tolist()) for member in members]
        images = [list(image) for image in zip(*of_members, strict=True)]
        if len(members) == 1:
            return arrays(self.classes, ids, sizes, [image[0] for image in images])
        fusion, shares = components.load(method, catalog.ENSEMBLES["boxes"], "fusion method"), list(weights)
        if components.name_of(method) in ("nms", "soft_nms"):
            images, shares = with_weighted_scores(images, shares, skip_threshold), []
            skip_threshold = 0.0
        found = fused(images, sizes, shares or None, fusion, iou_threshold, skip_threshold, workers)
        return arrays(self.classes, ids, sizes, found)

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """Return the boxes at or above ``threshold`` of images that have any; ``confidence`` is their mean score."""
        import pandas as pd

        from goldfold.targets.boxes import to_text

        rows = []
        for id, size, (boxes, scores, labels) in zip(
            predictions["ids"], predictions["sizes"], by_image(predictions), strict=True
        ):
            sure = scores >= threshold
            if sure.any():
                text = to_text([self.classes[label] for label in labels[sure]], boxes[sure].astype(float).round(2))
                rows.append((str(id), round(float(scores[sure].mean()), 6), int(size[1]), int(size[0]), text))
        columns = ["id", "confidence", "width", "height", "boxes"]
        return pd.DataFrame(rows, columns=columns).sort_values("id").reset_index(drop=True)


class Tables:
    """Predictions as a table."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Return one row per box: id, class, score and corners in pixels of the image."""
        import pandas as pd

        frame = pd.DataFrame(predictions["boxes"].round(2), columns=["x1", "y1", "x2", "y2"])
        frame.insert(0, "id", np.repeat(predictions["ids"], predictions["counts"]))
        frame.insert(1, "prediction", np.array(self.classes, dtype=object)[predictions["labels"]])
        frame.insert(2, "confidence", predictions["scores"].round(6))
        return frame
