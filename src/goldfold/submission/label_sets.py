"""Several labels per image: all in one cell, or one column per class."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError, nearest
from goldfold.submission.form import Form


def form(
    classes: Sequence[str],
    separator: str,
    sample: pd.DataFrame | None,
    where: str,
    settings: Mapping[str, Any],
    of_labels: bool,
) -> Form:
    """Columns: id and labels, separated by ``separator``; or id and every class, with probabilities.

    Args:
        where: name of the sample file.
        settings: ``format``, ``id_column``, ``label_column`` of the config.
        of_labels: whether the metric uses labels only.

    Raises:
        DataError: the sample cannot be filled with these classes.
    """
    if sample is None:
        as_labels = of_labels if settings["format"] == "auto" else settings["format"] == "label"
        id_column = settings["id_column"]
        if id_column in classes and not as_labels:
            raise DataError(f"submission.id_column: {id_column!r} is also the name of a class; choose another.")
        made = Form([id_column, settings["label_column"]] if as_labels else [id_column, *classes], as_labels=as_labels)
    else:
        columns = [str(column) for column in sample.columns]
        as_labels = _wants_labels(classes, columns[1:], where, settings["format"])
        if as_labels:
            _refuse_unknown(classes, separator, sample.iloc[:, 1], where)
        made = Form(columns, keys=[(str(id),) for id in sample.iloc[:, 0]], as_labels=as_labels)
    torn = [name for name in classes if separator in name] if as_labels else []
    if torn:
        raise DataError(
            f"submission: class {torn[0]!r} contains the separator {separator!r}, so it would be split. Rename it, or "
            f"set submission.format: probabilities."
        )
    return made


def table(
    values: NDArray[np.float64],
    ids: Sequence[str],
    classes: Sequence[str],
    form: Form,
    threshold: float | NDArray[np.float64],
    separator: str,
) -> pd.DataFrame:
    """A cell with the labels at or above ``threshold``, empty for none; or the probability of each class.

    Args:
        values: probabilities (n, classes).
        threshold: one for all, or (n, classes).
    """
    columns, names = form.columns, list(classes)
    if not form.as_labels:
        chosen = {column: values[:, names.index(column)] for column in columns[1:]}
        return pd.DataFrame({columns[0]: ids, **chosen})
    cells = [separator.join(np.array(names, dtype=object)[row]) for row in values >= threshold]
    return pd.DataFrame({columns[0]: ids, columns[1]: cells})


def _wants_labels(classes: Sequence[str], columns: Sequence[str], path: str, format: str) -> bool:
    """Return whether the sample has one column that is not a class; otherwise it must have all classes."""
    is_one = len(columns) == 1 and columns[0] not in classes
    if (format == "label" and not is_one) or (format == "probabilities" and is_one) or not columns:
        wanted = "one column that is not a class" if format == "label" else "one column per class"
        raise DataError(
            f"{path}: submission.format is {format}, which needs {wanted}; the sample has, besides the id: "
            f"{', '.join(columns) or 'nothing'}. Set submission.format: auto, or correct the sample."
        )
    odd = [] if is_one else [name for name in columns if name not in classes]
    if odd:
        raise DataError(
            f"{path}: column {odd[0]!r} is not a class; {nearest(odd[0], classes)}classes: {', '.join(classes)}"
        )
    lacking = [] if is_one else [name for name in classes if name not in columns]
    if lacking:
        raise DataError(f"{path}: no column for class {lacking[0]!r}; classes: {', '.join(classes)}")
    return is_one


def _refuse_unknown(classes: Sequence[str], separator: str, cells: "pd.Series[str]", path: str) -> None:
    """Refuse example labels in the sample that are not classes, which means another separator or other names."""
    for cell in cells.dropna().unique():
        for label in cell.split() if separator.isspace() else map(str.strip, cell.split(separator)):
            if label and label not in classes:
                raise DataError(
                    f"{path}: {label!r} is not a class; {nearest(label, classes)}classes: {', '.join(classes)}; labels are "
                    f"separated by {separator!r}."
                )
