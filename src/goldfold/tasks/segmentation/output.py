"""Predictions for masks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold import catalog, components
from goldfold.tasks.segmentation.instances import numbers
from goldfold.tasks.segmentation.maps import header_entries, masks, regions, shapes_of
from goldfold.tasks.segmentation.spec import Mask, Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

LEAST_SURE = 0.5
"""Minimum share of confident pixels for an image to be pseudo-labelled."""


class Output:
    """Joining and fusing; the arrays are described in `goldfold.tasks.segmentation.maps`."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes, self.coding = spec, spec.classes, spec.coding

    def masks(self, predictions: Arrays, ids: Sequence[str]) -> Iterator[Mask]:
        """Yield the channel of every pixel per image, at the original size."""
        return masks(self.spec, predictions, ids)

    def instances(self, predictions: Arrays, ids: Sequence[str]) -> Iterator[NDArray[np.int32]]:
        """Yield the number of the instance of every pixel per image, (height, width), at the original size, 0 without one.

        If classes may overlap, (classes, height, width).
        """
        return numbers(self.spec, predictions, ids)

    def join(self, parts: Sequence[Arrays]) -> Arrays:
        """Concatenate the parts, ordered by id; maps are read on access."""
        from goldfold.predictions.arrays import OneByOne, disjoint

        order, ids = disjoint(parts, self.classes)
        places = [(part, row) for part in parts for row in range(len(part["ids"]))]
        shapes = {name: array[order] for name, array in shapes_of(parts).items()}

        def make(row: int) -> NDArray[Any]:
            part, own = places[order[row]]
            return part[f"maps/{own}"]

        return OneByOne(header_entries(self.classes, ids, shapes), "maps", len(ids), make)

    def fuse(
        self,
        members: Sequence[Arrays],
        weights: Sequence[float],
        workers: int = 1,
        method: components.Written = "probability",
    ) -> Arrays:
        """Fuse the maps of one image at a time, on access, at the largest size among the members."""
        from goldfold.ensembling.maps import fused
        from goldfold.predictions.arrays import OneByOne, common_ids, rows_of
        from goldfold.predictions.maps import strips, to_common_size, to_stored

        average = components.load(method, catalog.ENSEMBLES["mask"], "ensemble method")
        ids = common_ids(members, self.classes)
        rows = [rows_of(member, ids.tolist()) for member in members]

        def make(row: int) -> NDArray[np.uint8]:
            maps = [member[f"maps/{own[row]}"] for member, own in zip(members, rows, strict=True)]
            if len(maps) == 1:
                return maps[0]
            alike = len({one.shape[1:] for one in maps}) == 1
            parts = strips(maps[0].shape[1:]) if alike else [slice(None)]
            each = ([one[:, rows] for one in maps] for rows in parts)
            return np.concatenate([fuse(part) for part in each], axis=1)

        def fuse(maps: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
            if not self.spec.overlaps:
                return to_stored(fused(to_common_size(maps), weights, average))
            alone = ([one[own] for one in maps] for own in (slice(n, n + 1) for n in range(len(self.classes))))
            return np.concatenate([to_stored(fused(to_common_size(own), weights, average)) for own in alone])

        shapes = {name: array[rows[0]] for name, array in shapes_of(members[:1]).items()}
        return OneByOne(header_entries(self.classes, ids, shapes), "maps", len(ids), make)

    def pseudo_labels(
        self,
        predictions: Arrays,
        threshold: float,
        soft: Mapping[str, float] | None = None,
        ignore_band: tuple[float, float] | None = None,
        least_decided: float = LEAST_SURE,
    ) -> pd.DataFrame:
        """Return masks in which pixels that are not decided are ignored, see `goldfold.tasks.segmentation.taught`.

        Images with a smaller share of decided pixels than ``least_decided`` are left out. ``confidence`` is the mean probability
        of the decided pixels. If images are cropped, only the region counts.

        Args:
            threshold: smallest probability of a decided pixel; ``ignore_band`` has limits of the probability of classes instead.
            soft: ``power`` and ``floor`` of soft masks, in the column ``soft``; None for hard ones, in ``rle``.
        """
        import pandas as pd

        from goldfold.tasks.segmentation.taught import Taught, texts

        rows = []
        for row, (id, cut) in enumerate(zip(predictions["ids"], regions(predictions), strict=True)):
            height, width = cut.original
            taught = Taught(self.spec, threshold, ignore_band)
            made = texts(self.spec, taught, predictions[f"maps/{row}"], cut, soft, least_decided)
            if made is not None:
                rows.append((str(id), made.confidence, width, height, made.text, made.decided))
        columns = ["id", "confidence", "width", "height", "rle" if soft is None else "soft", "sure"]
        return pd.DataFrame(rows, columns=columns).sort_values("id").reset_index(drop=True)


class Tables:
    """Predictions as a table."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec

    def table(self, predictions: Arrays) -> pd.DataFrame:
        """Return id, size, and number of pixels of each class."""
        import pandas as pd

        ids = predictions["ids"].tolist()
        counts = [
            np.bincount(mask.ravel(), minlength=self.spec.n_channels)[self.spec.first :]
            if not self.spec.overlaps
            else [self.spec.coding.has(mask, code).sum() for code in self.spec.coding.codes]
            for mask in masks(self.spec, predictions, ids)
        ]
        frame = pd.DataFrame(
            np.reshape(counts, (len(ids), -1)), columns=[f"pixels_{name}" for name in self.spec.classes]
        )
        frame.insert(0, "id", ids)
        frame.insert(1, "width", predictions["sizes"][:, 1])
        frame.insert(2, "height", predictions["sizes"][:, 0])
        return frame
