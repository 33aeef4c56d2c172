"""CSV files of the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


def read_table(path: str | Path) -> pd.DataFrame:
    """Read all columns as text; an empty cell is an empty string."""
    import pandas as pd  # here, since commands that may read no table import this module

    return pd.read_csv(path, dtype=str, keep_default_na=False)
