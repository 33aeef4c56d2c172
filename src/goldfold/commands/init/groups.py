"""Tables of groups, for layouts whose labels are elsewhere."""

from goldfold.base.words import count
from goldfold.commands.init.found import Layout, Setting
from goldfold.commands.init.tables import Table
from goldfold.commands.init.walk import Tree
from goldfold.commands.init.words import group_rank
from goldfold.images.files import without_suffix

WITH_GROUPS = ("masks", "coco", "voc")
"""Sources that accept a table of groups."""


def find(tree: Tree, layout: Layout, tables: list[Table]) -> None:
    """Add a CSV (id, group) of all training images to the layout; raise a doubt if another table may have groups."""
    if layout.source == "csv":
        return
    for table in tables:
        columns = [column for column in table.columns if group_rank(column) is not None]
        able = [column for column in columns if 1 < len(set(table.values(column))) < len(table.rows)]
        if not able or table.is_test:
            continue
        if layout.source in WITH_GROUPS and _fits(table, layout):
            layout.data["groups"] = Setting(tree.path(table.name), "images of a group are never split over folds")
            ids = _ids(layout)
            rows = zip(table.values("id"), table.values("group"), strict=True)
            layout.n_groups = len({group for id, group in rows if id in ids})
            layout.facts["groups"] = f"{count(layout.n_groups, 'group')} by {table.name}"
            return
        way = "as a CSV (id, group) in data.groups" if layout.source in WITH_GROUPS else "with source: csv"
        layout.doubt(
            f"column {able[0]!r} of {tree.path(table.name)} may say which images belong together; goldfold uses it "
            f"{way}."
        )


def _ids(layout: Layout) -> set[str]:
    """Ids of the training images, as these sources define them."""
    start = f"{layout.folder}/" if layout.folder else ""
    return {without_suffix(name.removeprefix(start)) for name in layout.train}


def _fits(table: Table, layout: Layout) -> bool:
    """True if the source accepts the table: id and group of every training image, once."""
    if not {"id", "group"} <= set(table.columns) or table.delimiter != "," or "on_missing_image" in layout.data:
        return False
    ids, wanted = table.values("id"), _ids(layout)
    is_whole = all(group for id, group in zip(ids, table.values("group"), strict=True) if id in wanted)
    return is_whole and len(set(ids)) == len(ids) and wanted <= set(ids)
