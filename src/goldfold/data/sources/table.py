"""A CSV table of ids and labels beside a folder of images."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from goldfold.data.files import SUFFIXES, images_below, inside, pool_of, without_suffix
from goldfold.data.sources.reading import column_of, read_csv
from goldfold.data.sources.targets import Target
from goldfold.data.sources.targets import metadata as metadata_of
from goldfold.runtime.errors import DataError

__all__ = ["answers", "column_of", "paths_of", "read", "read_csv"]
ONE_LABEL = Target()


def read(
    train: str,
    images: str,
    test: str | None = None,
    test_images: str | None = None,
    test_answers: str | None = None,
    unlabeled: str | None = None,
    id_column: str = "id",
    image_column: str | None = None,
    label_column: str = "label",
    group_column: str | None = None,
    fold_column: str | None = None,
    label_columns: Sequence[str] | None = None,
    label_separator: str | None = None,
    empty_label: str | None = None,
    target_column: str | None = None,
    metadata: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of a CSV source; see `goldfold.config.data.Csv` for the settings.

    Images below ``images`` that no table names come back as rows of train without a label.
    """
    target = Target(label_column, label_columns, label_separator, empty_label, target_column)
    listed = _listed(train, images, "data.train", id_column, image_column)
    table = read_csv(train, "data.train")
    listed[target.name] = target.of(table, train)
    for name, column in (("group", group_column), ("fold", fold_column)):
        if column is not None:
            listed[name] = column_of(table, column, train, f"data.{name}_column")
            if listed[name].isna().any():
                first = listed["id"][listed[name].isna()].iloc[0]
                raise DataError(
                    f"{train}: column {column!r} is empty in {listed[name].isna().sum()} rows, first {first!r}. Fill it."
                )
    tables = {"train": listed}
    if test is not None:
        tables["test"] = _listed(test, test_images or images, "data.test", id_column, image_column)
    if metadata is not None:
        for split, path in (("train", train), ("test", test)):
            if path is not None:
                known = metadata_of(read_csv(path, f"data.{split}"), path, **metadata, split=split)
                tables[split] = tables[split].join(known)
    if unlabeled is not None:
        tables["unlabeled"] = pd.DataFrame(pool_of(unlabeled, "data.unlabeled"), columns=["id", "path"])
    tables["train"] = pd.concat([tables["train"], _unnamed(images, tables)], ignore_index=True)
    return tables | answers(test_answers, target)


def answers(path: str | None, target: Target = ONE_LABEL) -> dict[str, pd.DataFrame]:
    """The table `answers` of a CSV: id and target, or its first two columns where they are not called so."""
    if path is None:
        return {}
    table, column = read_csv(path, "data.test_answers"), target.column
    if target.label_columns:
        table = table.rename(columns={} if "id" in table else {table.columns[0]: "id"})
    elif (known := next((name for name in (column, "label") if {"id", name} <= set(table)), None)) is not None:
        table = pd.DataFrame({"id": table["id"], column: table[known]})
    elif len(table.columns) < 2:
        raise DataError(f"data.test_answers: {path} needs two columns, id and {column}.")
    else:
        table = table.set_axis(["id", column, *table.columns[2:]], axis=1)
    return {"answers": pd.DataFrame({"id": table["id"], target.name: target.of(table, path)})}


def _listed(csv: str, images: str, key: str, id_column: str, image_column: str | None) -> pd.DataFrame:
    """ids and paths of the rows of ``csv``."""
    table = read_csv(csv, key)
    ids = column_of(table, id_column, csv, "data.id_column")
    names = ids if image_column is None else column_of(table, image_column, csv, "data.image_column")
    for column, values in ((id_column, ids), (image_column, names)):
        if values.isna().any():
            raise DataError(f"{csv}: column {column!r} is empty in line {int(values.isna().idxmax()) + 2}. Fill it in.")
    return pd.DataFrame({"id": ids, "path": paths_of(names, csv, images)})


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
    return [str(Path(images) / path) for path in paths]


def _missing(name: str) -> str:
    """The name a missing image would have, for the message that it is missing."""
    return name if Path(name).suffix.lower() in SUFFIXES else f"{name}.*"


def _unnamed(images: str, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Images that no table names: they have no target."""
    named = {path for table in tables.values() for path in table["path"]}
    rest = [name for name in images_below(images, "data.images") if str(Path(images) / name) not in named]
    taken = {id for table in tables.values() for id in table["id"]}
    ids = [name if without_suffix(name) in taken else without_suffix(name) for name in rest]
    return pd.DataFrame({"id": ids, "path": [str(Path(images) / name) for name in rest]})
