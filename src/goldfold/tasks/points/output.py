"""Predictions for points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from goldfold import catalog, components
from goldfold.tasks.points.arrays import Found, arrays, by_image, decided
from goldfold.tasks.points.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays


class Output:
    """Joining and fusing; the arrays are described in `goldfold.tasks.points.arrays.arrays`."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def points(self, predictions: Arrays, ids: Sequence[str] | None = None) -> list[Found]:
        """Return points (n, 2), scores (n,) and labels (n,) of each image that reach their threshold."""
        return decided(predictions, self.spec.threshold, ids)

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
        method: components.Written = "merged",
    ) -> Arrays:
        """Fuse the points of all members per image; a single member is returned unchanged."""
        from goldfold.predictions.arrays import common_ids, rows_of

        ids = common_ids(members, self.classes)
        fusion = components.load(method, catalog.ENSEMBLES["points"], "ensemble method")
        sizes = members[0]["sizes"][rows_of(members[0], ids.tolist())]
        images = [list(image) for image in zip(*(by_image(one, ids.tolist()) for one in members), strict=True)]
        if len(members) == 1:
            return arrays(self.classes, ids, sizes, [image[0] for image in images])
        found = [fusion(image, list(weights), tuple(size)) for image, size in zip(images, sizes.tolist(), strict=True)]
        return arrays(self.classes, ids, sizes, found)

    def pseudo_labels(self, predictions: Arrays, threshold: float) -> pd.DataFrame:
        """Return the points at or above ``threshold`` of images that have any; ``confidence`` is their mean score."""
        import pandas as pd

        from goldfold.targets.points import to_text

        rows = []
        for id, size, (points, scores, labels) in zip(
            predictions["ids"], predictions["sizes"].tolist(), by_image(predictions), strict=True
        ):
            if (sure := scores >= threshold).any():
                text = to_text([self.classes[label] for label in labels[sure]], points[sure].astype(float).round(2))
                rows.append((str(id), round(float(scores[sure].mean()), 6), size[1], size[0], text))
        columns = ["id", "confidence", "width", "height", "points"]
        return pd.DataFrame(rows, columns=columns).sort_values("id").reset_index(drop=True)


class Tables:
    """Predictions as a table."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Return one row per point, also below the threshold: id, class, score, x, y in pixels, and whether it counts."""
        import pandas as pd

        from goldfold.tasks.points.arrays import thresholds

        frame = pd.DataFrame(predictions["points"].round(2), columns=["x", "y"])
        images = np.repeat(np.arange(len(predictions["ids"])), predictions["counts"])
        levels = thresholds(predictions, self.spec.threshold)[images, predictions["labels"]]
        frame.insert(0, "id", predictions["ids"][images])
        frame.insert(1, "prediction", np.array(self.classes, dtype=object)[predictions["labels"]])
        frame.insert(2, "confidence", predictions["scores"].round(6))
        frame["counts"] = (predictions["scores"] >= levels).astype(int)
        return frame
