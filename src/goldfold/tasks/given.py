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
LARGEST_LOGIT = 1e6
"""Logits beyond it, such as the logarithm of 0, are this: their probabilities are the same."""


def class_columns(table: pd.DataFrame, classes: Sequence[str], where: str) -> dict[str, str]:
    """Return class -> column, for the classes that have one, named like the class or ``p_<class>``.

    Raises:
        DataError: no class has a column, a class has two, or a class has none while a column looks like that of a class.
    """
    known_names = {*classes}
    for name in classes:
        _refuse_two_columns(table, name, known_names, where)
    found = {name: next((key for key in (PREFIX + name, name) if key in table), None) for name in classes}
    known = {name: column for name, column in found.items() if column is not None}
    if not known:
        listed = ", ".join(map(str, table.columns[:20]))
        raise DataError(
            f"{where}: no column has the name of a class; there must be one per class with its probability, such as "
            f"{PREFIX + classes[0]!r} or {classes[0]!r}. Its columns: {listed}."
        )
    _refuse_like_a_class(table, [name for name, column in found.items() if column is None], [*known.values()], where)
    return known


def _refuse_like_a_class(table: pd.DataFrame, lacking: Sequence[str], taken: Sequence[str], where: str) -> None:
    """Refuse a column that could be that of a class without one: ``p_...``, or its name in other letters."""
    if not lacking:
        return
    names = {name.strip().casefold() for name in lacking}
    for column in map(str, table.columns):
        if column not in taken and (column.startswith(PREFIX) or column.strip().casefold() in names):
            raise DataError(
                f"{where}: column {column!r} is of no class of the run, and class {lacking[0]!r} has no column. Name it "
                f"{PREFIX + lacking[0]!r}; or remove it, if this tool does not know the class."
            )


def _refuse_two_columns(table: pd.DataFrame, name: str, classes: set[str], where: str) -> None:
    """Refuse columns of both names of a class, and a column that stands twice, which pandas calls ``<name>.1``."""
    own = [key for key in (PREFIX + name, name) if key in table and (key == name or key not in classes)]
    own += [key for key in (f"{PREFIX}{name}.1", f"{name}.1") if own and key in table and key not in classes]
    if len(own) > 1:
        raise DataError(f"{where}: class {name!r} has two columns, {own[0]!r} and {own[1]!r}. Remove one of them.")


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


def numeric(arrays: Arrays, name: str, shape: tuple[int, ...], where: str, about: str) -> NDArray[Any]:
    """Return an array of finite numbers of a file.

    Args:
        about: what it holds, for error messages.

    Raises:
        DataError: it is missing, has another shape, or holds text or a number that is not finite.
    """
    if name not in arrays:
        raise DataError(f"{where}: has no array {name!r} {shape}, {about}. It has: {', '.join(list(arrays)[:20])}.")
    values = arrays[name]
    if values.shape != shape or values.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: {name!r} has the shape {values.shape} and the type {values.dtype}; needed are numbers of the shape "
            f"{shape}, {about}."
        )
    refuse_rows(
        ~np.isfinite(values).reshape(len(values), -1).all(axis=1), values, arrays, where, f"not finite in {name!r}"
    )
    return values


def refuse_rows(is_odd: Any, values: NDArray[Any], arrays: Arrays, where: str, what: str) -> None:
    """Refuse values with one row per image, or per object of images with ``counts`` of them.

    Args:
        is_odd: (n,) True for the refused rows of ``values`` (n, ...).
        what: what they are, such as ``not finite in 'values'``.

    Raises:
        DataError: there are some; the first is named with its id.
    """
    if is_odd.any():
        row, ids = int(np.argmax(is_odd)), arrays["ids"]
        if len(values) != len(ids):
            ids = np.repeat(ids, arrays["counts"])
        shown = np.ravel(values[row])[:6].tolist()
        raise DataError(
            f"{where}: id {str(ids[row])!r} has {shown if values.ndim > 1 else shown[0]}, which is {what} "
            f"({int(is_odd.sum()):,} such rows)."
        )


def image_sizes(arrays: Arrays, images: pd.DataFrame, where: str) -> NDArray[np.int32]:
    """Return the array ``sizes`` (n, 2), height and width of each image.

    Args:
        images: id, height and width of the images of the run; there may be others in ``arrays``.

    Raises:
        DataError: they are other sizes than those of the images, or have no area.
    """
    about = "height and width of each image in pixels"
    sizes = numeric(arrays, "sizes", (len(arrays["ids"]), 2), where, about)
    known = dict(zip(images["id"], images[["height", "width"]].astype(int).itertuples(index=False), strict=True))
    true = [known.get(str(id), own) for id, own in zip(arrays["ids"], sizes.tolist(), strict=True)]
    odd = (sizes != np.reshape(true, sizes.shape)).any(axis=1) | (sizes < 1).any(axis=1)
    refuse_rows(
        odd, sizes, arrays, where, "not the height and width of the image, as in folds/train.csv and folds/test.csv"
    )
    return sizes.astype(np.int32)


def refuse_no_probabilities(values: NDArray[np.float64], ids: NDArray[Any], where: str) -> None:
    """Refuse values (n, any) outside 0 to 1.

    Raises:
        DataError: there is one.
    """
    outside = ((values < 0) | (values > 1)).any(axis=1)
    if outside.any():
        first = int(np.argmax(outside))
        raise DataError(
            f"{where}: id {str(ids[first])!r} has the values {values[first].tolist()[:5]}, which are not probabilities "
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
        DataError: there is neither, or a value is not finite, or not a probability.
    """
    shape = (len(arrays["ids"]), len(arrays["classes"]))
    if "logits" in arrays or "probabilities" not in arrays:
        values = numeric(
            arrays, "logits", shape, where, "one per image and class, or 'probabilities' of the same shape"
        )
    else:
        given = numeric(arrays, "probabilities", shape, where, "one per image and class").astype(np.float64)
        refuse_no_probabilities(given, arrays["ids"], where)
        values = inverse(given)
    values = np.clip(values, -LARGEST_LOGIT, LARGEST_LOGIT)  # of float64 some would be infinite in float32
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
