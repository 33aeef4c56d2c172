"""Checks of the arrays of an .npz of another tool that hold for every task."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.predictions.arrays import PER_OBJECT, Arrays, OneByOne, odd_class

TEXT = "USiu"
"""Kinds of numpy arrays that may hold ids: text, bytes, whole numbers."""


def checked(arrays: Arrays, classes: Sequence[str], where: str) -> Arrays:
    """Return the arrays of a file with ``ids`` as text.

    Args:
        classes: classes of the run.
        where: file and member, for error messages.

    Raises:
        DataError: the ids are not a list, the classes are not those of the run in its order, or entries of single images are
            not one per image.
    """
    ids = _ids(arrays["ids"], where)
    given = [str(name) for name in np.ravel(arrays["classes"])]
    if odd := odd_class(given, classes):
        raise DataError(
            f"{where}: {odd}. An .npz needs all classes of the run, in the order of folds/classes.json, for its 'classes' and "
            f"its predictions; a .csv may have them in any order, and lack some."
        )
    if not isinstance(arrays, OneByOne):
        return {**arrays, "ids": ids}
    if len(arrays.rows) != len(ids):
        name = next(iter(arrays.rows)).partition("/")[0]
        raise DataError(
            f"{where}: has {len(arrays.rows):,} arrays '{name}/<row>' of {len(ids):,} images; each image needs one, from "
            f"'{name}/0' to '{name}/{len(ids) - 1}'."
        )
    arrays.arrays["ids"] = ids
    return arrays


def refuse_uneven(arrays: Arrays, where: str) -> None:
    """Refuse entries with other numbers of rows than images, or than objects.

    Raises:
        DataError: an entry has.
    """
    n = len(arrays["ids"])
    small = arrays.arrays if isinstance(arrays, OneByOne) else arrays
    for name, array in small.items():
        per_object = name in PER_OBJECT and "counts" in small
        wanted = int(small["counts"].sum()) if per_object else n
        if name != "classes" and array.ndim and len(array) != wanted:
            unit = "objects (the sum of 'counts')" if per_object else "images"
            raise DataError(f"{where}: {name!r} has {len(array):,} rows for {wanted:,} {unit}; each needs one.")


def one_per_image(arrays: Arrays, name: str, where: str) -> list[str] | None:
    """Return an entry with one value per image as text; None if there is no such entry.

    Raises:
        DataError: it has another shape.
    """
    if name not in arrays:
        return None
    shape = (len(arrays["ids"]),)
    if arrays[name].shape != shape:
        raise DataError(
            f"{where}: {name!r} has the shape {arrays[name].shape} instead of {shape}, one value per image."
        )
    return [str(value) for value in arrays[name]]


def _ids(found: NDArray[Any], where: str) -> NDArray[np.str_]:
    if found.ndim != 1 or found.dtype.kind not in TEXT:
        raise DataError(
            f"{where}: 'ids' must be a list (n,) of text or whole numbers; it has the shape {found.shape} and the type "
            f"{found.dtype}."
        )
    if found.dtype.kind == "S":
        return np.char.decode(found, "utf-8", "replace")
    return found.astype(str)
