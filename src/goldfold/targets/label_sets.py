"""Several labels of an image as text: a JSON list of names."""

import json
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError


def to_text(labels: Iterable[str]) -> str:
    """``["dog","wet"]``; ``[]`` for none."""
    return json.dumps(list(labels), ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> list[str]:
    """Labels from a text written by `to_text`.

    Raises:
        DataError: the text has another form.
    """
    try:
        labels = json.loads(text)
    except ValueError:
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise DataError(f'labels: {text[:60]!r} is not a list of labels. Write ["dog","wet"], or [] for none.')
    return labels


def indicators(texts: Iterable[str], classes: Sequence[str]) -> NDArray[np.uint8]:
    """Indicators (n, classes): 1 if an image is of a class.

    Raises:
        KeyError: a label is not a class.
    """
    place = {name: number for number, name in enumerate(classes)}
    rows = [[place[label] for label in from_text(text)] for text in texts]
    made = np.zeros((len(rows), len(classes)), np.uint8)
    for row, found in enumerate(rows):
        made[row, found] = 1
    return made
