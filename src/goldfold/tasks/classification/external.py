"""Predictions of other tools for one label per image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.tasks import given
from goldfold.tasks.classification.output import probabilities
from goldfold.tasks.classification.spec import Spec

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.predictions.arrays import Arrays

TOLERANCE = 0.02
"""Largest deviation of the sum of the probabilities of all classes from 1."""


class External:
    """Reads tables of id and one probability per class, whose logarithms are the logits of a member."""

    def __init__(self, spec: Spec) -> None:
        self.classes = spec.classes

    def from_table(self, table: pd.DataFrame, images: pd.DataFrame, where: str) -> Arrays:
        """Return the predictions of a table, in its order.

        Probabilities of the classes that it knows are scaled to sum to 1 per image.

        Raises:
            DataError: values that are not probabilities, or that do not sum to 1; or a single class is known.
        """
        known = given.class_columns(table, self.classes, where)
        if len(known) == 1:
            raise DataError(
                f"{where}: only class {next(iter(known))!r} has a column. A member has a say between the classes that it knows, "
                f"so it needs two or more; give the probability of another class too."
            )
        values = given.numbers(table, list(known.values()), where)
        given.refuse_no_probabilities(values, table["id"].to_numpy(), where)
        scaled = _scaled(values, table["id"].to_numpy(), len(known) == len(self.classes), where)
        return given.member_of(table, known, _logits(scaled), self.classes)

    def from_arrays(self, arrays: Arrays, images: pd.DataFrame, where: str) -> Arrays:
        """Return the arrays of a member, see `goldfold.tasks.given.with_logits`; ``probabilities`` sum to 1 per image."""
        return given.with_logits(arrays, lambda values: _logits(_scaled(values, arrays["ids"], True, where)), where)

    def completed(self, partial: Arrays, others: Sequence[Arrays]) -> Arrays:
        """Fill in the classes that a member does not know.

        An unknown class gets the mean probability of the other members, and the known classes share what these give to all of
        them together: the member has a say among the classes that it knows, and none about the rest.

        Args:
            others: predictions of at least the same images, with all classes.
        """
        ids = partial["ids"].tolist()
        mean = np.mean([probabilities(one, ids) for one in others], axis=0)
        known = ~np.isnan(partial["logits"])
        own = np.where(known, np.exp(partial["logits"].astype(np.float64)), 0)
        share = (mean * known).sum(axis=1, keepdims=True)
        values = np.where(known, own / own.sum(axis=1, keepdims=True) * share, mean)
        return {**partial, "logits": _logits(values).astype(np.float32)}


def _scaled(values: NDArray[np.float64], ids: NDArray[Any], is_whole: bool, where: str) -> NDArray[np.float64]:
    """Scale probabilities (n, known classes) to sum to 1 per image.

    Args:
        is_whole: all classes are known, so that they must sum to 1 as they are; otherwise they sum to at most 1.

    Raises:
        DataError: they do not, or are all 0.
    """
    total = values.sum(axis=1, keepdims=True)
    odd = np.abs(total[:, 0] - 1) > TOLERANCE if is_whole else (total[:, 0] <= 0) | (total[:, 0] > 1 + TOLERANCE)
    if odd.any():
        first = int(np.argmax(odd))
        wanted = "1" if is_whole else "more than 0 and at most 1"
        hint = "averages of ranks are no probabilities: take that ensemble by another method than rank, or its members"
        raise DataError(
            f"{where}: the probabilities of id {str(ids[first])!r} sum to {total[first, 0]:.4g}, not to {wanted} "
            f"({int(odd.sum()):,} such rows). Write probabilities after softmax{'; ' + hint if is_whole else ''}."
        )
    return values / total


def _logits(values: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.log(np.clip(values, given.SMALLEST, 1))
    return found
