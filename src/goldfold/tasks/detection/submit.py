"""Submissions of boxes."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from goldfold import components
from goldfold.base.numbers import WHOLE
from goldfold.predictions.arrays import rows_of
from goldfold.tasks.detection.boxes import Found, by_image
from goldfold.tasks.detection.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays
    from goldfold.submission.form import Form


class Submit:
    """Submissions with one PredictionString per image."""

    def __init__(self, spec: Spec) -> None:
        self.spec, self.classes = spec, spec.classes

    def form(
        self, sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], metric: components.Written
    ) -> Form:
        """Return the columns: id and PredictionString."""
        from goldfold.submission import boxes

        return boxes.form(sample, where, settings)

    def submission(self, predictions: Arrays, form: Form) -> pd.DataFrame:
        """Return the boxes of each image as one text, by descending score; empty without boxes."""
        from goldfold.submission import boxes

        found, ids = by_image(predictions), predictions["ids"].tolist()
        return boxes.table(found, ids, self.classes, self.spec.box_fields, self.spec.least_score, form)

    def write_extras(self, predictions: Arrays, table: pd.DataFrame, folder: str, class_ids: Mapping[str, int]) -> None:
        """Write ``submission.json``: COCO results, with the ids of the competition's COCO files if there are any.

        Otherwise images have goldfold's ids, and classes are numbered 1, 2, ... in their order. If asked for, write
        YOLO's text files in ``yolo/`` too.
        """
        from goldfold.base.files import write_json
        from goldfold.submission import boxes, yolo

        ids = list(table["id"])
        numbers = [_number(id) for id in table["coco_id"]] if "coco_id" in table else ids
        categories = [class_ids[name] if class_ids else index + 1 for index, name in enumerate(self.classes)]
        found = by_image(predictions, ids)
        write_json(f"{folder}/submission.json", boxes.coco(found, numbers, categories, self.spec.least_score))
        shutil.rmtree(f"{folder}/yolo", ignore_errors=True)  # of other settings or images
        if self.spec.yolo:
            kept = [_at_least(image, self.spec.least_score) for image in found]
            sizes = predictions["sizes"][rows_of(predictions, ids)]
            yolo.write(f"{folder}/yolo", ids, sizes, kept, self.classes, self.spec.yolo == "scores")


def _at_least(found: Found, least_score: float) -> Found:
    """Boxes with at least this score."""
    kept = found[1] >= least_score
    return found[0][kept], found[1][kept], found[2][kept]


def _number(id: str) -> int | str:
    """Convert an id to its type in the competition's JSON, as tables store text."""
    return int(id) if WHOLE.fullmatch(id) else id
