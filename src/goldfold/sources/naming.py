"""Files that the rows of a table refer to."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.images.files import SUFFIXES, below, images_below, inside, without_suffix
from goldfold.images.stacks import MISSING, joined, named
from goldfold.sources.reading import column_of, line_of


@dataclass(frozen=True)
class Naming:
    """Columns of a table that name the files of a row and, optionally, a region of interest."""

    id_column: str
    columns: Sequence[str]
    """Columns of file names, or of ids that are file names."""
    key: str
    """The config key that names these columns."""
    stack: list[str] | None = None
    pattern: str = ""
    roi_columns: Sequence[str] = field(default=())


def listed(table: pd.DataFrame, csv: str, images: str, how: Naming) -> pd.DataFrame:
    """id and path of each row of the table ``csv``, and ``roi``, the text of its box, if there are columns for it.

    Raises:
        DataError: a column or a value is missing, or a name points outside the folder ``images``.
    """
    ids = column_of(table, how.id_column, csv, "data.id_column")
    names = [column_of(table, column, csv, f"data.{how.key}") for column in how.columns]
    must = [ids] if len(names) > 1 else [ids, *names]  # with several files, an empty name is a missing file
    for column, values in zip([how.id_column, *how.columns], must, strict=False):
        if values.isna().any():
            place = line_of(table, int(values.isna().to_numpy().argmax()))
            raise DataError(f"{csv}: column {column!r} is empty in {place}. Fill it in.")
    paths = _stacked(names, csv, images, how)
    boxes = [column_of(table, column, csv, "data.roi.columns") for column in how.roi_columns]
    texts = {"roi": pd.concat(boxes, axis=1).apply(_side_by_side, axis=1)} if boxes else {}
    return pd.DataFrame({"id": ids, "path": paths, **texts})


def _stacked(names: "list[pd.Series[str]]", csv: str, images: str, how: Naming) -> list[str]:
    """The path of each row's image, or the paths of its files, joined."""
    if how.stack is None and len(names) == 1:
        return paths_of(names[0], csv, images)
    if how.stack is not None:
        bare = [without_suffix(name) for name in names[0]]
        names = [pd.Series([named(id, channel, how.pattern) for id in bare]) for channel in how.stack]
    columns = list(how.columns) * len(names)
    filled = [own.fillna(f"(column {column!r} is empty)") for own, column in zip(names, columns, strict=False)]
    return [joined(row) for row in zip(*(paths_of(own, csv, images) for own in filled), strict=True)]


def _side_by_side(values: "pd.Series[str]") -> str | None:
    """The values joined by blanks; None if one is missing."""
    return None if values.isna().any() else " ".join(values)


def paths_of(names: Iterable[str], csv: str, images: str) -> list[str]:
    """Paths of images that a table names, with or without suffix; a missing image has the suffix ``.*``.

    A name without a folder may refer to an image in a sub-folder if the name is unique. Accented letters may be composed in
    the table and decomposed in the file name, or the other way round.

    Raises:
        DataError: a name points outside the folder.
    """
    found = images_below(images, "data.images")
    written = {without_suffix(name): name for name in reversed(found)} | {name: name for name in found}
    written = _once(found) | written
    composed = {normalize("NFC", known): name for known, name in written.items() if not known.isascii()}
    before = below(images)
    return [before + _found(inside(name, csv), written, composed) for name in names]


def _once(found: Iterable[str]) -> dict[str, str]:
    """Images in sub-folders by their unique names without folder, with and without suffix."""
    inner = [(name.rpartition("/")[2], name) for name in found if "/" in name]
    counts = Counter(called for base, _ in inner for called in {base, without_suffix(base)})
    return {called: name for base, name in inner for called in (base, without_suffix(base)) if counts[called] == 1}


def _found(name: str, written: Mapping[str, str], composed: Mapping[str, str]) -> str:
    """The file that a name refers to, or the name that a missing file would have, for the error message."""
    file = written.get(name) or (composed.get(normalize("NFC", name)) if composed else None)
    return file or (name if Path(name).suffix.lower() in SUFFIXES else f"{name}{MISSING}")
