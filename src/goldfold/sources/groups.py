"""Groups of training images, from a separate table."""

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.images.nearest import nearest_name
from goldfold.sources.reading import column_of, read_csv


def with_groups(table: pd.DataFrame, groups: str | None) -> pd.DataFrame:
    """The training table with the column ``group`` of the CSV ``groups`` (id, group); unchanged without one.

    Raises:
        DataError: an image has no group, or two.
    """
    if groups is None:
        return table
    listed = read_csv(groups, "data.groups")
    ids, names = (column_of(listed, name, groups, f"a column named {name}") for name in ("id", "group"))
    if ids.duplicated().any():
        raise DataError(
            f"{groups}: {int(ids.duplicated().sum())} duplicate ids, first {ids[ids.duplicated()].iloc[0]!r}. Give every "
            f"image one row."
        )
    of_id = dict(zip(ids, names, strict=True))
    column = table["id"].map(of_id)
    if column.isna().any():
        first = table["id"][column.isna()].iloc[0]
        raise DataError(
            f"{groups}: {int(column.isna().sum())} of {len(table)} training images have no group, first {first!r}. "
            f"{nearest_name(first, ids.dropna(), 'the nearest id is')}Add them (the id is the image's path without suffix)."
        )
    return table.assign(group=column)
