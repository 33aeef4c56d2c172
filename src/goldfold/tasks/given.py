"""Shared code of tasks that read predictions of other tools from tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError, nearest

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

PREFIX = "p_"
"""Prefix of the columns of classes in goldfold's own tables, which another table may leave out."""
SMALLEST = 1e-7
"""Smallest probability: one of 0 has no logit."""


def class_columns(table: pd.DataFrame, classes: Sequence[str], where: str) -> dict[str, str]:
    """Return class -> column, for the classes that have one, named like the class or ``p_<class>``.

    Raises:
        DataError: no class has a column.
    """
    found = {name: next((key for key in (PREFIX + name, name) if key in table), None) for name in classes}
    known = {name: column for name, column in found.items() if column is not None}
    if not known:
        listed = ", ".join(map(str, table.columns[:20]))
        raise DataError(
            f"{where}: no column has the name of a class; there must be one per class with its probability, such as "
            f"{PREFIX + classes[0]!r} or {classes[0]!r}. Its columns: {listed}."
        )
    return known


def numbers(table: pd.DataFrame, columns: Sequence[str], where: str) -> NDArray[np.float64]:
    """Return finite numbers (n, columns) of a table of text.

    Raises:
        DataError: a cell is not a finite number.
    """
    import pandas as pd

    values = np.stack([pd.to_numeric(table[name], errors="coerce").to_numpy(np.float64) for name in columns], axis=1)
    rows, places = np.nonzero(~np.isfinite(values))
    if len(rows):
        id, column = table["id"].iloc[rows[0]], columns[places[0]]
        raise DataError(
            f"{where}: id {id!r} has {table[column].iloc[rows[0]]!r} in column {column!r}, which is not a finite number "
            f"({len(rows):,} such cells). Every prediction must be finite."
        )
    return values


def column(table: pd.DataFrame, names: Sequence[str], where: str) -> str:
    """Return the first of several column names that a table has.

    Raises:
        DataError: it has none.
    """
    for name in names:
        if name in table:
            return name
    listed = ", ".join(map(str, table.columns[:20]))
    raise DataError(
        f"{where}: no column {names[0]!r}; {nearest(names[0], map(str, table.columns))}its columns: {listed}."
    )


def refuse_no_probabilities(values: NDArray[np.float64], table: pd.DataFrame, where: str) -> None:
    """Refuse values outside 0 to 1.

    Raises:
        DataError: there is one.
    """
    outside = ((values < 0) | (values > 1)).any(axis=1)
    if outside.any():
        first = int(np.argmax(outside))
        raise DataError(
            f"{where}: id {table['id'].iloc[first]!r} has the values {values[first].tolist()[:5]}, which are not probabilities "
            f"({int(outside.sum()):,} such rows). Write probabilities from 0 to 1, after softmax or sigmoid."
        )


def member_of(
    table: pd.DataFrame, known: Iterable[str], logits: NDArray[np.float64], classes: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a member with one logit per image and class, NaN for classes that it does not know.

    Args:
        known: classes of the columns of ``logits`` (n, known classes).
    """
    found = np.full((len(logits), len(classes)), np.nan, dtype=np.float32)
    found[:, [classes.index(name) for name in known]] = logits
    return {"ids": table["id"].to_numpy(str), "classes": np.array(classes), "logits": found}


def with_logits(
    arrays: Arrays, inverse: Callable[[NDArray[np.float64]], NDArray[np.float64]], where: str
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a member, with ``logits`` made from the ``probabilities`` of an ensemble's file if it is one.

    Args:
        inverse: probabilities (n, classes) -> logits.

    Raises:
        DataError: there is neither, or a value is not finite.
    """
    if "logits" in arrays:
        values = arrays["logits"]
    elif "probabilities" in arrays:
        values = inverse(arrays["probabilities"].astype(np.float64))
    else:
        raise DataError(f"{where}: has neither an array 'logits' nor 'probabilities' (n, classes).")
    shape = (len(arrays["ids"]), len(arrays["classes"]))
    if values.shape != shape or not np.isfinite(values).all():
        raise DataError(
            f"{where}: its predictions have the shape {values.shape} and {int((~np.isfinite(values)).sum()):,} values that are "
            f"not finite; {shape} finite numbers are needed."
        )
    return {"ids": arrays["ids"], "classes": arrays["classes"], "logits": values.astype(np.float32)}


def unknown_classes(predictions: Arrays) -> list[str]:
    """Return the classes that a member does not know, whose logits are NaN."""
    if "logits" not in predictions:
        return []
    lacking = np.isnan(predictions["logits"]).any(axis=0)
    return [str(name) for name in predictions["classes"][lacking]]


def is_partial(predictions: Arrays) -> bool:
    """Return whether a member does not know all classes."""
    return bool(unknown_classes(predictions))
