"""Several labels of one image as text: a JSON list of names."""

import json
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError


def to_text(labels: Iterable[str]) -> str:
    """``["dog","wet"]``; ``[]`` for none."""
    return json.dumps(list(labels), ensure_ascii=False, separators=(",", ":"))


def from_text(text: str) -> list[str]:
    """Names of a text of `to_text`.

    Raises:
        DataError: it is none.
    """
    try:
        labels = json.loads(text)
    except ValueError:
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise DataError(f'labels: {text[:60]!r} is no list of labels. Write ["dog","wet"], or [] for none.')
    return labels


def indicators(texts: Iterable[str], classes: Sequence[str]) -> NDArray[np.uint8]:
    """1 where an image is of a class, (n, classes).

    Raises:
        KeyError: a label is none of the classes.
    """
    place = {name: number for number, name in enumerate(classes)}
    rows = [[place[label] for label in from_text(text)] for text in texts]
    made = np.zeros((len(rows), len(classes)), np.uint8)
    for row, found in enumerate(rows):
        made[row, found] = 1
    return made
