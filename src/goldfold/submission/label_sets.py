"""Several labels per image: all in one cell, or one column per class."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import components
from goldfold.base.errors import DataError, nearest
from goldfold.submission import best
from goldfold.submission.form import Form

MOST_POOLED = 20
"""Classes per image in a submission for gap where the metric does not say how many, as in the metric."""


def form(
    classes: Sequence[str],
    separator: str,
    sample: pd.DataFrame | None,
    where: str,
    settings: Mapping[str, Any],
    of_labels: bool,
    metric: components.Written,
) -> Form:
    """Columns: id and labels, separated by ``separator``; or id and every class, with probabilities.

    With the metric map_at_k a cell has its k most probable classes, with gap these and their probabilities, in turn, if the
    format is not another one and the sample shows no other one.

    Args:
        where: name of the sample file.
        settings: ``format``, ``id_column``, ``label_column`` of the config.
        of_labels: whether the metric uses labels only.

    Raises:
        DataError: the sample cannot be filled with these classes.
    """
    wanted = settings["format"]
    if sample is None:
        as_labels = of_labels if settings["format"] == "auto" else settings["format"] != "probabilities"
        id_column = settings["id_column"]
        if id_column in classes and not as_labels:
            raise DataError(f"submission.id_column: {id_column!r} is also the name of a class; choose another.")
        made = Form([id_column, settings["label_column"]] if as_labels else [id_column, *classes], as_labels=as_labels)
    else:
        columns = [str(column) for column in sample.columns]
        as_labels = _wants_labels(classes, columns[1:], where, settings["format"])
        if as_labels and wanted == "auto":
            wanted = _shown(sample.iloc[:, 1], separator, best.scored_by(metric))
        if as_labels:
            _refuse_unknown(classes, separator, sample.iloc[:, 1], where, wanted == best.CONFIDENCE)
        made = Form(columns, keys=[(str(id),) for id in sample.iloc[:, 0]], as_labels=as_labels)
    torn = [name for name in classes if separator in name] if as_labels else []
    if torn:
        raise DataError(
            f"submission: class {torn[0]!r} contains the separator {separator!r}, so it would be split. Rename it, or "
            f"set submission.format: probabilities."
        )
    if not as_labels or wanted not in (best.BEST, best.CONFIDENCE):
        return made
    n = min(len(classes), best.k_of(metric, best.DEFAULT_K if wanted == best.BEST else MOST_POOLED))
    return replace(made, n_best=n, confidence=made.columns[1] if wanted == best.CONFIDENCE else None)


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
    if form.confidence:
        cells = [separator.join(pairs) for pairs in _pairs(values, names, form.n_best)]
    elif form.n_best:
        cells = best.best(values, names, form.n_best, separator)
    else:
        cells = _decided(values, names, threshold, separator)
    return pd.DataFrame({columns[0]: ids, columns[1]: cells})


def _decided(
    values: NDArray[np.float64], names: Sequence[str], threshold: float | NDArray[np.float64], separator: str
) -> list[str]:
    """Return the labels of each image at or above the threshold."""
    return [separator.join(np.array(names, dtype=object)[row]) for row in values >= threshold]


def _pairs(values: NDArray[np.float64], names: Sequence[str], n: int) -> Iterator[list[str]]:
    """Yield the ``n`` most probable classes of each image, each followed by its probability."""
    for row in values:
        order = np.argsort(-row, kind="stable")[:n]
        yield [text for place in order for text in (names[place], f"{row[place]:.9g}")]


def _shown(cells: "pd.Series[str]", separator: str, scored: str) -> str:
    """Return the format that the metric scores; without confidences in the cells not that of gap."""
    numbers = [cell.split(separator)[1::2] for cell in cells.dropna().unique()]
    return "" if scored == best.CONFIDENCE and not all(map(_are_numbers, numbers)) else scored


def _are_numbers(texts: Sequence[str]) -> bool:
    return bool(pd.to_numeric(pd.Series(texts, dtype=object), errors="coerce").notna().all()) and len(texts) > 0


def _wants_labels(classes: Sequence[str], columns: Sequence[str], path: str, format: str) -> bool:
    """Return whether the sample has one column that is not a class; otherwise it must have all classes."""
    is_one = len(columns) == 1 and columns[0] not in classes
    if (
        (format not in ("auto", "probabilities") and not is_one)
        or (format == "probabilities" and is_one)
        or not columns
    ):
        wanted = "one column that is not a class" if format != "probabilities" else "one column per class"
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


def _refuse_unknown(
    classes: Sequence[str], separator: str, cells: "pd.Series[str]", path: str, are_pairs: bool
) -> None:
    """Refuse example labels in the sample that are not classes, which means another separator or other names.

    Args:
        are_pairs: labels and numbers stand in turn.
    """
    for cell in cells.dropna().unique():
        labels = cell.split() if separator.isspace() else [*map(str.strip, cell.split(separator))]
        for label in labels[::2] if are_pairs else labels:
            if label and label not in classes:
                raise DataError(
                    f"{path}: {label!r} is not a class; {nearest(label, classes)}classes: {', '.join(classes)}; labels are "
                    f"separated by {separator!r}."
                )
