"""One label per image: a column of labels, one column per class, one probability, or the best classes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold import components
from goldfold.base.errors import DataError, nearest
from goldfold.submission import best
from goldfold.submission.form import Form


def form(
    classes: Sequence[str],
    sample: pd.DataFrame | None,
    where: str,
    settings: Mapping[str, Any],
    of_labels: bool,
    metric: components.Written,
) -> Form:
    """Columns: id and label; or id and every class; or, for two classes, id and one probability.

    A cell may hold several classes, the most probable first, or a label and its confidence, which may also have a column of its
    own, see `goldfold.submission.best`.

    Args:
        where: name of the sample file.
        settings: ``format``, ``id_column``, ``label_column`` of the config.
        of_labels: whether the metric uses labels only.

    Raises:
        DataError: the sample cannot be filled with these classes.
    """
    if sample is None:
        as_labels = of_labels if settings["format"] == "auto" else settings["format"] != "probabilities"
        id_column = settings["id_column"]
        if id_column in classes and not as_labels:
            raise DataError(f"submission.id_column: {id_column!r} is also the name of a class; choose another.")
        columns = [id_column, settings["label_column"]] if as_labels else [id_column, *classes]
        made = Form(columns, as_labels=as_labels)
        if settings["format"] == best.BEST:
            return best.with_best(made, classes, best.k_of(metric, best.DEFAULT_K))
        return replace(made, confidence=columns[1]) if settings["format"] == best.CONFIDENCE else made
    if (found := _of_best(classes, sample, where, settings, metric)) is not None:
        return found
    _check(classes, sample, where)
    keys = best.keys(sample)
    as_labels = _wants_labels(classes, sample, where, settings["format"], of_labels)
    return Form([str(column) for column in sample.columns], keys=keys, as_labels=as_labels)


def table(
    values: NDArray[np.float64],
    ids: Sequence[str],
    classes: Sequence[str],
    form: Form,
    chosen: NDArray[np.integer[Any]],
) -> pd.DataFrame:
    """A label column, one column per class, or for two classes the probability of the second (or of the one named).

    Probabilities (n, classes) are written as the ensemble gives them: normalising the rows of a rank average would change
    the order within a class, and therefore the score.

    Args:
        chosen: index of each image's class (n,).
    """
    columns, names = form.columns, list(classes)
    filled = pd.DataFrame({columns[0]: ids})
    if form.n_best:
        return filled.assign(**{columns[1]: best.best(values, names, form.n_best)})
    if form.as_labels:
        labels, confidences = np.array(names, dtype=object)[chosen], values[np.arange(len(values)), chosen]
        if form.confidence == columns[1] and len(columns) == 2:
            return filled.assign(**{columns[1]: best.confident(labels, confidences)})
        return filled.assign(**{name: confidences if name == form.confidence else labels for name in columns[1:]})
    places = {name: place for place, name in enumerate(names)}
    chosen_values = values[:, [places.get(column, 1) for column in columns[1:]]]
    return pd.concat([filled, pd.DataFrame(chosen_values, columns=columns[1:])], axis=1)


def _of_best(
    classes: Sequence[str], sample: pd.DataFrame, path: str, settings: Mapping[str, Any], metric: components.Written
) -> Form | None:
    """Return the form of several classes in a cell, or of labels with confidences; None if it is another."""
    format: str = settings["format"]
    columns = [str(column) for column in sample.columns[1:]]
    if len(columns) == 2 and format in ("auto", best.CONFIDENCE):
        found = best.of_two_columns(sample, classes, path, settings["label_column"])
    elif len(columns) == 1 and columns[0] not in classes:
        numbers = pd.to_numeric(sample.iloc[:, 1].dropna(), errors="coerce")
        is_share = len(classes) == 2 and len(numbers) > 0 and bool(numbers.between(0, 1).all())
        found = None if is_share and format == "auto" else best.of_column(sample, classes, path, format, metric)
    else:
        found = None
    if found is None and format in best.WORDS:
        wanted = {best.BEST: "one column", best.CONFIDENCE: "one column, or one of classes and one of numbers"}[format]
        raise DataError(
            f"{path}: submission.format is {format}, which needs {wanted} besides the id; the sample has: "
            f"{', '.join(columns) or 'nothing'}. Set submission.format: auto, or correct the sample."
        )
    return found


def _check(classes: Sequence[str], sample: pd.DataFrame, path: str) -> None:
    columns = [str(column) for column in sample.columns[1:]]
    if not columns:
        raise DataError(
            f"{path}: has only the column {sample.columns[0]!r}; a sample file needs a column to predict too."
        )
    if len(columns) == 1 and columns[0] not in classes:
        _check_labels(classes, sample[columns[0]], path)
        return
    wrong = [name for name in columns if name not in classes]
    lacking = [name for name in classes if name not in columns]
    if wrong:
        hint = nearest(wrong[0], classes)
        raise DataError(f"{path}: column {wrong[0]!r} is not a class; {hint}classes: {', '.join(classes)}")
    if lacking and len(classes) > 2:
        raise DataError(f"{path}: no column for class {lacking[0]!r}; classes: {', '.join(classes)}")


def _check_labels(classes: Sequence[str], values: "pd.Series[str]", path: str) -> None:
    """Check a column of class names, or of probabilities of the second of two classes."""
    present = [str(value) for value in values.dropna().unique()]
    wrong = [value for value in present if value not in classes]
    numbers = pd.to_numeric(pd.Series(wrong, dtype=object), errors="coerce")
    if wrong and not (len(classes) == 2 and numbers.between(0, 1).all()):
        hint, other = nearest(wrong[0], classes), ""
        if len(words := wrong[0].split()) > 1 and (odd := [word for word in words if word not in classes]):
            other = f", nor several, as {odd[0]!r} is none, nor a class and its confidence"
        raise DataError(f"{path}: {wrong[0]!r} is not a class{other}; {hint}classes: {', '.join(classes)}")


def _wants_labels(classes: Sequence[str], sample: pd.DataFrame, path: str, format: str, of_labels: bool) -> bool:
    """Return whether to fill a sample file with class names rather than with probabilities.

    A single column is ambiguous for two classes (samples are often all zeros): with ``auto`` the metric decides.
    """
    columns = [str(column) for column in sample.columns[1:]]
    is_one_column = len(columns) == 1 and columns[0] not in classes
    if format == "label" and not is_one_column:
        raise DataError(
            f"{path}: submission.format is label, but the sample has the columns {', '.join(columns)}; a label needs "
            f"one column that is not a class. Set submission.format: auto."
        )
    if format == "probabilities" and is_one_column and len(classes) > 2:
        raise DataError(
            f"{path}: submission.format is probabilities, but the sample has one column, {columns[0]!r}, for "
            f"{len(classes)} classes. Set submission.format: auto, or give the sample one column per class."
        )
    if format != "auto" or not is_one_column:
        return format == "label"
    are_labels = all(str(value) in classes for value in sample[columns[0]].dropna().unique())
    return are_labels and (len(classes) > 2 or of_labels)
