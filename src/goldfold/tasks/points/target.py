"""Points, from the raw data to samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold.base.errors import ConfigError, DataError, nearest
from goldfold.tasks.points.learn import in_samples
from goldfold.tasks.points.spec import RADIUS_PX, Spec
from goldfold.tasks.protocol import Examined

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.cache.images import CachedImages


def examine(
    table: pd.DataFrame,
    classes: Sequence[str] | None,
    where: str,
    drops: bool,
    workers: int,
    radius_px: float = RADIUS_PX,
    stride: int = 1,
    swap: Sequence[Sequence[str]] = (),
    pixel_centre: float = 0.5,
) -> Examined:
    """Check that points are inside their image; an image without points is a negative. Boxes become their centres."""
    from goldfold.targets import points
    from goldfold.targets.classes import natural_order

    if "points" not in table:
        table = table.assign(points=table["boxes"].map(points.centres, na_action="ignore")).drop(columns="boxes")
    texts, flaws, found, dropped = [], [], set[str](), list[tuple[str, str]]()
    for row in table.to_dict("records"):
        if not isinstance(row["points"], str):
            texts.append("")
            flaws.append("")
            continue
        checked = points.check(row["points"], int(row["width"]), int(row["height"]), classes)
        found |= set(checked.labels) if drops or not checked.flaws else set()
        texts.append(checked.once if drops else checked.text)
        flaws.append("" if drops else "; ".join(checked.flaws))
        dropped += [(row["id"], what) for what in [*checked.flaws, *checked.twice] if drops]
    names = list(classes) if classes is not None else natural_order(found)
    if not names:
        first = next(
            (f", only flawed ones, first: {flaw}" for flaw in [*flaws, *(what for _, what in dropped)] if flaw), ""
        )
        raise DataError(
            f"{where}: there are no points to train on{first}. Check the tables and the sizes of the images."
        )
    _refuse_pairs(swap, names)
    missing = ["" if isinstance(text, str) else "image has no annotation" for text in table["points"]]
    return Examined(table.assign(points=texts), names, missing, flaws, dropped, part="point")


def _refuse_pairs(swap: Sequence[Sequence[str]], names: Sequence[str]) -> None:
    """Raise ConfigError for a pair with a name that is no class, or that is in two pairs."""
    every = [name for pair in swap for name in pair]
    for place, name in enumerate(every):
        if name not in names:
            raise ConfigError(
                f"task_params.swap: {name!r} is no class; {nearest(name, names)}classes: {', '.join(names)}. Correct it."
            )
        if name in every[:place]:
            raise ConfigError(f"task_params.swap: {name!r} is in two pairs; a class has one mirror image. Remove one.")


class Target:
    """Any number of points per image."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def content(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the number of points of each class."""
        import pandas as pd

        labels = [self.spec.points(text)[1] for text in table["points"]]
        counts = [np.bincount(own, minlength=len(self.classes)) for own in labels]
        return pd.DataFrame(np.reshape(counts, (len(table), -1)), columns=list(self.classes), index=table.index)

    def targets(self, table: pd.DataFrame, images: CachedImages, resize: str) -> list[dict[str, Any]]:
        """Return ``keypoints`` (n, 2) and ``labels`` (n,) per image, as `goldfold.tasks.points.learn` describes them; points
        outside the frame or the crop are left out."""
        from goldfold.images.geometry import place

        fields, frame = [], images.frame
        for row in table.to_dict("records"):
            points, labels = self.spec.points(row["points"])
            placement = place((int(row["height"]), int(row["width"])), frame, resize, images.roi(row["id"]))
            framed = placement.to_frame(np.hstack([points, points]))[:, :2]
            x1, y1, x2, y2 = placement.roi
            keep = ((framed >= 0) & (framed <= [frame[1], frame[0]])).all(axis=1)
            keep &= ((points >= [x1, y1]) & (points <= [x2, y2])).all(axis=1)  # none in the padding around the crop
            fields.append(in_samples(framed[keep], labels[keep], has_mirror=bool(self.spec.swap)))
        return fields
