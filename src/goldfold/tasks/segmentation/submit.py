"""Submissions of masks."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from goldfold import components
from goldfold.tasks.segmentation.instances import by_class, separated, write
from goldfold.tasks.segmentation.maps import INSTANCES
from goldfold.tasks.segmentation.maps import masks as masks_of
from goldfold.tasks.segmentation.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays
    from goldfold.submission.form import Form


class Submit:
    """Submissions with run lengths, and masks as PNG."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Return the columns: id and run lengths; with several classes, id, class and run lengths."""
        from goldfold.submission import masks

        return masks.form(self.classes, sample, where, settings)

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Return the run lengths of each image, of each class in each image, or of each instance."""
        from goldfold.submission import masks

        ids, coding = predictions["ids"].tolist(), self.spec.coding
        if form.repeats:
            found = (by_class(self.spec, objects) for objects in separated(self.spec, predictions, ids))
            return masks.table_of_instances(found, ids, self.classes, form)
        layers = ((coding.has(mask, code) for code in coding.codes) for mask in masks_of(self.spec, predictions, ids))
        return masks.table(layers, ids, self.classes, form)

    def write_extras(self, predictions: Arrays, table: pd.DataFrame, folder: str, class_ids: Mapping[str, int]) -> None:
        """Write ``masks/<id>.png`` at the original size, with the pixel values of the training masks.

        Classes that may overlap have one file each, ``masks/<class>/<id>.png``, 255 in the class. With the step `instances`, also
        ``instances/<id>.png``, or ``instances/<class>/<id>.png``, the number of the instance of each pixel.
        """
        from goldfold.targets.mask_files import written
        from goldfold.targets.masks import write_mask

        ids = list(table["id"])
        for id, mask in zip(ids, masks_of(self.spec, predictions, ids), strict=True):
            for own, part in written(self.spec.coding, mask):
                write_mask(f"{folder}/masks/{own}{id}.png", part)
        if INSTANCES in predictions:
            write(self.spec, predictions, ids, Path(folder) / "instances")
        else:
            shutil.rmtree(Path(folder) / "instances", ignore_errors=True)  # of an earlier run that had the step
