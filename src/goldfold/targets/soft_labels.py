"""Soft labels of an image as text: a JSON object of the probabilities of its classes."""

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError

COLUMN = "shares"
"""Column of soft labels in a table of training cases; empty for cases with true labels."""
DIGITS = 6


def to_text(row: NDArray[np.float64], classes: Sequence[str]) -> str:
    """Write the probabilities of the classes (classes,); zeros are left out.

    >>> to_text(np.array([0.25, 0.0, 0.75]), ["cat", "cow", "dog"])
    '{"cat":0.25,"dog":0.75}'
    """
    rounded = zip(classes, row.round(DIGITS).tolist(), strict=True)
    return json.dumps({name: value for name, value in rounded if value}, ensure_ascii=False, separators=(",", ":"))


def from_text(text: str, classes: Sequence[str]) -> NDArray[np.float32]:
    """Read the probabilities of the classes, (classes,), written by `to_text`.

    Raises:
        DataError: the text has another form, or names another class.
    """
    row = np.zeros(len(classes), np.float32)
    try:
        for name, value in json.loads(text).items():
            row[list(classes).index(name)] = value
    except (ValueError, AttributeError, TypeError) as error:
        raise DataError(
            f'shares: {text[:60]!r} are no probabilities of the classes; write {{"cat":0.3,"dog":0.7}}'
        ) from error
    return row


def sharpened(values: NDArray[np.float64], power: float, floor: float) -> NDArray[np.float64]:
    """Sharpen probabilities: to a power, scaled to sum to one; then those below ``floor`` become 0, the others are scaled again.

    The largest probability of a row always stays.

    >>> sharpened(np.array([[0.6, 0.3, 0.1]]), 2, 0.05).round(3).tolist()
    [[0.8, 0.2, 0.0]]

    Args:
        values: (n, classes), rows sum to one.
        power: above 0; 1 for the probabilities as they are.
        floor: 0 for none.
    """
    made = (values / values.max(axis=1, keepdims=True)) ** power  # scaled first, so that no power underflows
    made = made / made.sum(axis=1, keepdims=True)
    made = np.where((made >= floor) | (made == made.max(axis=1, keepdims=True)), made, 0.0)
    return np.asarray(made / made.sum(axis=1, keepdims=True))
