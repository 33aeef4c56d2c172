"""A CSV table of ids and targets beside a folder of images."""

from collections.abc import Mapping, Sequence

import pandas as pd

from goldfold.data.reading import read_csv, without_index
from goldfold.data.sources import placed
from goldfold.data.sources.naming import Naming, listed, unnamed
from goldfold.data.sources.stacked import images as images_of
from goldfold.data.sources.targets import Target, metadata_of
from goldfold.runtime.errors import DataError

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
    image_columns: list[str] | None = None,
    stack: list[str] | None = None,
    stack_pattern: str = "{id}_{channel}",
    roi_columns: Sequence[str] = (),
    label_column: str = "label",
    label_columns: Sequence[str] | None = None,
    label_separator: str | None = None,
    empty_label: str | None = None,
    target_column: str | None = None,
    metadata: Mapping[str, Sequence[str]] | None = None,
    group_column: str | None = None,
    fold_column: str | None = None,
    order_column: str | None = None,
    train_only_column: str | None = None,
    extra_train: str | None = None,
    extra_images: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of a CSV source; see `goldfold.config.data.Csv` for the settings.

    ``roi`` is the text of ``roi_columns``, in the tables of training and of test images, missing where one is empty.
    Images below ``images`` that no table names come back as rows of train without a target, but not with
    ``image_columns``: nobody knows which belong together.
    """
    key = "image_columns" if image_columns else "image_column"
    how = Naming(id_column, image_columns or [image_column or id_column], key, stack, stack_pattern, roi_columns)
    target = Target(label_column, label_columns, label_separator, empty_label, target_column)
    places = {"group": group_column, "fold": fold_column, "order": order_column, "train_only": train_only_column}
    known = metadata or {"numeric": (), "categorical": ()}
    tables = {"train": _learnt(train, images, "train", how, target, places, known)}
    if extra_train is not None:
        extra = _learnt(extra_train, extra_images or images, "extra_train", how, target, places, known)
        tables["train"] = placed.with_extra(tables["train"], extra)
    if test is not None:
        tables["test"] = listed(test, test_images or images, "data.test", how)
        tables["test"] = placed.groups_of_test(tables["test"], test, group_column)
        tables["test"] = tables["test"].join(metadata_of(test, "test", **known))
    if unlabeled is not None:
        pool = images_of(unlabeled, "data.unlabeled", stack, stack_pattern)
        tables["unlabeled"] = pd.DataFrame(pool, columns=["id", "path"])
    if image_columns is None:
        tables["train"] = pd.concat([tables["train"], unnamed(images, tables, how)], ignore_index=True)
    return tables | answers(test_answers, target)


def _learnt(
    csv: str, images: str, split: str, how: Naming, target: Target,
    places: Mapping[str, str | None], known: Mapping[str, Sequence[str]],
) -> pd.DataFrame:  # fmt: skip
    """Images of a table of training images, with target, metadata and places; a table of extra ones may lack places."""
    table = read_csv(csv, f"data.{split}")
    rows = listed(csv, images, f"data.{split}", how)
    rows[target.name] = target.of(table, csv)
    rows = rows.join(metadata_of(csv, split, **known))
    return placed.with_places(rows, table, csv, places if split == "train" else placed.present(places, table))


def answers(path: str | None, target: Target = ONE_LABEL) -> dict[str, pd.DataFrame]:
    """The table `answers` of a CSV: id and target, or its first two columns where they are not called so."""
    if path is None:
        return {}
    table, column = without_index(read_csv(path, "data.test_answers")), target.column
    if target.label_columns:
        table = table.rename(columns={} if "id" in table else {table.columns[0]: "id"})
    elif (known := next((name for name in (column, "label") if {"id", name} <= set(table)), None)) is not None:
        table = pd.DataFrame({"id": table["id"], column: table[known]})
    elif len(table.columns) < 2:
        raise DataError(f"data.test_answers: {path} needs two columns, id and {column}.")
    else:
        table = table.set_axis(["id", column, *table.columns[2:]], axis=1)
    return {"answers": pd.DataFrame({"id": table["id"], target.name: target.of(table, path)})}
