"""Numbers predicted by other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from goldfold.base.errors import DataError
from goldfold.tasks import given
from goldfold.tasks.regression.output import arrays as arrays_of
from goldfold.tasks.regression.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

NAMES = ("predicted", "prediction", "value")
"""Columns that may hold the number."""


class External:
    """Reads tables of id and ``predicted``."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def from_table(self, table: pd.DataFrame, images: pd.DataFrame, where: str) -> Arrays:
        """Return the predictions of a table, in its order, with a spread of 0."""
        values = given.numbers(table, [given.column(table, NAMES, where)], where)[:, 0]
        return arrays_of(self.classes, table["id"].to_numpy(str), values, np.zeros(len(values)))

    def from_arrays(self, arrays: Arrays, where: str) -> Arrays:
        """Return the arrays of a member, with a spread of 0 if there is none.

        Raises:
            DataError: there are no finite ``values``.
        """
        if "values" not in arrays or not np.isfinite(arrays["values"]).all():
            raise DataError(f"{where}: must hold 'values' (n,), finite numbers in units of the target.")
        values = arrays["values"]
        return arrays_of(self.classes, arrays["ids"], values, arrays.get("spreads", np.zeros(len(values))))
