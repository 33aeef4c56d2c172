"""Boxes, from the raw data to samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.base.errors import DataError
from goldfold.tasks.detection.spec import Spec
from goldfold.tasks.protocol import Examined

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.cache.images import CachedImages
    from goldfold.cache.tiled import TiledImages
    from goldfold.samples.window_targets import WindowBoxes


def examine(table: pd.DataFrame, classes: Sequence[str] | None, where: str, drops: bool, workers: int) -> Examined:
    """Check that boxes are inside their image and have an area; an image without boxes is a negative."""
    from goldfold.targets import boxes
    from goldfold.targets.classes import natural_order

    texts, flaws, found = [], [], set()
    dropped, cut, seen = list[tuple[str, str]](), list[tuple[str, str]](), list[tuple[str, str]]()
    for row in table.to_dict("records"):
        if not isinstance(row["boxes"], str):
            texts.append("")
            flaws.append("")
            continue
        checked = boxes.check(row["boxes"], int(row["width"]), int(row["height"]), classes)
        found |= set(checked.labels) if drops or not checked.flaws else set()
        seen += [(row["id"], flaw) for flaw in checked.flaws[:1]]
        texts.append(checked.once if drops else checked.text)
        flaws.append("" if drops else "; ".join(checked.flaws))
        for what, is_cut in zip(checked.flaws, checked.cut, strict=True) if drops else ():
            (cut if is_cut else dropped).append((row["id"], what))
        dropped += [(row["id"], what) for what in checked.twice if drops]
    names = list(classes) if classes is not None else natural_order(found)
    if not names:
        first = next((f", only flawed ones, first in {id!r}: {flaw}" for id, flaw in seen), "")
        raise DataError(
            f"{where}: there are no boxes to train on{first}. Check the annotations and the sizes of the images."
        )
    missing = ["" if isinstance(text, str) else "image has no annotation" for text in table["boxes"]]
    return Examined(table.assign(boxes=texts), names, missing, flaws, dropped, part="box", cut=cut)


class Target:
    """Any number of boxes per image."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the number of objects of each class."""
        import pandas as pd

        from goldfold.targets.boxes import from_text

        labels = [pd.Series(from_text(text)[0], dtype=str).value_counts() for text in table["boxes"]]
        return pd.DataFrame({name: [int(row.get(name, 0)) for row in labels] for name in self.classes}, table.index)

    def targets(self, table: pd.DataFrame, images: CachedImages, resize: str) -> list[dict[str, Any]]:
        """Return ``bboxes`` (n, 4) in pixels of the frame and ``labels`` (n,) per image; boxes of at most one pixel's
        width or height in the frame are dropped."""
        from goldfold.images.geometry import place
        from goldfold.targets.boxes import clipped

        fields = []
        for row in table.to_dict("records"):
            boxes, labels = self.spec.boxes(row["boxes"])
            placement = place((int(row["height"]), int(row["width"])), images.frame, resize, images.roi(row["id"]))
            height, width = placement.frame  # that of the image itself where it is shown in windows
            seen = clipped(placement.to_frame(boxes), width, height)
            keep = (np.diff(seen.reshape(-1, 2, 2), axis=1) > 1).all(axis=(1, 2))
            fields.append({"bboxes": seen[keep].astype(np.float32), "labels": labels[keep]})
        return fields

    def in_windows(
        self, ids: Sequence[str], targets: Sequence[dict[str, Any]], images: TiledImages, min_visible: float
    ) -> WindowBoxes:
        """Return what windows show of the boxes."""
        from goldfold.samples.window_targets import WindowBoxes

        return WindowBoxes(ids, targets, min_visible)
