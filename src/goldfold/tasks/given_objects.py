"""Objects that other tools have found, any number per image, read from tables and files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError, nearest
from goldfold.predictions.arrays import PER_OBJECT
from goldfold.tasks import given

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

LABELS, SCORES = ("prediction", "label", "class"), ("confidence", "score")
"""Columns that may hold the class of an object, and its score."""


def of_table(
    table: pd.DataFrame, columns: Sequence[str], classes: Sequence[str], where: str
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], dict[str, NDArray[Any]]]:
    """Read a table of text with one row per object.

    Args:
        columns: those of the places.

    Returns:
        Places (n, columns), scores (n,), labels (n,), and the rows of each image.

    Raises:
        DataError: an unknown class, a score outside 0 to 1, or a place that is no number.
    """
    names = table[given.column(table, LABELS, where)]
    unknown = sorted({*names} - {*classes})
    if unknown:
        raise DataError(
            f"{where}: {unknown[0]!r} is no class; {nearest(unknown[0], classes)}classes: {', '.join(classes)}."
        )
    scores = given.numbers(table, [given.column(table, SCORES, where)], where)
    given.refuse_no_probabilities(scores, table["id"].to_numpy(), where)
    places = given.numbers(table, [given.column(table, (name,), where) for name in columns], where)
    labels = names.map({name: number for number, name in enumerate(classes)}).to_numpy(int)
    rows = {str(id): places for id, places in table.groupby("id", sort=False).indices.items()}
    return places, scores[:, 0], labels, rows


def refuse_no_image(noun: str, found: pd.Series[str], wanted: pd.Series[str], where: str) -> None:
    """Refuse objects of which none is in one of the images: their ids are others."""
    if not found.isin(wanted).any():
        has = f"its ids look like {str(found.iloc[0])[:60]!r}" if len(found) else "it has none at all"
        raise DataError(
            f"{where}: has no {noun} of any of the {len(wanted):,} images, whose ids look like {str(wanted.iloc[0])[:60]!r}; "
            f"{has}. Write the ids of the run, as in folds/train.csv and folds/test.csv."
        )


def of_arrays(
    found: Arrays,
    name: str,
    about: str,
    classes: Sequence[str],
    n_images: int,
    noun: str,
    where: str,
    refuse_places: Callable[[NDArray[Any]], None] = lambda places: None,
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], list[NDArray[np.int64]]]:
    """Read the arrays of a file with any number of objects per image.

    Args:
        about: numbers of a place, such as ``x, y in pixels``.
        noun: objects, in the plural.
        refuse_places: raises DataError for places that cannot be used.

    Returns:
        Places, scores (n,), labels (n,), and the rows of each image.

    Raises:
        DataError: an array is missing or has another shape, counts do not match the objects, an unknown class, or a score
            outside 0 to 1.
    """
    counts = given.numeric(found, "counts", (n_images,), where, f"the number of {noun} of each image")
    given.refuse_rows((counts < 0) | (counts != np.round(counts)), counts, found, where, f"no number of {noun}")
    n = int(counts.sum())
    if any(key in found and found[key].ndim and len(found[key]) != n for key in PER_OBJECT):
        rows = ", ".join(f"{len(found[key]):,} {key}" for key in PER_OBJECT if key in found)
        one = "box" if noun == "boxes" else noun.removesuffix("s")
        raise DataError(f"{where}: 'counts' sum to {n:,}, but there are {rows}; each {one} needs one row.")
    places = given.numeric(found, name, (n, len(about.split(", "))), where, about)
    scores = given.numeric(found, "scores", (n,), where, "from 0 to 1")
    labels = given.numeric(found, "labels", (n,), where, f"places of classes, 0 to {len(classes) - 1}")
    refuse_places(places)
    given.refuse_rows((scores < 0) | (scores > 1), scores, found, where, "a score outside 0 to 1")
    odd = (labels < 0) | (labels >= len(classes)) | (labels != np.round(labels))
    given.refuse_rows(odd, labels, found, where, f"no label; they are places of classes, 0 to {len(classes) - 1}")
    ends = np.cumsum(counts).astype(int)
    return places, scores, labels, [np.arange(end - int(n), end) for end, n in zip(ends, counts, strict=True)]
