"""Predictions for new images: a table, and masks and overlays made on request."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import tasks
from goldfold.base.files import write_text
from goldfold.bundles.form import Preprocessing
from goldfold.predictions.arrays import Arrays


@dataclass(frozen=True)
class Predictions:
    """Predictions of a bundle."""

    _task: tasks.Spec = field(repr=False)
    _classes: list[str] = field(repr=False)
    arrays: Arrays = field(repr=False)
    """Arrays by name, as in ``ensemble/test.npz``: ``ids``, ``classes`` and those of the task."""
    images: pd.DataFrame
    """id, path, width and height of each image that was read."""
    bad: list[tuple[str, str]]
    """Path of each skipped file, and the reason."""
    _preprocessing: Preprocessing = field(repr=False)
    _draw_from: float | None = field(repr=False)
    _folder: TemporaryDirectory[str] = field(repr=False)
    """Folder of the files that large arrays are read from; deleted with this object."""

    @property
    def table(self) -> pd.DataFrame:
        """Columns of ``ensemble/test.csv``, id first; one row per image, or per box or point."""
        return tasks.tables(self._task, self._classes).table(self.arrays)

    @cached_property
    def _output(self) -> Any:
        return tasks.output(self._task, self._classes)

    @property
    def has_masks(self) -> bool:
        """True if the task predicts a mask per image."""
        return tasks.facts(self._task["name"]).target == "mask" and hasattr(self._output, "masks")

    def masks(self) -> Iterator[tuple[str, NDArray[Any]]]:
        """Yield id and mask (height, width) of each image at its original size, with the values of training masks.

        If classes may overlap, the values are sums of 1 for the first class, 2 for the second, 4, ...
        """
        ids = [str(id) for id in self.arrays["ids"]]
        for id, mask in zip(ids, self._output.masks(self.arrays, ids), strict=True):
            yield id, self._output.coding.written(mask)

    def instances(self) -> Iterator[tuple[str, NDArray[np.int32]]]:
        """Yield id and the number of the instance of each pixel (height, width), 0 without one; none without such a step.

        If classes may overlap, (classes, height, width).
        """
        if self.has_masks and "instances" in self.arrays:
            ids = [str(id) for id in self.arrays["ids"]]
            yield from zip(ids, self._output.instances(self.arrays, ids), strict=True)

    def save(self, out: str | Path) -> None:
        """Write the table as CSV, and masks as PNG into the folder ``masks`` next to it; instances into ``instances``.

        Classes that may overlap have a folder each in these.
        """
        write_text(out, self.table.to_csv(index=False))
        if self.has_masks:
            from goldfold.targets import objects
            from goldfold.targets.mask_files import numbered, written
            from goldfold.targets.masks import write_mask

            coding, ids = self._output.coding, [str(id) for id in self.arrays["ids"]]
            for id, mask in zip(ids, self._output.masks(self.arrays, ids), strict=True):
                for folder, part in written(coding, mask):
                    write_mask(Path(out).parent / "masks" / folder / f"{id}.png", part)
            for id, labels in self.instances():
                for folder, own in numbered(coding, labels):
                    objects.write(Path(out).parent / "instances" / folder / f"{id}.png", own)

    def records(self) -> list[dict[str, Any]]:
        """Return one record per image with plain values, for JSON; boxes and points of an image as a list."""
        paths = dict(zip(self.images["id"], self.images["path"], strict=True))
        rows: dict[str, list[dict[str, Any]]] = {str(id): [] for id in self.arrays["ids"]}
        for row in self.table.to_dict("records"):
            rows[str(row.pop("id"))].append({str(key): _plain(value) for key, value in row.items()})
        if (target := tasks.facts(self._task["name"]).target) in ("boxes", "points"):
            return [{"id": id, "path": paths[id], target: found} for id, found in rows.items()]
        return [{"id": id, "path": paths[id], **row} for id, found in rows.items() for row in found]

    def overlays(self, folder: str | Path) -> list[Path]:
        """Write each image with its masks or boxes drawn, or its label below, as ``<id>.png`` into ``folder``."""
        from goldfold.bundles.overlays import draw

        how = self._preprocessing
        paths: Sequence[tuple[str, str]] = self.images[["id", "path"]].to_records(index=False).tolist()
        return draw(
            self._output, self.arrays, self.table, paths, Path(folder), how.channels, how.scale_16bit, self._draw_from
        )


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
