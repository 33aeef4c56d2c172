"""Submissions of points: a row per point, a text per image, or columns per class."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd

from goldfold.base.errors import DataError
from goldfold.submission.form import Form

Found = Sequence[tuple[Any, Any, Any]]
"""Points (n, 2) x, y in pixels, scores (n,) and class indices (n,) of each image."""
Kind = Literal["points", "images", "columns"]
NAMES = {
    "x": ("x", "x_px", "x_pos", "col", "column"),
    "y": ("y", "y_px", "y_pos", "row"),
    "label": ("class", "label", "prediction", "category", "class_name", "particle_type", "keypoint"),
    "score": ("score", "confidence", "conf", "probability"),
}
"""Names of the columns of a sample file with one row per point, in lower case."""


def form(
    classes: Sequence[str], sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any], rows: str
) -> Form:
    """Columns of the submission.

    Args:
        where: name of the sample file.
        settings: ``id_column`` of the config.
        rows: ``task_params.rows``.

    Raises:
        DataError: the sample has other columns than needed.
    """
    if sample is None:
        kind = "points" if rows == "auto" else rows
        listed = {
            "points": ["x", "y", "class", "score"],
            "images": ["PointString"],
            "columns": [f"{name}_{axis}" for name in classes for axis in "xy"],
        }[kind]
        return Form([settings["id_column"], *listed], repeats=kind == "points", may_lack=kind == "points")
    columns = [str(column) for column in sample.columns]
    kind = kind_of(columns, classes, where, rows)
    keys = [(str(id),) for id in sample.iloc[:, 0]]
    return Form(columns, keys=keys, repeats=kind == "points", may_lack=kind == "points")


def kind_of(columns: Sequence[str], classes: Sequence[str], where: str, rows: str) -> Kind:
    """Return which rows these columns, the first of them the id, are for.

    Raises:
        DataError: they are for none, or for others than ``rows``.
    """
    others = list(columns[1:])
    by_class = {f"{name}_{axis}" for name in classes for axis in "xy"}
    if others and {*others} <= by_class:
        found: Kind = "columns"
    elif len(others) == 1:
        found = "images"
    elif {"x", "y"} <= {*map(_meaning, others)} and None not in map(_meaning, others):
        found = "points"
    else:
        raise DataError(
            f"{where}: has the columns {', '.join(columns)}; needed are the id and x, y and optionally class and score (one row "
            f"per point), the id and one column for a PointString, or the id and columns such as {classes[0]}_x, {classes[0]}_y."
        )
    if rows not in ("auto", found):
        raise DataError(
            f"{where}: its columns {', '.join(columns)} are those of task_params.rows: {found}, not of {rows}. Remove the "
            f"setting."
        )
    return found


def _meaning(column: str) -> str | None:
    return next((meaning for meaning, names in NAMES.items() if column.strip().lower() in names), None)


def table(
    found: Found,
    ids: Sequence[str],
    classes: Sequence[str],
    fields: Sequence[str],
    kind: Kind,
    shift: float,
    form: Form,
) -> pd.DataFrame:
    """Rows of the submission.

    Args:
        found: points that count.
        kind: rows, see `kind_of`.
        fields: fields of each point in a text, see ``task_params.point_fields``.
        shift: number that is added to coordinates, for files whose first pixel is not at 0.5.
    """
    moved = [(np.asarray(points, float) + shift, scores, labels) for points, scores, labels in found]
    if kind == "points":
        return _by_point(moved, ids, classes, form)
    if kind == "images":
        texts = [point_string(*image, classes, fields) for image in moved]
        return pd.DataFrame({form.columns[0]: ids, form.columns[1]: texts})
    return _by_class(moved, ids, classes, form)


def _by_point(found: Found, ids: Sequence[str], classes: Sequence[str], form: Form) -> pd.DataFrame:
    """One row per point by descending score; none for an image without points."""
    lengths = [len(scores) for _, scores, _ in found]
    points, scores, labels = (np.concatenate([np.asarray(image[part]) for image in found]) for part in range(3))
    values = {
        "x": points.reshape(-1, 2)[:, 0].round(2),
        "y": points.reshape(-1, 2)[:, 1].round(2),
        "label": np.array(classes, dtype=object)[labels.astype(int)],
        "score": scores.astype(float).round(6),
    }
    columns = {column: values[str(_meaning(column))] for column in form.columns[1:]}
    return pd.DataFrame({form.columns[0]: np.repeat(np.array(ids, dtype=object), lengths), **columns})


def point_string(points: Any, scores: Any, labels: Any, classes: Sequence[str], fields: Sequence[str]) -> str:
    """The text of the points of one image, by descending score."""
    words: list[str] = []
    for row in np.argsort(-np.asarray(scores), kind="stable"):
        values = {
            "label": classes[labels[row]], "class_index": str(labels[row]), "score": f"{scores[row]:.6f}",
            "x": f"{points[row, 0]:.2f}", "y": f"{points[row, 1]:.2f}",
        }  # fmt: skip
        words += [values[name] for name in fields]
    return " ".join(words)


def _by_class(found: Found, ids: Sequence[str], classes: Sequence[str], form: Form) -> pd.DataFrame:
    """One row per image with the best point of each class, empty without one."""
    cells = {column: np.full(len(ids), np.nan) for column in form.columns[1:]}
    for row, (points, scores, labels) in enumerate(found):
        for number, name in enumerate(classes):
            own = np.flatnonzero(labels == number)
            if len(own):
                best = points[own[np.argmax(scores[own])]]
                for axis, value in zip("xy", best, strict=True):
                    if f"{name}_{axis}" in cells:
                        cells[f"{name}_{axis}"][row] = round(float(value), 2)
    return pd.DataFrame({form.columns[0]: ids, **cells})
