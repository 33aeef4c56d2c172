"""Cases of several images, from tables with one row per case or one row per image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.base.words import count
from goldfold.images.cases import VIEW_NAMES, to_text, with_paths
from goldfold.sources.frames import numbers_of
from goldfold.sources.naming import paths_of
from goldfold.sources.reading import column_of, line_of

VIEWS = "views"
"""Temporary column until all tables are read: path by name of the view."""
KEYS = {"part": "split_column"}
"""Columns whose config key has another name."""


@dataclass(frozen=True)
class Casing:
    """Format of cases in a table: `columns` for one row per case, or `case` and `view` for one row per image."""

    columns: Sequence[str] | None = None
    """Columns of file names, one per view."""
    case: str | None = None
    view: str | None = None
    """Column with the name of the view; None to number images, in table order or by `frame`."""
    frame: str | None = None
    """Column that orders the images of a case, see `goldfold.sources.frames.numbers_of`."""

    def __bool__(self) -> bool:
        return bool(self.columns or self.case)


def named_in_columns(
    table: pd.DataFrame, csv: str, images: str, id_column: str, columns: Sequence[str]
) -> pd.DataFrame:
    """id and `VIEWS` of each row of the table ``csv``, and the path of its first image.

    Raises:
        DataError: a column is missing, a case has two rows, no image or one image twice, or a name points outside the folder
            ``images``.
    """
    ids = column_of(table, id_column, csv, "data.id_column")
    if ids.isna().any():
        place = line_of(table, int(ids.isna().to_numpy().argmax()))
        raise DataError(f"{csv}: column {id_column!r} is empty in {place}. Fill it in.")
    if len(twice := ids[ids.duplicated()]):
        first = twice.iloc[0]
        raise DataError(
            f"{csv}: case {first!r} has {count(int((ids == first).sum()), 'row')}. With data.view_columns give each case "
            f"one row; for a table with a row per image set data.case_column."
        )
    views: list[dict[str, str]] = [{} for _ in range(len(table))]
    for column in sorted(columns):
        names = column_of(table, column, csv, "data.view_columns")
        rows = names.notna().to_numpy().nonzero()[0].tolist()
        for row, path in zip(rows, paths_of(names.iloc[rows], csv, images), strict=True):
            views[row][column] = path
    if bare := [id for id, own in zip(ids, views, strict=True) if not own]:
        raise DataError(
            f"{csv}: {count(len(bare), 'case')} without any image, first {bare[0]!r}: the columns "
            f"{', '.join(sorted(columns))} are empty. Name at least one image of each case, or remove the row."
        )
    for row, own in enumerate(views):
        if len(set(own.values())) < len(own):
            alike = [column for column in own if list(own.values()).count(own[column]) > 1]
            raise DataError(
                f"{csv}: case {ids.iloc[row]!r} has the image {own[alike[0]]} twice, in the columns {' and '.join(alike)} of "
                f"{line_of(table, row)}, so it would count twice. Correct one name, or empty its cell."
            )
    return pd.DataFrame({"id": ids, "path": [next(iter(own.values())) for own in views], VIEWS: views})


def put_together(images: pd.DataFrame, table: pd.DataFrame, csv: str, how: Casing) -> pd.DataFrame:
    """Merge a table with one row per image into one row per case, with `VIEWS`.

    Args:
        images: id of the case, path and other columns of each row of the table ``csv``.

    Raises:
        DataError: two images of a case have the same view or file, or their rows differ in another column.
    """
    named = _views(images, table, csv, how)
    _refuse_twice(images, table, csv)
    for column in images.columns.difference(["id", "path"], sort=False):
        values = images[column].astype(object).where(images[column].notna(), None)
        odd = images["id"][values.map(repr).groupby(images["id"]).transform("nunique") > 1]
        if len(odd):
            case = odd.iloc[0]
            found = [repr(value) if value is not None else "nothing" for value in values[images["id"] == case]]
            raise DataError(
                f"{csv}: the rows of case {case!r} differ in {_name(column)}: {' and '.join(dict.fromkeys(found))} "
                f"({count(odd.nunique(), 'such case')}). A case has one value; correct the rows."
            )
    views: dict[str, dict[str, str]] = {}
    for case, view, path in zip(images["id"], named, images["path"], strict=True):
        views.setdefault(case, {})[view] = path
    cases = images.drop_duplicates("id").reset_index(drop=True)
    return cases.assign(**{VIEWS: [views[case] for case in cases["id"]]})


def _refuse_twice(images: pd.DataFrame, table: pd.DataFrame, csv: str) -> None:
    pairs = images[["id", "path"]].reset_index(drop=True)
    if len(twice := pairs[pairs.duplicated()]):
        case, path = twice.iloc[0]
        lines = [line_of(table, row) for row in pairs.index[(pairs["id"] == case) & (pairs["path"] == path)][:2]]
        raise DataError(
            f"{csv}: case {case!r} has the image {path} twice, in {' and '.join(lines)}, so it would count twice. Correct one "
            f"of the two rows, or remove it."
        )


def _views(images: pd.DataFrame, table: pd.DataFrame, csv: str, how: Casing) -> "pd.Series[Any]":
    """Name or number of the view of each image."""
    if how.frame is not None:
        return numbers_of(images["id"], table, csv, how.frame)
    if how.view is None:
        return images.groupby("id").cumcount()
    named = column_of(table, how.view, csv, "data.view_column").reset_index(drop=True)
    if named.isna().any():
        place = line_of(table, int(named.isna().to_numpy().argmax()))
        raise DataError(f"{csv}: column {how.view!r} is empty in {place}. Name the view of each image.")
    pairs = pd.DataFrame({"id": images["id"], "view": named})
    if len(twice := pairs[pairs.duplicated()]):
        case, view = twice.iloc[0]
        lines = [line_of(table, row) for row in pairs[(pairs["id"] == case) & (pairs["view"] == view)].index[:2]]
        raise DataError(
            f"{csv}: case {case!r} has two images of view {view!r}, in {' and '.join(lines)}. Keep one, name their views "
            f"apart, or remove data.view_column to number the images of a case."
        )
    return named


def _name(column: str) -> str:
    return f"data.{KEYS[column]}" if column in KEYS else column.removeprefix("meta_")


def in_order(tables: Mapping[str, pd.DataFrame], how: Casing) -> dict[str, pd.DataFrame]:
    """Tables with the images of each case in the same order of views: those of training, sorted by name. The training table
    has these names in the column `goldfold.images.cases.VIEW_NAMES`.

    Raises:
        DataError: another table has a view that no training case has.
    """
    known = views_of(tables["train"])
    made = {}
    for split, table in tables.items():
        if VIEWS not in table:
            made[split] = table
            continue
        made[split] = in_order_of(table, known, split, how)
    if not isinstance(known[0], int):
        made["train"] = made["train"].assign(**{VIEW_NAMES: to_text(known)})
    return made


def in_order_of(table: pd.DataFrame, known: Sequence[Any], name: str, how: Casing) -> pd.DataFrame:
    """The table ``name`` with the images of each case in the order of the views ``known``.

    Raises:
        DataError: it has an unknown view.
    """
    odd = sorted(set(views_of(table)) - set(known))
    if odd and not isinstance(odd[0], int):  # numbered views carry no meaning, so new ones are fine
        way = "Remove it from data.view_columns" if how.columns else "Correct data.view_column"
        raise DataError(
            f"{name}: no training case has the view {odd[0]!r}; these have {', '.join(map(repr, known))}. {way}, or leave these "
            f"images out."
        )
    return _with_images(table, [*known, *odd])


def views_of(table: pd.DataFrame) -> list[Any]:
    """Names of all views, sorted."""
    return sorted({view for own in table[VIEWS] for view in own})


def _with_images(table: pd.DataFrame, order: Sequence[Any]) -> pd.DataFrame:
    return with_paths(table.drop(columns=VIEWS), [[own.get(view) for view in order] for own in table[VIEWS]])
