"""User-defined data sources: calls their function and checks the returned tables."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from numbers import Real
from pathlib import Path
from traceback import extract_tb
from typing import Any

import pandas as pd

from goldfold import components
from goldfold.base.errors import DataError, GoldfoldError, Stopped, cause, nearest, shown
from goldfold.base.files import MADE, write_if_changed
from goldfold.catalog import SOURCES
from goldfold.images.stacks import files_of, is_stack
from goldfold.metadata.columns import PREFIX
from goldfold.targets import boxes, label_sets, points

NUMBERS = ("value", "fold", "order")
"""Columns that may hold numbers; metadata columns may too."""
FILES = ("path", "mask")
"""Columns that name files."""
READERS: dict[str, Callable[[str], Any]] = {
    "labels": label_sets.from_text,
    "boxes": boxes.from_text,
    "points": points.from_text,
}
"""Parsers that refuse invalid targets."""


def read(
    source: str,
    brings: str,
    files: list[str],
    writes: str | None = None,
    tables: Sequence[str] = (),
    columns: Sequence[str] = (),
    params: Mapping[str, Any] | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of a user-defined function, as described in `goldfold.sources.read`; see `goldfold.config.own_source.Own`.

    Raises:
        DataError: the function fails, or its result does not match the config.
    """
    made = _called(components.load({source: params} if params else source, SOURCES, "data source"))
    if not isinstance(made, Mapping):
        raise DataError(f"returned {_kind(made)}; return a mapping of tables: {{'train': DataFrame, ...}}")
    wanted = ["train", *tables]
    for name in wanted:
        if name not in made:
            raise DataError(f"returned no table {name!r}, but {', '.join(map(repr, made)) or 'none'}")
    for name in made:
        if name not in wanted:
            raise DataError(
                f"returned a table {shown(name)} that data.tables does not name; add it, or do not return it"
            )
    if writes is not None:
        write_if_changed(
            Path(writes) / MADE, f"{source} wrote into this folder; without this file it is called again.\n"
        )
    needed = {"train": ["id", "path", brings, *columns], "answers": ["id", brings]}
    found = {name: _table(name, made[name], needed.get(name, ["id", "path"])) for name in wanted}
    for name in wanted:
        _refuse_unnamed(name, found[name], [*files, *filter(None, [writes])])
    return found


def _called(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except (GoldfoldError, Stopped):
        raise
    except (Exception, SystemExit) as error:  # user-defined code may raise anything
        frames = extract_tb(error.__traceback__)[1:]
        own = [frame for frame in frames if frame.filename == frames[0].filename]
        place = f" ({own[-1].filename}, line {own[-1].lineno}: {own[-1].line})" if own else ""
        kind, what = type(error).__name__, cause(error)
        raise DataError(f"the function failed with {kind}: {what.removeprefix(f'{kind}: ')}{place}") from error


def _kind(value: Any) -> str:
    return "nothing (None)" if value is None else f"an object of type {type(value).__name__}"


def _table(name: str, table: Any, needed: list[str]) -> pd.DataFrame:
    """A table with its columns converted to text, in the order of the source."""
    if not isinstance(table, pd.DataFrame):
        raise DataError(f"table {name!r} is {_kind(table)}; return a pandas.DataFrame")
    _refuse_columns(name, list(table.columns), needed)
    if table.empty:
        raise DataError(f"table {name!r} has no rows")
    may_lack = table["train_only"].astype(str) == "1" if "train_only" in table else pd.Series(False, table.index)
    lacks = {"id": False, "path": False, "group": False, "fold": may_lack, "order": may_lack}
    made = {column: list(_texts(name, table["id"], table[column], lacks.get(column, True))) for column in table.columns}
    _refuse_repeated(name, made["id"])
    return pd.DataFrame(made, dtype=object)


def _refuse_columns(name: str, columns: list[Any], needed: list[str]) -> None:
    for column in needed:
        if column not in columns:
            hint = nearest(column, columns)
            raise DataError(
                f"table {name!r} has no column {column!r}; {hint}it has {', '.join(map(str, columns)) or 'none'}"
            )
    free = {"group"} if name == "test" else set()
    for number, column in enumerate(columns):
        if column in columns[:number]:
            raise DataError(f"table {name!r} has two columns {column!r}; keep one")
        is_metadata = isinstance(column, str) and column.startswith(PREFIX) and name != "answers"
        if not (is_metadata or column in needed or column in free):
            of_config = "; data.columns names columns besides these" if name == "train" else ""
            raise DataError(
                f"table {name!r} has a column {shown(column)}; its columns: {', '.join(needed)}"
                f"{f' and {PREFIX}<name>' if name != 'answers' else ''}{of_config}"
            )


def _texts(
    name: str, ids: "pd.Series[Any]", values: "pd.Series[Any]", can_lack: "pd.Series[bool] | bool"
) -> Iterator[str | None]:
    """Values of a column as text; None for allowed missing values."""
    column = str(values.name)
    takes_numbers = column in NUMBERS or column.startswith(PREFIX)
    lacks = [can_lack] * len(values) if isinstance(can_lack, bool) else list(can_lack)
    for id, value, may in zip(ids, values, lacks, strict=True):
        if column in READERS and isinstance(value, list):
            value = json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=_plain)
        if takes_numbers and isinstance(value, Real) and not isinstance(value, bool) and not pd.isna(value):
            value = str(value)
        if isinstance(value, str) and value:
            if column in READERS:
                READERS[column](value)
            yield value
        elif value is None or value is pd.NA or value == "" or (isinstance(value, float) and pd.isna(value)):
            if not may:
                raise DataError(f"table {name!r}: {column} is empty for id {shown(id)}; fill it")
            yield None
        else:
            what = "text or a number" if takes_numbers else "text"
            of = "" if column == "id" else f" of id {shown(id)}"
            raise DataError(
                f"table {name!r}: {column}{of} is {shown(value)} ({type(value).__name__}), not {what}; use str(...)"
            )


def _plain(value: Any) -> Any:
    """A NumPy number as a plain one; anything else as text, which the parser refuses."""
    return value.item() if hasattr(value, "item") else repr(value)


def _refuse_repeated(name: str, ids: list[str | None]) -> None:
    column = pd.Series(ids, dtype=object)
    repeated = column[column.duplicated()]
    if len(repeated):
        raise DataError(
            f"table {name!r}: {repeated.nunique()} duplicate ids, first {repeated.iloc[0]!r}; give every image one row"
        )


def _refuse_unnamed(name: str, table: pd.DataFrame, places: list[str]) -> None:
    """Refuse images and masks outside the tracked folders."""
    roots = [os.path.abspath(place) for place in places]
    rows = table[["id", *(column for column in FILES if column in table)]].itertuples(index=False)
    named = ((id, path) for id, *cells in rows for cell in filter(None, cells) for path in _paths(cell))
    for id, path in named:
        own = os.path.abspath(path)
        if not any(own == root or own.startswith(os.path.join(root, "")) for root in roots):
            raise DataError(
                f"table {name!r}: {path} (id {id!r}) is neither in data.files nor in data.writes "
                f"({', '.join(places) or 'nothing'}), so changes to it would not be noticed; add its folder"
            )


def _paths(cell: str) -> list[str]:
    return files_of(cell) if is_stack(cell) else [cell]
