"""CSV files of the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

from goldfold.base.files import atomic

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def read_table(path: str | Path) -> pd.DataFrame:
    """Read all columns as text; an empty cell is an empty string."""
    import pandas as pd  # here, since commands that may read no table import this module

    return pd.read_csv(path, dtype=str, keep_default_na=False)


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table atomically, without its index, piece by piece: the text of a column per class may take gigabytes."""
    with atomic(path) as temporary:
        table.to_csv(temporary, index=False, encoding="utf-8", lineterminator="\n", compression=None)
