"""Selection of the images that get a pseudo label, by the predicted class and its confidence.

A rule sees the predictions of one fold's models for unlabelled images, and for thresholds moved by accuracy the accuracy of
inner trainings inside the fold's training part: no label of a validation row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

Thresholds = dict[str, float]
"""Threshold by class."""


@dataclass(frozen=True)
class Selection:
    """Rule that chooses among the most probable classes of images.

    Args:
        threshold: smallest confidence, 0 to 1.
        class_thresholds: those of single classes.
        adapt: ``by`` (counts or accuracy) and ``floor``, if thresholds are moved per class.
        top_k: most images per class; below 1 a share of the images predicted as the class.
    """

    threshold: float
    class_thresholds: Mapping[str, float] = field(default_factory=dict)
    adapt: Mapping[str, Any] | None = None
    top_k: float | None = None

    @property
    def is_by_class(self) -> bool:
        """Return whether classes have thresholds of their own."""
        return bool(self.class_thresholds) or self.adapt is not None

    @property
    def lowest(self) -> float:
        """The smallest threshold that a class may have."""
        least = min([self.threshold, *self.class_thresholds.values()])
        return least if self.adapt is None else min(least, self.adapt["floor"])

    def thresholds(self, table: pd.DataFrame, classes: Sequence[str], accuracy: Mapping[str, float]) -> Thresholds:
        """Return the threshold of each class.

        Args:
            table: ``label`` and ``confidence`` of all images.
            accuracy: accuracy by class, where it moves the thresholds.
        """
        given = {name: self.class_thresholds.get(name, self.threshold) for name in classes}
        if self.adapt is None:
            return given
        known = accuracy if self.adapt["by"] == "accuracy" else _confident(table, given)
        return moved(given, known, self.adapt["floor"])

    def chosen(self, table: pd.DataFrame, every: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
        """Return the rows of a table that get a pseudo label, in its order.

        Args:
            table: ``id``, ``confidence`` and, where images have one class, ``label``, of the images above `lowest`.
            every: the same of all images.
            thresholds: see `thresholds`; unused if classes have no thresholds of their own.
        """
        if self.is_by_class:
            table = table[table["confidence"] >= table["label"].map(thresholds).astype(float)]
        if self.top_k is None:
            return table
        numbers = every.groupby(_class_of(every)).size()
        best_first = table.sort_values(["confidence", "id"], ascending=[False, True], kind="stable")
        of = _class_of(best_first)
        most = of.map({name: _most(self.top_k, int(number)) for name, number in numbers.items()})
        return table.loc[best_first.index[best_first.groupby(of).cumcount() < most]].sort_index()


def moved(thresholds: Thresholds, known: Mapping[str, float], floor: float) -> Thresholds:
    """Lower the thresholds of classes that are known less well than the best known one.

    A class's threshold is multiplied by x / (2 - x), where x is its value in ``known`` relative to the largest one (FlexMatch,
    Zhang et al. 2021, eqs. 6 and 7 and the convex mapping of section 3.3), but is at least ``floor``.

    >>> moved({"cat": 0.9, "dog": 0.9}, {"cat": 30, "dog": 20}, 0.4)
    {'cat': 0.9, 'dog': 0.45}
    """
    largest = max(known.values(), default=0)
    if not largest:
        return thresholds
    shares = {name: known.get(name, 0) / largest for name in thresholds}
    return {name: round(max(floor, value * shares[name] / (2 - shares[name])), 6) for name, value in thresholds.items()}


def _confident(table: pd.DataFrame, thresholds: Thresholds) -> dict[str, float]:
    """Number of images of each class that reach its threshold."""
    is_sure = table["confidence"] >= table["label"].map(thresholds).astype(float)
    return {str(name): float(number) for name, number in table["label"][is_sure].value_counts().items()}


def _class_of(table: pd.DataFrame) -> "pd.Series[str]":
    """Class of each image; one for all where images have none."""
    return table["label"] if "label" in table else pd.Series("", index=table.index, dtype=object)


def _most(top_k: float, number: int) -> int:
    """Most images of a class, of which there are ``number``; a share is rounded up."""
    return int(top_k) if top_k >= 1 else int(np.ceil(round(top_k * number, 6)))
