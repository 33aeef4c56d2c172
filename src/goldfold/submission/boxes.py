"""Boxes as PredictionStrings and as COCO results."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.errors import DataError
from goldfold.submission.form import Form

Found = Sequence[tuple[Any, Any, Any]]
"""Boxes (n, 4) x1, y1, x2, y2 in pixels, scores (n,) and class indices (n,) of each image."""


def form(sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any]) -> Form:
    """Columns: id and PredictionString.

    Args:
        where: name of the sample file.
        settings: ``id_column`` of the config.

    Raises:
        DataError: the sample has other columns.
    """
    if sample is None:
        return Form([settings["id_column"], "PredictionString"])
    columns = [str(column) for column in sample.columns]
    if len(columns) != 2:
        raise DataError(f"{where}: has the columns {', '.join(columns)}; needed are id and PredictionString.")
    return Form(columns, keys=[(str(id),) for id in sample.iloc[:, 0]])


def table(
    found: Found, ids: Sequence[str], classes: Sequence[str], fields: Sequence[str], least_score: float, form: Form
) -> pd.DataFrame:
    """The boxes of each image as one text, highest score first; empty without boxes.

    Args:
        fields: fields of each box, see ``task_params.box_fields``.
        least_score: boxes with lower scores are left out.
    """
    texts = [prediction_string(*image, classes, fields, least_score) for image in found]
    return pd.DataFrame({form.columns[0]: ids, form.columns[1]: texts})


def prediction_string(
    boxes: Any, scores: Any, labels: Any, classes: Sequence[str], fields: Sequence[str], least_score: float
) -> str:
    """The text of the boxes of one image."""
    words: list[str] = []
    for row in np.argsort(-scores, kind="stable"):
        if scores[row] < least_score:
            break
        x1, y1, x2, y2 = (f"{value:.2f}" for value in boxes[row])
        width, height = (f"{value:.2f}" for value in boxes[row, 2:] - boxes[row, :2])
        values = {
            "label": classes[labels[row]], "class_index": str(labels[row]), "score": f"{scores[row]:.6f}",
            "x1": x1, "y1": y1, "x2": x2, "y2": y2, "width": width, "height": height,
        }  # fmt: skip
        words += [values[name] for name in fields]
    return " ".join(words)


def coco(
    found: Found, images: Sequence[int | str], categories: Sequence[int], least_score: float
) -> list[dict[str, Any]]:
    """COCO results: one entry per box, with [x, y, width, height] in pixels.

    Args:
        images: image_id of each image.
        categories: category_id of each class.
    """
    return [
        {
            "image_id": image,
            "category_id": categories[int(label)],
            "bbox": [round(float(value), 2) for value in (*box[:2], *(box[2:] - box[:2]))],
            "score": round(float(score), 6),
        }
        for image, boxes in zip(images, found, strict=True)
        for box, score, label in zip(*boxes, strict=True)
        if score >= least_score
    ]
