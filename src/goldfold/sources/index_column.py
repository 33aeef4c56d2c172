"""Index columns, which number the rows of a table: pandas and R write them by default."""

import re
from collections.abc import Sequence

from goldfold.base.numbers import number_of

UNNAMED = re.compile(r"|unnamed[:_ ]{1,3}\d+.*|column \d+|\.\.\.\d+|__index_level_\d+__", re.ASCII | re.IGNORECASE)
"""Names of unnamed columns: empty, and as given by pandas, R's readr, Arrow and `goldfold.sources.reading`."""
NUMBERING = frozenset(
    {"index", "level_0", "row", "row_number", "rownames", "row_names", "row_id", "rowid", "row_nr", "rn", "obs", "#"}
) | {"x", "x.1", "v1"}
"""Names of columns that may number the rows; the last three are R's names of unnamed columns."""
WHOLE = re.compile(r"\d+(\.0)?", re.ASCII)


def is_index(name: str, values: Sequence[str | None]) -> bool:
    """Return whether a column numbers the rows, or is empty and has no name.

    An unnamed column may have gaps and repeats, as after a filter or a concatenation; one named ``index`` or the like must
    count the rows from 0 or 1.
    """
    filled = [value for value in values if value]
    if UNNAMED.fullmatch(name):
        return not filled or (len(filled) == len(values) and all(WHOLE.fullmatch(value) for value in filled))
    if name.lower() not in NUMBERING or len(values) < 2 or values[0] not in ("0", "1"):
        return False
    return list(values) == [str(number) for number in range(int(values[0]), int(values[0]) + len(values))]


def may_be_ids(values: Sequence[str | None]) -> bool:
    """Return whether a column may name images: text, or distinct whole numbers."""
    filled = [value for value in values if value]
    if any(number_of(value) is None for value in filled):
        return True
    return len(set(filled)) == len(filled) > 0 and all(WHOLE.fullmatch(value) for value in filled)
