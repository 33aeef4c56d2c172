"""Which training images have an out-of-fold prediction."""

import pandas as pd


def scored(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of `folds/train.csv` that are validated; not those of fold -1, which are only learnt from."""
    return table[table["fold"].astype(int) >= 0].reset_index(drop=True) if "fold" in table else table
