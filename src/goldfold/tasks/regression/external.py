"""Numbers predicted by other tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

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

    def from_arrays(self, arrays: Arrays, images: pd.DataFrame, where: str) -> Arrays:
        """Return the arrays of a member, with a spread of 0 if there is none.

        Raises:
            DataError: ``values`` or ``spreads`` are not one finite number per image, or a spread is negative.
        """
        shape = (len(arrays["ids"]),)
        values = given.numeric(arrays, "values", shape, where, "one per image in units of the target")
        spreads = np.zeros(shape)
        if "spreads" in arrays:
            spreads = given.numeric(arrays, "spreads", shape, where, "one per image, 0 if unknown")
            given.refuse_rows(spreads < 0, spreads, arrays, where, "a negative spread; write 0 if it is unknown")
        return arrays_of(self.classes, arrays["ids"], values, spreads)
