"""Points in a CSV table with one row per point, and a folder of images."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from goldfold.base.errors import DataError
from goldfold.images.files import pool_of, without_suffix
from goldfold.sources.groups import with_groups
from goldfold.sources.reading import column_of, line_of, read_csv
from goldfold.sources.rle import with_unlisted
from goldfold.sources.unlisted import pool_beside, refuse_others, report_unlisted
from goldfold.targets.points import to_text

NO_POINT = "[]"
ONE_CLASS = "point"
"""Name of the class of a table without a column of classes, if the config names none."""


def read(
    train: str,
    images: str,
    id_column: str = "id",
    x_column: str = "x",
    y_column: str = "y",
    class_column: str | None = None,
    classes: list[str] | None = None,
    pixel_centre: float = 0.5,
    unlisted: str = "empty",
    test: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    groups: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables with ``points`` (text as read by `goldfold.targets.points`), missing if an image without a row has no target.

    Args:
        classes: the name of the class, if there is no class column.
        pixel_centre: coordinates of the centre of the first pixel in the table.
        test_answers: CSV of the same form with the test images; they become the split ``answers`` (id, points).
        groups: CSV with the columns id and group.

    Raises:
        DataError: a column is missing, a coordinate is no number, or answers are for other images.
    """
    columns, shift = (id_column, x_column, y_column), 0.5 - pixel_centre
    one = (classes or [ONE_CLASS])[0]
    nothing = NO_POINT if unlisted == "empty" else None
    points = _by_image(train, "data.train", columns, class_column, one, shift)
    held_out = [] if test is None else pool_of(test, "data.test")
    table = with_unlisted(list(points), train, images, {path for _, path in held_out}, unlisted == "left_out")
    table["points"] = [points.get(id, nothing) for id in table["id"]]
    tables = {"train": with_groups(table, groups)}
    if test is not None:
        tables["test"] = pd.DataFrame(held_out, columns=["id", "path"])
    if test_answers is not None:
        if test is None:
            raise DataError("data.test_answers is set, but there are no test images: set data.test, or remove it.")
        found = _by_image(test_answers, "data.test_answers", columns, class_column, one, shift)
        known = {without_suffix(id): text for id, text in found.items()}
        refuse_others(known, tables["test"], test_answers, "points")
        rows = [(id, known.get(id, nothing)) for id in tables["test"]["id"]]
        tables["answers"] = pd.DataFrame(rows, columns=["id", "points"])
    if unlabeled is not None:
        tables["unlabeled"] = pool_beside(unlabeled, tables)
    if unlisted == "left_out":
        report_unlisted([images], tables)
    return tables


def _by_image(
    path: str, key: str, columns: Sequence[str], class_column: str | None, one: str, shift: float
) -> dict[str, str]:
    """Text of the points by image id; a row with both coordinates empty says that the image has no point."""
    table = read_csv(path, key)
    ids, *cells = (
        column_of(table, name, path, f"data.{axis}_column")
        for name, axis in zip(columns, ("id", "x", "y"), strict=True)
    )
    names = None if class_column is None else column_of(table, class_column, path, "data.class_column")
    is_empty = cells[0].isna() & cells[1].isna()
    numbers = [_numbers(table, cell, name, path, is_empty) for cell, name in zip(cells, columns[1:], strict=True)]
    _refuse_empty(table, ids, columns[0], path)
    if names is not None:
        _refuse_empty(table, names.where(~is_empty, ""), str(class_column), path)
    rows = pd.DataFrame({"label": one if names is None else names, "x": numbers[0] + shift, "y": numbers[1] + shift})
    found = {}
    for id, places in ids.groupby(ids, sort=False).indices.items():
        own = rows.iloc[places[~is_empty.to_numpy()[places]]]
        found[str(id)] = to_text(own["label"].tolist(), own[["x", "y"]].to_numpy(float))
    return found


def _numbers(
    table: pd.DataFrame, cells: "pd.Series[str]", column: str, path: str, may_lack: "pd.Series[bool]"
) -> "pd.Series[float]":
    numbers = pd.to_numeric(cells, errors="coerce")
    wrong = ~may_lack & ~np.isfinite(numbers)
    if wrong.any():
        row = int(wrong.to_numpy().argmax())
        value = "an empty field" if pd.isna(cells.iloc[row]) else repr(cells.iloc[row])
        raise DataError(
            f"{path}: column {column!r} has {value} in {line_of(table, row)} ({int(wrong.sum())} such rows), which is not a "
            f"coordinate in pixels. Correct it; a row with no coordinate at all says that its image has no point."
        )
    return numbers


def _refuse_empty(table: pd.DataFrame, cells: "pd.Series[str]", column: str, path: str) -> None:
    if cells.isna().any():
        row = int(cells.isna().to_numpy().argmax())
        raise DataError(f"{path}: column {column!r} is empty in {line_of(table, row)}. Fill it in.")
