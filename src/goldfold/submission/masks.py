"""Masks as run lengths."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.submission.form import Form
from goldfold.targets import rle

if TYPE_CHECKING:
    from goldfold.targets.objects import Objects


def form(classes: Sequence[str], sample: pd.DataFrame | None, where: str, settings: Mapping[str, Any]) -> Form:
    """Columns: id and run lengths; with several classes, id, class and run lengths.

    Args:
        where: name of the sample file.
        settings: ``id_column`` and ``format`` of the config; with ``instances``, each has a row for each instance.

    Raises:
        DataError: the sample has other columns, or an unknown class.
    """
    is_single, repeats = len(classes) == 1, settings.get("format") == "instances"
    if sample is None:
        keys = [settings["id_column"], *([] if is_single else ["class"])]
        return Form([*keys, "rle"], n_keys=len(keys), repeats=repeats)
    columns = [str(column) for column in sample.columns]
    if len(columns) not in ((2, 3) if is_single else (3,)):
        wanted = "id and run lengths" if is_single else "id, class and run lengths"
        raise DataError(f"{where}: has the columns {', '.join(columns)}; needed are {wanted}, in this order.")
    n_keys = len(columns) - 1
    rows = [tuple(map(str, row)) for row in sample.iloc[:, :n_keys].itertuples(index=False)]
    odd = [row[1] for row in rows if n_keys == 2 and row[1] not in classes]
    if odd:
        raise DataError(f"{where}: {odd[0]!r} in column {columns[1]!r} is not a class; classes: {', '.join(classes)}")
    return Form(columns, n_keys, rows, repeats=repeats)


def table(
    layers: Iterable[Iterable[NDArray[np.bool_]]], ids: Sequence[str], classes: Sequence[str], form: Form
) -> pd.DataFrame:
    """Run lengths (column by column, from 1) of each image, or of each class in each image.

    Args:
        layers: pixels (height, width) of each class, in the order of ``classes``, of each image, in the order of ``ids``.
    """
    rows = [
        (id, *([name] if form.n_keys == 2 else []), rle.encode(layer))
        for id, of_image in zip(ids, layers, strict=True)
        for name, layer in zip(classes, of_image, strict=True)
    ]
    return pd.DataFrame(rows, columns=form.columns)


def table_of_instances(
    found: "Iterable[Sequence[tuple[Objects, int]]]", ids: Sequence[str], classes: Sequence[str], form: Form
) -> pd.DataFrame:
    """Run lengths of each instance; one empty row per image, or class in an image, without any.

    Args:
        found: per image, in the order of ``ids``, the objects among which those of each class are, and their channel there.
    """
    rows = []
    for id, of_image in zip(ids, found, strict=True):
        for (objects, channel), name in zip(of_image, classes, strict=True):
            numbers = (np.flatnonzero(objects.channels == channel) + 1).tolist()
            texts = _runs(objects.labels, numbers) if numbers else [""]
            rows += [(id, *([name] if form.n_keys == 2 else []), text) for text in texts]
    return pd.DataFrame(rows, columns=form.columns)


def _runs(labels: NDArray[np.int32], numbers: Sequence[int]) -> list[str]:
    """Run lengths of some of the labels, found in one pass over the image."""
    flat = labels.ravel(order="F")
    starts = np.flatnonzero(np.diff(flat, prepend=0))
    lengths, owners = np.diff(starts, append=len(flat)), flat[starts]
    order = np.argsort(owners, kind="stable")
    ends = np.searchsorted(owners[order], numbers, side="right").tolist()
    begins = np.searchsorted(owners[order], numbers, side="left").tolist()
    pairs = np.stack([starts + 1, lengths], axis=1)[order]
    return [" ".join(map(str, pairs[a:b].ravel().tolist())) for a, b in zip(begins, ends, strict=True)]
