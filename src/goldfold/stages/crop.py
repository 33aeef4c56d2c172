"""Stage crop: boxes of a detector -> tables of the manifest with the part of each image to crop."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.base.words import count
from goldfold.bundles.detector import boxes_of, predicted_by
from goldfold.bundles.finished import Finished, finished
from goldfold.crop.counts import BY
from goldfold.crop.detector import NEW, UNSCORED, found_in, whose
from goldfold.crop.find import WITHOUT, with_found
from goldfold.tables import read_table, write_table


def run(
    manifest: str,
    images: str,
    folder: str,
    tables: list[str],
    detector: str,
    member: str | None,
    roi: Mapping[str, Any],
    device: str = "auto",
) -> None:
    """Write the tables of the manifest with the columns of `goldfold.crop.find.with_rois` and that of the networks asked.

    Training images of the detector are cropped by its out-of-fold boxes, its test images by the boxes that it has predicted,
    and all others by boxes that all its networks predict now.

    Args:
        manifest: folder of the manifest.
        images: table that the stage match wrote.
        tables: names of the tables.
        detector: folder of the detector's results.
        member: member of the detector; None for its ensemble.
        roi: ``pick``, ``least_score``, ``labels`` and ``margin``.
        device: as `runtime.device`.

    Raises:
        DataError: results of the detector are missing or changed.
    """
    read = {name: read_table(Path(manifest) / f"{name}.csv") for name in tables}
    matched, results = read_table(images), finished(detector)
    found = found_in(matched, _boxes(matched, results, member, device), roi)
    cut = {name: table for name, table in read.items() if name not in WITHOUT}
    made = with_found(cut, found, roi["margin"])
    for name, table in {**read, **made}.items():
        own = table.assign(**{BY: whose(matched, name)}) if name in made else table
        write_table(Path(folder) / f"{name}.csv", own)


def _boxes(matched: pd.DataFrame, results: Finished, member: str | None, device: str) -> dict[str, pd.DataFrame]:
    """Boxes by part of the images, see `goldfold.crop.detector.matched`."""
    parts = [part for part in matched["part"].unique() if part not in (NEW, UNSCORED)]
    boxes = {part: boxes_of(results, part, member) for part in parts}
    others = matched["path"][matched["part"] == NEW].tolist()
    if others:
        print(
            f"{count(len(others), 'image is', 'images are')} not the detector's: all its networks predict them",
            flush=True,
        )
        boxes[NEW] = predicted_by(results, others, member, device=device)
    return boxes
