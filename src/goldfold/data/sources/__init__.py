"""Where images and labels come from. Each source gives tables of the same shape."""

from collections.abc import Callable
from typing import Any

import pandas as pd

from goldfold.data.sources import digits, folder, table
from goldfold.runtime.errors import unknown

SOURCES: dict[str, Callable[..., dict[str, pd.DataFrame]]] = {
    "digits": digits.read,
    "folder": folder.read,
    "csv": table.read,
}


def read(source: str, **settings: Any) -> dict[str, pd.DataFrame]:
    """Tables of the splits that exist (`train`, `test`, `unlabeled`), a row an image, in the order of the source.

    Columns: ``id`` and ``path`` (text), for train also ``label`` (text or missing), and where the source has them
    ``group`` (text) and ``fold`` (text).

    Raises:
        DataError: the data are not laid out as the settings say.
    """
    if source not in SOURCES:
        raise unknown("data source", source, SOURCES)
    return SOURCES[source](**settings)
