"""Checks of the usable data, before anything is trained on them."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from goldfold import tasks
from goldfold.base.errors import ConfigError, DataError
from goldfold.base.words import count
from goldfold.targets.class_weights import unknown


def check(
    tables: Mapping[str, pd.DataFrame],
    lost: Sequence[pd.DataFrame],
    task: dict[str, Any],
    names: list[str],
    decides: bool,
) -> None:
    """Refuse a split without images, a class without training images, and classes without thresholds.

    Args:
        tables: usable rows by split.
        lost: rows that are left out, with ``split`` and ``reason``.
        names: classes.
        decides: whether thresholds are fitted.

    Raises:
        GoldfoldError: with what is missing.
    """
    _refuse_empty(tables, lost)
    if decides:
        try:
            tasks.decided(task, names)
        except ConfigError as error:
            raise ConfigError(f"ensemble: {error}") from error
    amounts = tasks.target(task, names).content(tables["train"]).sum()
    for name in amounts.index[amounts == 0]:
        raise DataError(f"data.classes: class {name!r} has no training image.")


def _refuse_empty(tables: Mapping[str, pd.DataFrame], lost: Sequence[pd.DataFrame]) -> None:
    n_lost = sum(len(table) for table in lost)
    for split, table in tables.items():
        if table.empty:
            own = next((reason for part in lost for reason in part["reason"][part["split"] == split]), "")
            first = f", the first: {own}" if own else ""
            raise DataError(
                f"{split}: no usable images ({n_lost} in quarantine{first}). Look at the paths and labels of data.{split}."
            )


def check_classes(names: Sequence[str], weighted: Mapping[str, Sequence[str]], lists: Mapping[str, int]) -> None:
    """Refuse settings that do not fit the classes.

    Args:
        names: classes.
        weighted: classes that are named, by the key of the config.
        lists: lengths of lists with one value per class, by the key of the config.

    Raises:
        ConfigError: with the key and the classes.
    """
    for key, wanted in weighted.items():
        for problem in unknown(wanted, names):
            raise ConfigError(f"{key}: {problem}")
    for key, n in lists.items():
        if n != len(names):
            raise ConfigError(
                f"{key}: has {count(n, 'value')}, but there are {len(names)} classes; write one value for each, in this order: "
                f"{', '.join(names)}"
            )
