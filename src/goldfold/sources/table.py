"""A CSV table of ids and targets beside a folder of images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.sources import parted, placed
from goldfold.sources.casing import Casing, in_order, in_order_of, named_in_columns, put_together, views_of
from goldfold.sources.class_names import named as class_names_of
from goldfold.sources.headerless import read_headerless
from goldfold.sources.naming import Naming, listed
from goldfold.sources.reading import read_csv, without_index
from goldfold.sources.records import Columns, is_json, read_records
from goldfold.sources.targets import Target, metadata_alone, metadata_of
from goldfold.sources.unlisted import pool_beside, report_unlisted


@dataclass(frozen=True)
class Form:
    """How the files of tables are written."""

    header: Sequence[str] | None = None
    """Names of the columns of files without a header."""
    columns: Columns = field(default_factory=Columns)

    def read(self, path: str, key: str, may_be_short: bool = False) -> pd.DataFrame:
        """A table of text, from CSV, JSON or lines without a header; see `goldfold.sources.headerless` for the arguments."""
        if self.header is None:
            return read_records(path, key, self.columns) if is_json(path) else read_csv(path, key)
        if is_json(path):
            raise DataError(
                f"{key}: data.columns names the columns of files without a header, and {path} is JSON. Remove it."
            )
        return read_headerless(path, key, self.header, may_be_short)


ONE_LABEL, ANY_FORM = Target(), Form()


def read(
    train: str | list[str],
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
    columns: Sequence[str] | None = None,
    class_names: str | Mapping[str, str] | None = None,
    label_values: Mapping[str, bool] | None = None,
    split_column: str | None = None,
    train_list: str | list[str] | None = None,
    test_list: str | list[str] | None = None,
    case_column: str | None = None,
    view_column: str | None = None,
    view_columns: Sequence[str] | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of a CSV source; see `goldfold.config.data.Csv` for the settings.

    ``roi`` is the text of ``roi_columns``, in the tables of training and of test images, missing where one is empty.
    Images below the folders that no table names are counted and left out, but for those below ``unlabeled``.
    """
    key = "image_columns" if image_columns else "image_column"
    casing = Casing(view_columns, case_column, view_column)
    id, names = case_column or id_column, image_columns or [image_column or id_column]
    how = Naming(id, names, key, stack, stack_pattern, roi_columns)
    target = Target(label_column, label_columns, label_separator, empty_label, target_column, label_values)
    places = {"group": group_column, "fold": fold_column, "order": order_column, "train_only": train_only_column}
    known = metadata or {"numeric": (), "categorical": ()}
    form = Form(columns, Columns(id, label_column, label_separator))

    def rows_of(csv: str, folder: str, split: str) -> pd.DataFrame:
        own = places if split == "train" else placed.present(places, form.read(csv, f"data.{split}"))
        content = form.read(csv, f"data.{split}")
        rows = _learnt(content, csv, folder, split, how, casing, target, own, known)
        if split == "train" and split_column is not None:
            rows = rows.assign(part=parted.by_column(content, csv, split_column))
        if case_column is not None:
            return put_together(rows, content, csv, casing)
        if split == "train" and (train_list or test_list):
            return rows.assign(part=parted.by_lists(content[how.columns[0]], rows["id"], train_list, test_list))
        return rows

    several = [train] if isinstance(train, str) else train
    tables = {"train": _together([rows_of(csv, images, "train") for csv in several], several)}
    if "part" in tables["train"]:
        key = "data.split_column" if split_column else "data.train_list and test_list"
        tables = parted.apart(tables["train"].drop(columns="part"), tables["train"]["part"], key)
    if extra_train is not None:
        tables["train"] = placed.with_extra(
            tables["train"], rows_of(extra_train, extra_images or images, "extra_train")
        )
    if test is not None:
        table = form.read(test, "data.test", may_be_short=True)
        tables["test"] = _images(table, test, test_images or images, how, casing)
        tables["test"] = placed.groups_of_test(tables["test"], table, group_column)
        tables["test"] = tables["test"].join(metadata_of(table, test, "test", **known))
        if case_column is not None:
            tables["test"] = put_together(tables["test"], table, test, casing)
    tables = in_order(tables, casing) if casing else tables
    if unlabeled is not None:
        tables["unlabeled"] = pool_beside(unlabeled, tables, stack, stack_pattern)
    if image_columns is None and not casing:
        report_unlisted([images, test_images if test else None, extra_images], tables, stack, stack_pattern)
    tables |= answers(test_answers, target, form, case_column)
    if case_column is not None and "answers" in tables:  # which may have a row per image, too
        tables["answers"] = tables["answers"].drop_duplicates(ignore_index=True)
    if test is None and "answers" in tables and "test" in tables:  # the one table of all splits, or of more
        tables["answers"] = tables["answers"][tables["answers"]["id"].isin(tables["test"]["id"])].reset_index(drop=True)
    return tables if class_names is None else _named(tables, target.name, class_names)


def read_alone(
    path: str, images: str, id_column: str, image_column: str | list[str] | None, how: Casing,
    columns: Sequence[str] | None = None, views: Sequence[str] | None = None,
    metadata: Mapping[str, Sequence[str]] | None = None, stack: list[str] | None = None, stack_pattern: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Cases of a table without targets: id, images in the order of their views where there may be several, and metadata.

    Args:
        images: folder that the names are relative to.
        image_column: of file names, or several with the files of one image; None where ids are file names.
        columns: of files without a header; the table may have the first of them alone.
        views: names of the views that training cases have; None where they are numbered or not known.
        metadata: columns of metadata by kind that are needed.
        stack: channels of an image that lie in files of their own, called by ``stack_pattern``.

    Raises:
        DataError: as for the tables of training; or a case has two rows.
    """
    id = how.case or id_column
    table = Form(columns, Columns(id)).read(path, "--table", may_be_short=True)
    names = image_column if isinstance(image_column, list) else [image_column or id_column]
    naming = Naming(id, names, "image_column", stack, stack_pattern)
    cases = _images(table, path, images, naming, how)
    if metadata is not None:
        cases = cases.join(metadata_alone(table, path, **metadata))
    if not how:
        return _refuse_twice(cases, path)
    if how.case is not None:
        cases = put_together(cases, table, path, how)
    return in_order_of(cases, views or views_of(cases), path, how)


def _refuse_twice(images: pd.DataFrame, path: str) -> pd.DataFrame:
    """The images of a table, each of which has one row.

    Raises:
        DataError: one has two.
    """
    if len(twice := images["id"][images["id"].duplicated()]):
        raise DataError(f"--table: {path} has two rows of {twice.iloc[0]!r}. Keep one.")
    return images


def _learnt(
    table: pd.DataFrame, csv: str, images: str, split: str, how: Naming, casing: Casing, target: Target,
    places: Mapping[str, str | None], known: Mapping[str, Sequence[str]],
) -> pd.DataFrame:  # fmt: skip
    """Images of a table of training images, with target, metadata and places."""
    rows = _images(table, csv, images, how, casing)
    rows[target.name] = target.of(table, csv)
    rows = rows.join(metadata_of(table, csv, split, **known))
    return placed.with_places(rows, table, csv, places)


def _images(table: pd.DataFrame, csv: str, images: str, how: Naming, casing: Casing) -> pd.DataFrame:
    """Images, or cases, of the rows of a table."""
    if casing.columns:
        return named_in_columns(table, csv, images, how.id_column, casing.columns)
    return listed(table, csv, images, how)


def _together(tables: Sequence[pd.DataFrame], names: Sequence[str]) -> pd.DataFrame:
    """The rows of all training tables.

    Raises:
        DataError: an id is in two of them.
    """
    seen: dict[str, str] = {}
    for table, name in zip(tables, names, strict=True):
        for id in table["id"]:
            if seen.setdefault(id, name) != name:
                raise DataError(f"data.train: id {id!r} is in {seen[id]} and in {name}. Keep it in one of them.")
    return pd.concat(tables, ignore_index=True)


def _named(
    tables: dict[str, pd.DataFrame], column: str, class_names: str | Mapping[str, str]
) -> dict[str, pd.DataFrame]:
    """The tables with the labels by the names that a file gives them."""
    return {
        split: table.assign(**{column: class_names_of(table[column], class_names)}) if column in table else table
        for split, table in tables.items()
    }


def answers(
    path: str | None, target: Target = ONE_LABEL, form: Form = ANY_FORM, case_column: str | None = None
) -> dict[str, pd.DataFrame]:
    """The table `answers` of a CSV: id and target, or its first two columns where they are not called so.

    Args:
        case_column: holds the ids where the table has it, even beside a column `id`, which is then that of an image.
    """
    if path is None:
        return {}
    table, column = without_index(form.read(path, "data.test_answers")), target.column
    id = next((name for name in (case_column, "id", form.columns.id) if name is not None and name in table), None)
    if target.label_columns:
        id = table.columns[0] if id is None else id
    elif id is not None and (known := next((name for name in (column, "label") if name in table), None)) is not None:
        table = pd.DataFrame({id: table[id], column: table[known]})
    elif len(table.columns) < 2:
        raise DataError(f"data.test_answers: {path} needs two columns, id and {column}.")
    else:
        id, table = "id", table.iloc[:, :2].set_axis(["id", column], axis=1)
    return {"answers": pd.DataFrame({"id": table[id], target.name: target.of(table, path)})}
