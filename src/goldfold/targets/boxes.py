"""Boxes of an image: their text in a table, and checks for flaws."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError

Boxes = NDArray[np.float64]
"""(n, 4) x1, y1, x2, y2 in pixels of the original image, x to the right, y down, x2 and y2 exclusive."""

ROUNDING_PX = 1.0
"""Distance that a box may reach outside its image, since tools count pixels from 0 or from 1."""
REACHES_OUTSIDE = "reaches outside the image"
SAME_PX, SAME_IOU = 0.5, 0.95
"""Largest distance between corners, and smallest IoU, of two boxes that count as the same, since files round numbers."""


def to_text(labels: Sequence[str], boxes: NDArray[np.floating[Any]]) -> str:
    """JSON ``[["RBC",12,0,40.5,31],...]`` of the boxes, each preceded by its label."""
    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).tolist()
    rows = [[label, *map(_shortest, corner)] for label, corner in zip(labels, corners, strict=True)]
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=False)


def from_text(text: str) -> tuple[list[str], Boxes]:
    """Labels and boxes of a text written by `to_text`.

    Raises:
        DataError: the text has another form.
    """
    try:
        rows = json.loads(text)
    except ValueError:
        rows = None
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        raise DataError(
            f'boxes: {text[:60]!r} is not a list of boxes. Write [["label",x1,y1,x2,y2],...], or [] for none.'
        )
    return [row[0] for row in rows], np.array([row[1:] for row in rows], dtype=np.float64).reshape(-1, 4)


def flaws(boxes: Boxes, width: int, height: int) -> list[str | None]:
    """The worst flaw of each box in an image of ``width`` and ``height`` pixels; None if there is none."""
    x1, y1, x2, y2 = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
    far, wide, high = ROUNDING_PX, width + ROUNDING_PX, height + ROUNDING_PX
    found = {
        "has a coordinate that is not a number": ~np.isfinite([x1, y1, x2, y2]).all(axis=0),
        "is reversed": (x2 < x1) | (y2 < y1),
        "has no area": (x2 == x1) | (y2 == y1),
        "lies outside the image": (x2 <= 0) | (y2 <= 0) | (x1 >= width) | (y1 >= height),
        REACHES_OUTSIDE: (x1 < -far) | (y1 < -far) | (x2 > wide) | (y2 > high),
    }
    reasons = [*found, None]
    return [reasons[worst] for worst in np.select(list(found.values()), range(len(found)), len(found)).tolist()]


def repeated(labels: Sequence[str], boxes: Boxes) -> list[int | None]:
    """For each box the first one with the same label and position (an object listed twice); None for first ones."""
    from scipy.spatial import cKDTree

    corners = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    seen: dict[tuple[Any, ...], int] = {}
    same = [
        seen.setdefault((label, *corner), row)
        for row, (label, corner) in enumerate(zip(labels, corners.tolist(), strict=True))
    ]
    firsts = [first if first != row else None for row, first in enumerate(same)]
    rest = np.array([row for row in seen.values() if np.isfinite(corners[row]).all()], dtype=np.int64)
    if len(rest) < 2:
        return firsts
    pairs = np.sort(rest[cKDTree(corners[rest]).query_pairs(SAME_PX, p=np.inf, output_type="ndarray")], axis=1)
    alike = pairs[_overlap(corners[pairs[:, 0]], corners[pairs[:, 1]]) >= SAME_IOU]
    for one, other in sorted(map(tuple, alike.tolist())):
        if labels[one] == labels[other] and firsts[one] is None and firsts[other] is None:
            firsts[other] = one
    return firsts


def _overlap(one: Boxes, other: Boxes) -> NDArray[np.float64]:
    """IoU of pairs of boxes."""
    low, high = np.maximum(one[:, :2], other[:, :2]), np.minimum(one[:, 2:], other[:, 2:])
    common = (high - low).clip(0).prod(axis=1)
    areas = [(box[:, 2:] - box[:, :2]).prod(axis=1) for box in (one, other)]
    union = areas[0] + areas[1] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def in_pixels(text: str, width: int, height: int) -> str:
    """Convert boxes from fractions of an image to pixels, rounded to a thousandth, finer than six decimals of a fraction."""
    labels, shares = from_text(text)
    return to_text(labels, np.round(shares * [width, height, width, height], 3))


@dataclass(frozen=True)
class Checked:
    """The usable boxes of an image, clipped at its borders, and the flaws of the others."""

    labels: list[str]
    text: str
    flaws: list[str]
    cut: list[bool]
    """For each flaw, whether its box was clipped and kept rather than left out."""
    twice: list[str]
    """Sound boxes that repeat an earlier one; they are included in ``text``."""
    once: str
    """``text`` without repeated boxes."""


def check(text: str, width: int, height: int, classes: Sequence[str] | None = None) -> Checked:
    """Check the boxes of an image of ``width`` and ``height`` pixels.

    A box that reaches outside is clipped and listed among the flaws; every other flawed box is left out, and so is one
    whose label is not in ``classes``.
    """
    labels, boxes = from_text(text)
    found = [
        f"has a label that is not a class ({', '.join(classes)})"
        if classes is not None and label not in classes
        else flaw
        for label, flaw in zip(labels, flaws(boxes, width, height), strict=True)
    ]
    keep = [row for row, flaw in enumerate(found) if flaw in (None, REACHES_OUTSIDE)]
    cut = clipped(boxes[keep], width, height)
    named = [f"box {row + 1} ({labels[row]}) {flaw}" for row, flaw in enumerate(found) if flaw]
    kept = [labels[row] for row in keep]
    firsts = repeated(kept, boxes[keep])
    twice = [
        f"box {keep[row] + 1} ({kept[row]}) is the same as box {keep[first] + 1}"
        for row, first in enumerate(firsts)
        if first is not None
    ]
    once = [row for row, first in enumerate(firsts) if first is None]
    return Checked(
        kept, to_text(kept, cut), named, [flaw == REACHES_OUTSIDE for flaw in found if flaw],
        twice, to_text([kept[row] for row in once], cut[once]),
    )  # fmt: skip


def clipped(boxes: Boxes, width: int, height: int) -> Boxes:
    """The boxes, clipped at the borders of the image."""
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4).clip(0, [width, height, width, height])


def _shortest(number: float) -> float | int:
    return int(number) if number.is_integer() else number


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, list)
        and len(row) == 5
        and isinstance(row[0], str)
        and all(isinstance(number, int | float) and not isinstance(number, bool) for number in row[1:])
    )
