"""Files that a bundle is asked to predict: images one by one, or a table of cases."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.bundles import form
from goldfold.images.cases import named
from goldfold.images.given import given
from goldfold.sources.casing import Casing
from goldfold.sources.table import read_alone


def files_of(
    how: form.Preprocessing, paths: Sequence[str | Path], table: str | Path | None, takes_metadata: bool = False
) -> pd.DataFrame:
    """Return id and path of each image, its case if cases have several images, and its metadata if networks take it."""
    if table is None:
        if how.cases is None and not takes_metadata:
            return given(paths, how.stack or (), how.stack_pattern)
        of = "cases of several images" if how.cases else "images and metadata"
        raise DataError(
            f"these networks were trained on {of}. Pass a table of the cases: --table FILE (CSV with "
            f"{_columns(how, takes_metadata)})."
        )
    if how.cases is None and how.metadata is None:
        raise DataError(f"--table {table}: these networks take images one by one. Pass files or folders instead.")
    if len(paths) != 1 or not os.path.isdir(paths[0]):
        raise DataError(
            f"{', '.join(map(str, paths))}: with --table, pass one folder, the one its paths are relative to."
        )
    needed = how.metadata if takes_metadata else None
    where = os.fspath(table), os.fspath(paths[0])
    if how.cases is not None:
        return named(read_cases(how.cases, *where, needed))
    plain: Any = how.metadata
    files = plain.image_columns or plain.image_column
    return read_alone(
        *where, plain.id_column, files, Casing(), plain.columns,
        metadata=_by_kind(needed), stack=how.stack, stack_pattern=how.stack_pattern,
    )  # fmt: skip


def read_cases(how: form.Cases, table: str, images: str, metadata: form.Metadata | None = None) -> pd.DataFrame:
    """Read a table of cases in the same format as the training table."""
    casing = Casing(how.view_columns, how.case_column, how.view_column, how.frame_column)
    named = how.id_column, how.image_column
    return read_alone(table, images, *named, casing, how.columns, how.views, _by_kind(metadata))


def _by_kind(metadata: form.Metadata | None) -> dict[str, list[str]] | None:
    """Names of metadata columns by kind; None without metadata."""
    return None if metadata is None else {"numeric": metadata.numeric, "categorical": metadata.categorical}


def _columns(how: form.Preprocessing, takes_metadata: bool) -> str:
    """Describe the columns of a table of cases, for an error message."""
    cases, metadata = how.cases, how.metadata if takes_metadata else None
    more = [*metadata.numeric, *metadata.categorical] if metadata else []
    if cases is None:
        files = metadata.image_columns or [metadata.image_column or ""] if metadata else []
        images = [metadata.id_column, *files] if metadata else []
        return f"one row per image: {', '.join(filter(None, [*images, *more]))}"
    if cases.view_columns:
        return f"one row per case: {', '.join([cases.id_column, *sorted(cases.view_columns), *more])}"
    names = [cases.case_column, cases.view_column or cases.frame_column, cases.image_column or cases.id_column, *more]
    return f"one row per image: {', '.join(filter(None, names))}"
