"""A CSV table of ids and labels beside a folder of images."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from goldfold.data.files import SUFFIXES, below, images_below, inside, without_suffix
from goldfold.data.sources.stacked import images as images_of
from goldfold.data.stacks import MISSING, files_of, joined, named
from goldfold.runtime.errors import DataError, nearest

OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def read_csv(path: str | Path, key: str) -> pd.DataFrame:
    """Table with every value as text, surrounding blanks removed; only an empty field counts as missing.

    Raises:
        DataError: the file is missing, not a CSV table, has no rows, a row that is too long, or a column twice.
    """
    try:
        table = pd.read_csv(
            path,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
            encoding="utf-8-sig",
            header=None,  # else pandas renames a column that is there twice, and cuts a row that is too long
            on_bad_lines="error",
        )
    except OSError as error:
        raise DataError(f"{key}: cannot read {path} as CSV: {error}") from error
    except ValueError as error:
        raise DataError(
            f"{key}: cannot read {path} as CSV: {str(error).strip()}. Write UTF-8, with a header and as many fields in every "
            f"row, a value with a comma in quotes."
        ) from error
    table = table.iloc[1:].set_axis(_header(table, path, key), axis=1).reset_index(drop=True)
    if table.empty:
        raise DataError(f"{key}: {path} has no rows.")
    return table.apply(lambda column: column.str.strip()).replace("", None)


def _header(table: pd.DataFrame, path: str | Path, key: str) -> list[str]:
    """Names of the columns, from the first row; one without a name is called after its place."""
    names = [name.strip() if isinstance(name, str) else "" for name in table.iloc[0]]
    for separator, called in OTHER_SEPARATORS.items():
        if len(names) == 1 and separator in names[0]:
            raise DataError(f"{key}: {path} is separated by {called}, not by commas. Write it with commas.")
    for number, name in enumerate(names):
        if name and name in names[:number]:
            raise DataError(f"{key}: {path} has two columns called {name!r}. Rename or remove one.")
    return [name or f"column {number}" for number, name in enumerate(names, start=1)]


def column_of(table: pd.DataFrame, column: str, path: str | Path, key: str) -> pd.Series:
    """A column by name.

    Raises:
        DataError: there is no such column; the text names those there are.
    """
    if column not in table:
        names = [str(name) for name in table.columns]
        raise DataError(
            f"{path} has no column {column!r}: {nearest(column, names)}it has: {', '.join(names)}. Set {key}."
        )
    return table[column]


def read(
    train: str,
    images: str,
    test: str | None = None,
    test_images: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    id_column: str = "id",
    image_column: str | None = None,
    image_columns: list[str] | None = None,
    label_column: str = "label",
    group_column: str | None = None,
    fold_column: str | None = None,
    order_column: str | None = None,
    train_only_column: str | None = None,
    extra_train: str | None = None,
    extra_images: str | None = None,
    stack: list[str] | None = None,
    stack_pattern: str = "{id}_{channel}",
    roi_columns: Sequence[str] = (),
) -> dict[str, pd.DataFrame]:
    """Tables of a CSV source; see `goldfold.config.data.Csv` for the settings.

    ``roi`` is the text of ``roi_columns``, in the tables of training and of test images, missing where one is empty.
    Images below ``images`` that no table names come back as rows of train without a label, but not with
    ``image_columns``: nobody knows which belong together.
    """
    from goldfold.data.sources import placed  # it reads tables too

    places = {"group": group_column, "fold": fold_column, "order": order_column, "train_only": train_only_column}
    columns = image_columns or [image_column or id_column]
    how = Naming(
        id_column, columns, "image_columns" if image_columns else "image_column", stack, stack_pattern, roi_columns
    )
    listed = _listed(train, images, "data.train", how)
    table = read_csv(train, "data.train")
    listed["label"] = column_of(table, label_column, train, "data.label_column")
    listed = placed.with_places(listed, table, train, places)
    if extra_train is not None:
        more = _listed(extra_train, extra_images or images, "data.extra_train", how)
        table = read_csv(extra_train, "data.extra_train")
        more["label"] = column_of(table, label_column, extra_train, "data.label_column")
        more = placed.with_places(more, table, extra_train, placed.present(places, table))
        listed = placed.with_extra(listed, more)
    tables = {"train": listed}
    if test is not None:
        tables["test"] = _listed(test, test_images or images, "data.test", how)
        tables["test"] = placed.groups_of_test(tables["test"], test, group_column)
    if unlabeled is not None:
        pool = images_of(unlabeled, "data.unlabeled", stack, stack_pattern)
        tables["unlabeled"] = pd.DataFrame(pool, columns=["id", "path"])
    if image_columns is None:
        tables["train"] = pd.concat([listed, _unnamed(images, tables, stack, stack_pattern)], ignore_index=True)
    return tables | answers(test_answers)


def answers(path: str | None) -> dict[str, pd.DataFrame]:
    """The table `answers` of a CSV: id and label, or its first two columns where they are not called so."""
    if path is None:
        return {}
    table = read_csv(path, "data.test_answers")
    if not {"id", "label"} <= set(table):
        if len(table.columns) < 2:
            raise DataError(f"data.test_answers: {path} needs two columns, id and label.")
        table = table.set_axis(["id", "label", *table.columns[2:]], axis=1)
    return {"answers": table[["id", "label"]]}


@dataclass(frozen=True)
class Naming:
    """How a row of a table names its files."""

    id_column: str
    columns: list[str]
    key: str
    """The config key that names these columns."""
    stack: list[str] | None
    pattern: str
    roi_columns: Sequence[str]


def _listed(csv: str, images: str, key: str, how: Naming) -> pd.DataFrame:
    """ids and paths of the rows of ``csv``, and the boxes that it gives them."""
    table = read_csv(csv, key)
    ids = column_of(table, how.id_column, csv, "data.id_column")
    names = [column_of(table, column, csv, f"data.{how.key}") for column in how.columns]
    must = [ids] if len(names) > 1 else [ids, *names]  # a picture of several that is not named is one that is missing
    for column, values in zip([how.id_column, *how.columns], must, strict=False):
        if values.isna().any():
            raise DataError(f"{csv}: column {column!r} is empty in line {int(values.isna().idxmax()) + 2}. Fill it in.")
    if how.stack is not None:
        bare = [without_suffix(name) for name in names[0]]
        names = [pd.Series([named(id, channel, how.pattern) for id in bare]) for channel in how.stack]
    parts = [paths_of(own.fillna(f"(column {column!r} is empty)"), csv, images)
             for own, column in zip(names, how.columns * len(names), strict=False)]  # fmt: skip
    several = len(parts) > 1 or how.stack is not None
    paths = [joined(row) if several else row[0] for row in zip(*parts, strict=True)]
    boxes = [column_of(table, column, csv, "data.roi.columns") for column in how.roi_columns]
    texts = {"roi": pd.concat(boxes, axis=1).apply(_joined, axis=1)} if boxes else {}
    return pd.DataFrame({"id": ids, "path": paths, **texts})


def _joined(values: "pd.Series[str]") -> str | None:
    """The values side by side, nothing where one is missing."""
    return None if values.isna().any() else " ".join(values)


def paths_of(names: Iterable[str], csv: str, images: str) -> list[str]:
    """Paths of images that a table names, with or without suffix; one that is not there has ``.*``.

    Raises:
        DataError: a name leads out of the folder.
    """
    found = images_below(images, "data.images")
    by_name = {name: name for name in found}
    by_stem: dict[str, str] = {}
    for name in reversed(found):
        by_stem[without_suffix(name)] = name
    paths = [by_name.get(name) or by_stem.get(name) or _missing(name) for name in (inside(name, csv) for name in names)]
    before = below(images)
    return [before + path for path in paths]


def _missing(name: str) -> str:
    """The name a missing image would have, for the message that it is missing."""
    return name if Path(name).suffix.lower() in SUFFIXES else f"{name}{MISSING}"


def _unnamed(images: str, tables: dict[str, pd.DataFrame], stack: list[str] | None, pattern: str) -> pd.DataFrame:
    """Images that no table names: they have no label."""
    named = {file for table in tables.values() for path in table["path"] for file in files_of(path)}
    rest = [
        (id, path) for id, path in images_of(images, "data.images", stack, pattern) if named.isdisjoint(files_of(path))
    ]
    taken = {id for table in tables.values() for id in table["id"]}
    names = {path: str(Path(path).relative_to(images)) for _, path in rest} if stack is None else {}
    ids = [names.get(path, f"images/{id}") if id in taken else id for id, path in rest]
    return pd.DataFrame({"id": ids, "path": [path for _, path in rest], "label": None})
