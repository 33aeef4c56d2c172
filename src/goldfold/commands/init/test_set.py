"""Test and unlabeled images of a layout with a table of labels."""

from goldfold.base.words import count
from goldfold.commands.init.columns import Columns
from goldfold.commands.init.found import Layout, Setting
from goldfold.commands.init.tables import Match, Table
from goldfold.commands.init.walk import Tree, base
from goldfold.commands.init.words import split_of


def test_table(tree: Tree, tables: list[Table], train: Table, layout: Layout) -> Table | None:
    """Find the table of test images, in preference to the sample submission."""
    match = train.match
    assert match is not None
    training, left = set(match.images.values()), []
    for table in tables:
        if table is train or not table.is_test or table.match is None:
            continue
        if match.column not in table.columns:
            layout.doubt(
                f"{tree.path(table.name)} has the images' names in column {table.match.column!r}, {base(train.name)} in "
                f"{match.column!r}: give both columns the same name, and set data.test to the table."
            )
        elif training & set(table.match.images.values()):
            layout.doubt(f"{tree.path(table.name)} names training images too; it is not used as the test set.")
        else:
            left.append(table)
    return min(left, key=lambda table: (table.is_sample, table.name)) if left else None


def _answers(tree: Tree, columns: Columns, test: Table, tables: list[Table]) -> str | None:
    """Find a table of the test images' labels, in columns that the pipeline accepts as id and label."""
    for table in tables:
        asked = columns.target or columns.label
        if not table.is_test or table.is_sample or test.match is None or asked not in table.columns:
            continue
        if not {"id", "label"} <= set(table.columns) and table.columns[:2] != [test.match.column, asked]:
            continue
        ids = table.values("id" if {"id", "label"} <= set(table.columns) else table.columns[0])
        if set(ids) == set(test.values(test.match.column)) and all(table.values(str(asked))):
            return tree.path(table.name)
    return None


def with_test(
    tree: Tree, match: Match, columns: Columns, test: Table | None, tables: list[Table], layout: Layout
) -> Layout:
    """Add test and unlabeled images to the layout."""
    folders = {
        split_of(base(name)): name for name in tree.folders if name and tree.n_images[name] and split_of(base(name))
    }
    if test is not None and test.match is not None:
        layout.doubts += test.doubts
        layout.data["test"] = Setting(tree.path(test.name), f"{count(len(test.rows), 'row')} to predict")
        if test.match.folder != match.folder:
            layout.data["test_images"] = Setting(
                tree.path(test.match.folder), "names in the test table are relative to this"
            )
        layout.test = sorted(test.match.images.values())
        layout.splits["test"] = len(test.rows)
        answers = _answers(tree, columns, test, tables)
        if answers is not None:
            layout.data["test_answers"] = Setting(answers, "true labels, only for a score in the report")
        if test.match.missing:
            layout.doubt(
                f"{count(len(test.match.missing), 'row')} of {tree.path(test.name)} without an image, first "
                f"{test.match.missing[0]!r}. Every test image must be there: restore them.",
                stops=True,
            )
    elif not layout.test and "test" in folders and folders["test"] != match.folder:
        layout.doubt(
            f"{tree.path(folders['test'])} has {count(tree.n_images[folders['test']], 'image')}, but no table of their names "
            f"with a column {layout.data['id_column'].value!r}: source csv predicts the images listed in data.test. Write one."
        )
    if "unlabeled" in folders:
        layout.data["unlabeled"] = Setting(tree.path(folders["unlabeled"]), "images without labels, for pseudo labels")
        layout.splits["unlabeled"] = tree.n_images[folders["unlabeled"]]
    return layout
