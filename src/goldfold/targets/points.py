"""Points of an image: their text in a table, and checks for flaws."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.targets import boxes

Points = NDArray[np.float64]
"""(n, 2) x, y in pixels of the original image from its corner, x to the right, y down: the first pixel has its centre at 0.5."""

ROUNDING_PX = boxes.ROUNDING_PX
"""Distance by which a point may lie outside its image, since tools count pixels from 0 or from 1; it is moved to the border."""


def to_text(labels: Sequence[str], points: NDArray[np.floating[Any]]) -> str:
    """JSON ``[["cell",12.5,31],...]`` of the points, each preceded by its label."""
    places = np.asarray(points, dtype=np.float64).reshape(-1, 2).tolist()
    rows = [[label, *(int(one) if one.is_integer() else one for one in place)]
            for label, place in zip(labels, places, strict=True)]  # fmt: skip
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=False)


def from_text(text: str) -> tuple[list[str], Points]:
    """Labels and points of a text written by `to_text`.

    Raises:
        DataError: the text has another form.
    """
    try:
        found = json.loads(text)
        labels, places = [row[0] for row in found], np.array([row[1:] for row in found], np.float64).reshape(-1, 2)
    except (ValueError, TypeError, IndexError, KeyError):
        labels, places = [None], np.empty((0, 2))
    if len(labels) != len(places) or not all(isinstance(label, str) for label in labels):
        raise DataError(f'points: {text[:60]!r} is not a list of points. Write [["label",x,y],...], or [] for none.')
    return labels, places


def centres(text: str) -> str:
    """Text of the centres of boxes, given as `goldfold.targets.boxes` writes them."""
    labels, corners = boxes.from_text(text)
    return to_text(labels, (corners[:, :2] + corners[:, 2:]) / 2)


@dataclass(frozen=True)
class Checked:
    """The usable points of an image, moved to its border where they are just outside, and the flaws of the others."""

    labels: list[str]
    text: str
    flaws: list[str]
    once: str
    """``text`` without points that repeat an earlier one."""
    twice: list[str]
    """Points that repeat an earlier one of the same class; they are included in ``text``."""


def check(text: str, width: int, height: int, classes: Sequence[str] | None = None) -> Checked:
    """Check the points of an image of ``width`` and ``height`` pixels."""
    labels, points = from_text(text)
    far = ROUNDING_PX
    is_number = np.all(np.isfinite(points), axis=1)
    is_inside = np.all((points >= -far) & (points <= np.array([width, height]) + far), axis=1)
    flaws, keep = [], []
    for row, label in enumerate(labels):
        flaw = (
            "has a coordinate that is not a number" * (not is_number[row])
            or f"({points[row, 0]:g}, {points[row, 1]:g}) lies outside the image of {width} x {height} pixels"
            * (not is_inside[row])
            or f"has a label that is not a class ({', '.join(classes or ())})"
            * (classes is not None and label not in classes)
        )
        if flaw:
            flaws.append(f"point {row + 1} ({label}) {flaw}")
        else:
            keep.append(row)
    kept, moved = [labels[row] for row in keep], points[keep].clip(0, [width, height])
    seen: dict[tuple[Any, ...], int] = {}
    first = [
        seen.setdefault((label, *place), row) for row, label, place in zip(keep, kept, moved.tolist(), strict=True)
    ]
    twice = [
        f"point {row + 1} ({labels[row]}) is the same as point {one + 1}"
        for row, one in zip(keep, first, strict=True)
        if row != one
    ]
    once = [place for place, (row, one) in enumerate(zip(keep, first, strict=True)) if row == one]
    return Checked(kept, to_text(kept, moved), flaws, to_text([kept[one] for one in once], moved[once]), twice)
