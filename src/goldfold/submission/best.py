"""Cells with several classes, the most probable first, or with a class and its confidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold import components
from goldfold.base.errors import DataError
from goldfold.submission.form import Form

if TYPE_CHECKING:
    import pandas as pd

BEST, CONFIDENCE = "best", "confidence"
"""Formats: the classes of an image by falling probability; a class with its confidence."""
BY_METRIC = {"map_at_k": BEST, "gap": CONFIDENCE}
"""Format that a metric scores."""
DEFAULT_K = 5
"""Classes per image where neither the metric nor a sample says how many, as in map_at_k."""
WORDS = {BEST: "classes separated by spaces", CONFIDENCE: "a class and a number, separated by a space"}
"""What a cell of each format holds."""
BLOCK = 1024
"""Images whose classes are sorted at a time."""


def scored_by(metric: components.Written) -> str:
    """Return `BEST` or `CONFIDENCE` if the metric scores that format, else an empty text."""
    return BY_METRIC.get(components.parse(metric)[0], "")


def k_of(metric: components.Written, default: int) -> int:
    """Return the parameter ``k`` of a metric of `BY_METRIC`, else ``default``."""
    name, params = components.parse(metric)
    return int(params.get("k", default)) if name in BY_METRIC else default


def shown_in(cells: Sequence[str], classes: Sequence[str]) -> dict[str, int]:
    """Return the formats in which the cells of a sample can be read, with the largest number of classes of a cell.

    >>> shown_in(["a b c", "b a"], ["a", "b", "c"])
    {'best': 3}
    >>> shown_in(["red fox 0.5"], ["red fox"]), shown_in(["a nut"], ["a"])
    ({'confidence': 1}, {})
    """
    known, found = {*classes}, {}
    words = [cell.split() for cell in cells]
    if words and all(known.issuperset(of_cell) for of_cell in words):
        found[BEST] = max(map(len, words))
    pairs = [cell.rsplit(maxsplit=1) for cell in cells]
    if pairs and all(len(pair) == 2 and pair[0] in known and _is_number(pair[1]) for pair in pairs):
        found[CONFIDENCE] = 1
    return found


def of_column(
    sample: pd.DataFrame, classes: Sequence[str], path: str, format: str, metric: components.Written
) -> Form | None:
    """Return the form of a sample with one column that is not a class, if it is one of these; otherwise None.

    With ``format: auto`` the cells decide; where they are empty or can be read in both ways, the metric decides.

    Raises:
        DataError: the cells can be read in both ways and the metric scores neither, or the format does not fit them.
    """
    column = str(sample.columns[1])
    form = Form([str(name) for name in sample.columns], keys=keys(sample), as_labels=True)
    cells = [str(cell) for cell in sample.iloc[:, 1].dropna().unique()]
    shown, wanted = shown_in(cells, classes), scored_by(metric) if format == "auto" else format
    if format == "auto":
        if all(cell in classes for cell in cells) and cells:
            return None
        if cells and len(shown) > 1 and not wanted:
            raise DataError(
                f"{path}: {cells[0]!r} in column {column!r} may be classes, or a class and its confidence. Set "
                f"submission.format: {BEST} or {CONFIDENCE}."
            )
        if cells and wanted not in shown:
            wanted = next(iter(shown), "")
    if wanted not in (BEST, CONFIDENCE):
        return None
    if cells and wanted not in shown:
        odd = next(cell for cell in cells if not shown_in([cell], classes).get(wanted))
        raise DataError(
            f"{path}: submission.format is {wanted}, but {odd!r} in column {column!r} is not {WORDS[wanted]}."
        )
    if wanted == CONFIDENCE:
        return replace(form, confidence=column)
    n = shown.get(BEST, 0)  # a single class in each cell is an example, which says nothing of their number
    return with_best(form, classes, n if n > 1 else k_of(metric, DEFAULT_K))


def of_two_columns(sample: pd.DataFrame, classes: Sequence[str], path: str, label_column: str) -> Form | None:
    """Return the form of a sample with a column of classes and one of confidences, in any order; otherwise None.

    Args:
        label_column: name of the column of classes where both could be it, since the classes are numbers.

    Raises:
        DataError: both could be it, and neither has this name.
    """
    columns = [str(name) for name in sample.columns]
    if len(columns) != 3 or any(name in classes for name in columns[1:]):
        return None
    cells = {name: sample[name].dropna().astype(str).unique() for name in sample.columns[1:]}
    first, second = columns[1:]
    found = [
        (label, number)
        for label, number in ((first, second), (second, first))
        if len(cells[label]) and {*cells[label]} <= {*classes} and all(map(_is_number, cells[number]))
    ]
    if len(found) > 1:
        found = [pair for pair in found if pair[0] == label_column]
        if not found:
            raise DataError(
                f"{path}: {first!r} and {second!r} could both be the column of classes. Set submission.label_column to the one "
                f"that is."
            )
    return Form(columns, keys=keys(sample), as_labels=True, confidence=found[0][1]) if found else None


def with_best(form: Form, classes: Sequence[str], n: int) -> Form:
    """Return the form with ``n`` classes in a cell, at most all.

    Raises:
        DataError: the name of a class contains a space, which separates classes.
    """
    if torn := [name for name in classes if len(name.split()) != 1]:
        raise DataError(
            f"submission: class {torn[0]!r} contains a space, which separates the classes in a cell. Rename it (data.classes), "
            f"or set submission.format: probabilities."
        )
    return replace(form, n_best=min(n, len(classes)))


def keys(sample: pd.DataFrame) -> list[tuple[str]]:
    """Return the keys of the rows of a sample with one row per image."""
    return [(str(id),) for id in sample.iloc[:, 0]]


def best(values: NDArray[np.float64], classes: Sequence[str], n: int, separator: str = " ") -> list[str]:
    """Return the names of the ``n`` most probable classes of each row of ``values``; of tied ones the first class."""
    names, cells = np.array(classes, dtype=object), []
    for start in range(0, len(values), BLOCK):
        order = np.argsort(-values[start : start + BLOCK], axis=1, kind="stable")[:, :n]
        cells += [separator.join(names[row]) for row in order]
    return cells


def confident(labels: Iterable[Any], confidences: Iterable[float]) -> list[str]:
    """Return ``label confidence`` of each image."""
    return [f"{label} {confidence:.9g}" for label, confidence in zip(labels, confidences, strict=True)]


def _is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False
