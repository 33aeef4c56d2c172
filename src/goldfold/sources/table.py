"""A CSV table of ids and targets, and a folder of images."""

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
    """Format of the files of tables."""

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
    frame_column: str | None = None,
) -> dict[str, pd.DataFrame]:
    """Tables of a CSV source; see `goldfold.config.data.Csv` for the settings.

    ``roi`` is the text of ``roi_columns`` in the tables of training and test images, missing if one of them is empty.
    Images below the folders that no table names are counted and left out, except those below ``unlabeled``.
    """
    key = "image_columns" if image_columns else "image_column"
    id, names = case_column or id_column, image_columns or [image_column or id_column]
    reader = _Reader(
        Form(columns, Columns(id, label_column, label_separator)),
        Naming(id, names, key, stack, stack_pattern, roi_columns),
        Casing(view_columns, case_column, view_column, frame_column),
        Target(label_column, label_columns, label_separator, empty_label, target_column, label_values),
        {"group": group_column, "fold": fold_column, "order": order_column, "train_only": train_only_column},
        metadata or {"numeric": (), "categorical": ()},
        _Split(split_column, train_list, test_list),
    )
    tables = reader.training(train, images)
    if extra_train is not None:
        extra = reader.labelled(extra_train, extra_images or images, "extra_train")
        tables["train"] = placed.with_extra(tables["train"], extra)
    if test is not None:
        tables["test"] = reader.test(test, test_images or images)
    tables = in_order(tables, reader.casing) if reader.casing else tables
    if unlabeled is not None:
        tables["unlabeled"] = pool_beside(unlabeled, tables, stack, stack_pattern)
    if image_columns is None and not reader.casing:
        report_unlisted([images, test_images if test else None, extra_images], tables, stack, stack_pattern)
    if test_answers is not None:
        tables["answers"] = reader.answers(test_answers, tables.get("test") if test is None else None)
    return tables if class_names is None else _named(tables, reader.target.name, class_names)


@dataclass(frozen=True)
class _Split:
    """Column or lists that split a single table into training and test images."""

    column: str | None = None
    train_list: str | list[str] | None = None
    test_list: str | list[str] | None = None

    @property
    def key(self) -> str:
        """Config keys of the split, for messages."""
        return "data.split_column" if self.column else "data.train_list and test_list"


@dataclass(frozen=True)
class _Reader:
    """Reader of the tables of one source.

    Args:
        places: column of each of group, fold, order and train_only; None without one.
        metadata: columns of metadata, numeric and categorical.
    """

    form: Form
    naming: Naming
    casing: Casing
    target: Target
    places: Mapping[str, str | None]
    metadata: Mapping[str, Sequence[str]]
    split: _Split

    def training(self, train: str | list[str], images: str) -> dict[str, pd.DataFrame]:
        """Training images of one or more tables, and test images where a column or lists split them."""
        several = [train] if isinstance(train, str) else train
        rows = _together([self.labelled(csv, images, "train") for csv in several], several)
        return (
            parted.apart(rows.drop(columns="part"), rows["part"], self.split.key) if "part" in rows else {"train": rows}
        )

    def labelled(self, csv: str, images: str, split: str) -> pd.DataFrame:
        """Images, or cases, of a table with targets: also target, metadata, places and ``part``, if a column or lists give it.

        Args:
            split: ``train`` or ``extra_train``; only the former must have all places and may be split.
        """
        table = self.form.read(csv, f"data.{split}")
        is_train = split == "train"
        rows = _images(table, csv, images, self.naming, self.casing)
        rows[self.target.name] = self.target.of(table, csv)
        rows = rows.join(metadata_of(table, csv, split, **self.metadata))
        rows = placed.with_places(rows, table, csv, self.places if is_train else placed.present(self.places, table))
        if is_train and self.split.column is not None:
            rows = rows.assign(part=parted.by_column(table, csv, self.split.column))
        if self.casing.case is not None:
            return put_together(rows, table, csv, self.casing)
        if is_train and (self.split.train_list or self.split.test_list):
            names = table[self.naming.columns[0]]
            return rows.assign(part=parted.by_lists(names, rows["id"], self.split.train_list, self.split.test_list))
        return rows

    def test(self, csv: str, images: str) -> pd.DataFrame:
        """Images, or cases, of a table of test images, with groups and metadata."""
        table = self.form.read(csv, "data.test", may_be_short=True)
        rows = _images(table, csv, images, self.naming, self.casing)
        rows = placed.groups_of_test(rows, table, self.places["group"])
        rows = rows.join(metadata_of(table, csv, "test", **self.metadata))
        return rows if self.casing.case is None else put_together(rows, table, csv, self.casing)

    def answers(self, csv: str, test: pd.DataFrame | None) -> pd.DataFrame:
        """Id and target of test images.

        Args:
            test: test images if a single table has all splits, which the answers may be too.
        """
        found = answers(csv, self.target, self.form, self.casing.case)["answers"]
        if self.casing.case is not None:  # answers may have one row per image too
            found = found.drop_duplicates(ignore_index=True)
        return found if test is None else found[found["id"].isin(test["id"])].reset_index(drop=True)


def read_alone(
    path: str, images: str, id_column: str, image_column: str | list[str] | None, how: Casing,
    columns: Sequence[str] | None = None, views: Sequence[str] | None = None,
    metadata: Mapping[str, Sequence[str]] | None = None, stack: list[str] | None = None, stack_pattern: str = "",
) -> pd.DataFrame:  # fmt: skip
    """Cases of a table without targets: id, images in the order of their views where there may be several, and metadata.

    Args:
        images: folder that the names are relative to.
        image_column: column of file names, or several with the files of one image; None if ids are file names.
        columns: names of columns if the file has no header; it may have only the first of them.
        views: names of the views of training cases; None if they are numbered or unknown.
        metadata: metadata columns by kind that are required.
        stack: channels of an image that are separate files, named by ``stack_pattern``.

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
    """Return the images of a table, each of which must have one row.

    Raises:
        DataError: an image has two rows.
    """
    if len(twice := images["id"][images["id"].duplicated()]):
        raise DataError(f"--table: {path} has two rows for {twice.iloc[0]!r}. Keep one.")
    return images


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
    """The tables with labels replaced by the class names of a file."""
    return {
        split: table.assign(**{column: class_names_of(table[column], class_names)}) if column in table else table
        for split, table in tables.items()
    }


def answers(
    path: str | None, target: Target = ONE_LABEL, form: Form = ANY_FORM, case_column: str | None = None
) -> dict[str, pd.DataFrame]:
    """The table `answers` of a CSV: id and target, or its first two columns if these names are missing.

    Args:
        case_column: column of ids if the table has it, even if there is a column `id`, which is then the image's.
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
