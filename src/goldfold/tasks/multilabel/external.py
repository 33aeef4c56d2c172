"""Predictions of other tools for several labels per image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

from goldfold.tasks import given
from goldfold.tasks.multilabel.output import probabilities
from goldfold.tasks.multilabel.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays


class External:
    """Reads tables of id and one probability per class, whose log odds are the logits of a member."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def from_table(self, table: pd.DataFrame, images: pd.DataFrame, where: str) -> Arrays:
        """Return the predictions of a table, in its order.

        Raises:
            DataError: values that are not probabilities.
        """
        known = given.class_columns(table, self.classes, where)
        values = given.numbers(table, list(known.values()), where)
        given.refuse_no_probabilities(values, table["id"].to_numpy(), where)
        return given.member_of(table, known, _logits(values), self.classes)

    def from_arrays(self, arrays: Arrays, images: pd.DataFrame, where: str) -> Arrays:
        """Return the arrays of a member, see `goldfold.tasks.given.with_logits`."""
        return given.with_logits(arrays, _logits, where)

    def completed(self, partial: Arrays, others: Sequence[Arrays]) -> Arrays:
        """Fill in the classes that a member does not know, with the mean probability of the other members.

        Args:
            others: predictions of at least the same images, with all classes.
        """
        mean = np.mean([probabilities(one, partial["ids"].tolist()) for one in others], axis=0)
        logits = np.where(np.isnan(partial["logits"]), _logits(mean), partial["logits"])
        return {**partial, "logits": logits.astype(np.float32)}


def _logits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = special.logit(np.clip(values, given.SMALLEST, 1 - given.SMALLEST))
    return found
