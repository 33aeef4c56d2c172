"""Some rows of a table, for a quick look."""

import numpy as np
import pandas as pd

from goldfold.splits.training import is_train_only

LEAST = 4
"""Own and external rows are each at least one in this many, if there are as many."""


def thinned(table: pd.DataFrame, n: int) -> pd.DataFrame:
    """Select at most ``n`` evenly spaced rows, some of own and some of external ones if there are both."""
    is_external = is_train_only(table)
    if len(table) <= n or is_external.all() or not is_external.any():
        return table.iloc[_places(len(table), n)].reset_index(drop=True)
    kinds = [np.flatnonzero(is_external), np.flatnonzero(~is_external)]
    wanted = int(np.clip(n * len(kinds[0]) // len(table), n // LEAST, n - n // LEAST))
    wanted = max(min(wanted, len(kinds[0])), n - len(kinds[1]))
    chosen = [kind[_places(len(kind), of_kind)] for kind, of_kind in zip(kinds, (wanted, n - wanted), strict=True)]
    return table.iloc[np.sort(np.concatenate(chosen))].reset_index(drop=True)


def _places(n_rows: int, n: int) -> list[int]:
    return [place * n_rows // n for place in range(n)] if n_rows > n else list(range(n_rows))
