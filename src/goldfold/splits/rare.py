"""Classes with too few images or groups to be in each fold."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.splits.together import joined
from goldfold.splits.training import is_train_only


def rare(table: pd.DataFrame, content: pd.DataFrame, n_folds: int, by_group: bool = True) -> list[str]:
    """Classes with fewer images than folds, or with all images in one group; train_only images do not count.

    Args:
        table: as for `goldfold.splits.splitting.split`; copies count as a group.
        by_group: whether to include classes whose images are all in one group, however many there are.
    """
    validated = ~is_train_only(table)
    has = (content[validated] > 0).to_numpy()
    counts, united = has.sum(axis=0), joined(table[validated])
    few = counts < n_folds
    if by_group and "group" in united:
        groups = pd.factorize(united["group"])[0]
        few |= np.array([len(np.unique(groups[own])) < 2 for own in has.T], dtype=bool)
    return [str(name) for name in content.columns[few & (counts > 0)]]


def in_one_part(content: pd.DataFrame, folds: NDArray[np.int64]) -> list[str]:
    """Classes whose images are all validated by one fold, which is then never trained on them, or by none."""
    has = (content > 0).to_numpy()
    n_parts = np.sum([has[folds == number].any(axis=0) for number in np.unique(folds)], axis=0)
    return [str(name) for name in content.columns[n_parts == 1]]


def rows_of(content: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.bool_]:
    """(rows,) whether an image has any of the classes."""
    return (content[list(classes)] > 0).to_numpy().any(axis=1)
