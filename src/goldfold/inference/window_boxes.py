"""Join the boxes that were found in overlapping windows of one image, so that each object counts once.

Two boxes of neighbouring windows show one object if they agree *where both windows see it*: a window that cuts an object still
sees its part of the common area. Sides at an inner edge of a window are where the window ends, not the object, so they do not
count where another window shows the side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from goldfold.inference.windows import Grid, Place

Floats = NDArray[np.float64]
Found = tuple[Any, Any, Any]
"""Boxes (n, 4) x1, y1, x2, y2 in pixels, scores (n,) and labels (n,)."""
ALIKE = 0.5
"""Least IoU, where both windows see them, of two boxes of one object; also the least share of a fragment in the other box."""
TRUST = 0.25
"""Power of both scores by which the IoU of a pair is weighted, so that a false box of a low score, which may be as like by
chance, does not take the partner of a true one."""
BELIEVED = 0.5
"""Least score of a box of which another is a fragment, relative to that of the fragment."""
EDGE = 0.01
"""Part of a window's side, at least a pixel, within which a side of a box counts as cut by the window's edge."""
LEAST_WEIGHT = 1e-6
"""Weight of a box of score 0 in means."""
OUTWARD = np.array([-1.0, -1.0, 1.0, 1.0])
"""Direction from a box's middle to each of its sides."""


def joined(grid: Grid, parts: Iterable[Found]) -> Found:
    """Join the boxes of the windows of one image, which are in pixels of the window; a window finds each object once.

    Boxes of one label are joined one to one between a window and those before it, first those that are most alike and of high
    scores. A side is the mean over the windows that show it, weighted by score; the score is the largest. A cut box without
    partner of which half or more lies in another window's box is a fragment and is dropped, unless that box has less than half
    of its score, or is what the fragment's own window found beside it.

    Args:
        parts: boxes of each window, in the order of the grid.

    Returns:
        Boxes in pixels of the image, float64, best first.
    """
    done: list[Objects] = []
    open_ = Objects.none()
    for place, part in zip(grid, parts, strict=True):
        is_past = open_.seen[:, 3] < place[0]  # windows come row by row
        if is_past.any():
            done.append(open_.at(is_past))
            open_ = open_.at(~is_past)
        open_ = _with_window(open_, _in_window(grid, place, part))
    return _sorted(Objects.all([*done, open_]))


@dataclass(frozen=True)
class Objects:
    """Boxes with the area that the windows of each show; n of them."""

    boxes: Floats
    """(n, 4) x1, y1, x2, y2 in pixels of the image."""
    scores: Floats
    labels: NDArray[np.int64]
    seen: Floats
    """(n, 4) area of the image that its windows show."""
    weights: Floats
    """(n, 4) sum of the weights of the windows that show each side; 0 where every window cuts it."""

    def __len__(self) -> int:
        return len(self.scores)

    @classmethod
    def none(cls) -> Objects:
        """No objects."""
        return cls(np.empty((0, 4)), np.empty(0), np.empty(0, np.int64), np.empty((0, 4)), np.empty((0, 4)))

    @classmethod
    def all(cls, several: Iterable[Objects]) -> Objects:
        """Concatenate."""
        listed = [(one.boxes, one.scores, one.labels, one.seen, one.weights) for one in several]
        return cls(*(np.concatenate(parts) for parts in zip(*listed, strict=True)))

    def at(self, rows: NDArray[Any]) -> Objects:
        """Some of them."""
        return Objects(self.boxes[rows], self.scores[rows], self.labels[rows], self.seen[rows], self.weights[rows])

    @property
    def is_cut(self) -> NDArray[np.bool_]:
        """(n, 4) sides that every window cuts."""
        cut: NDArray[np.bool_] = self.weights == 0
        return cut

    @property
    def ends(self) -> Floats:
        """(n, 4) boxes whose cut sides, which are near the end of the area that is seen, reach to it."""
        return np.where(self.is_cut, self.seen, self.boxes)


def _in_window(grid: Grid, place: Place, part: Found) -> Objects:
    """Boxes of a window, which may extend beyond the image, in pixels of the image."""
    (top, left), (height, width) = place, grid.size
    high, wide = grid.window
    boxes = np.asarray(part[0], np.float64).reshape(-1, 4) + np.array([left, top, left, top])
    scores, labels = np.asarray(part[1], np.float64), np.asarray(part[2]).astype(np.int64)
    edges = np.array([left, top, left + wide, top + high], np.float64)
    ends = np.array([0, 0, width, height], np.float64)
    is_inner = (edges - ends) * OUTWARD < 0
    near = np.maximum(1.0, EDGE * np.array([wide, high, wide, high]))
    is_cut = is_inner & ((edges - boxes) * OUTWARD <= near)
    weights = np.where(is_cut, 0.0, np.maximum(scores, LEAST_WEIGHT)[:, None])
    seen = np.tile(np.where(is_inner, edges, ends), (len(boxes), 1))
    return Objects(boxes, scores, labels, seen, weights)


def _with_window(known: Objects, new: Objects) -> Objects:
    """Join the boxes of a window to those of earlier ones."""
    if not len(known) or not len(new):
        return Objects.all([known, new])
    window = new.seen[0]
    touches: Any = ((known.seen[:, :2] <= window[2:]) & (known.seen[:, 2:] >= window[:2])).all(axis=1)
    near, rest = known.at(touches), known.at(~touches)
    likeness = np.where(near.labels[:, None] == new.labels, _likeness(near, new), 0.0)
    own, other = _pairs(likeness, (near.scores[:, None] * new.scores) ** TRUST)
    near_stays, new_stays = _unmatched_that_stay(near, new, own, other)
    return Objects.all([rest, near.at(near_stays), _merged(near.at(own), new.at(other)), new.at(new_stays)])


def _likeness(known: Objects, new: Objects) -> Floats:
    """IoU (known, new) of boxes in the area that both show.

    Where windows only touch, this area is a line: boxes that are cut there are compared along it.
    """
    shared, of_known, of_new = np.ones((3, len(known), len(new)))
    for axis in (0, 1):
        low = np.maximum(known.seen[:, axis], new.seen[0, axis])
        high = np.minimum(known.seen[:, axis + 2], new.seen[0, axis + 2])
        is_line = (low == high)[:, None]
        bounds = low[:, None, None], high[:, None, None]
        first = known.ends[:, None, [axis, axis + 2]].clip(*bounds)
        second = new.ends[None, :, [axis, axis + 2]].clip(*bounds)
        both = np.minimum(first[..., 1], second[..., 1]) - np.maximum(first[..., 0], second[..., 0])
        crosses = _is_cut_at(known, axis, low)[:, None] & _is_cut_at(new, axis, low[:, None])
        shared *= np.where(is_line, crosses, both.clip(0))
        of_known *= np.where(is_line, 1, first[..., 1] - first[..., 0])
        of_new *= np.where(is_line, 1, second[..., 1] - second[..., 0])
    total = of_known + of_new - shared
    return np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)


def _is_cut_at(objects: Objects, axis: int, place: Floats) -> NDArray[np.bool_]:
    """Whether a side of each box is cut at a place along an axis; places broadcast with the boxes."""
    sides = (objects.is_cut[:, side] & (objects.seen[:, side] == place) for side in (axis, axis + 2))
    return next(sides) | next(sides)


def _pairs(likeness: Floats, trust: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose pairs of rows and columns that are alike one to one, first those of the largest product of both."""
    rows, columns = np.nonzero(likeness >= ALIKE)
    order = np.argsort(-(likeness * trust)[rows, columns], kind="stable")
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in pairs and column not in taken:
            pairs[row] = column
            taken.add(column)
    return np.array(list(pairs), np.int64), np.array(list(pairs.values()), np.int64)


def _unmatched_that_stay(
    known: Objects, new: Objects, own: NDArray[np.int64], other: NDArray[np.int64]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether each known and each new box is neither in a pair (own, other) nor a fragment of a box of the other side."""
    in_new, in_known = _lies_in(known, new), _lies_in(new, known)
    in_new[:, other] &= ~_lies_in(known, known.at(own))  # their window found both
    in_known[:, own] &= ~_lies_in(new, new.at(other))
    in_new[own], in_known[other] = False, False
    is_better = known.scores[:, None] > new.scores
    in_new &= ~(in_known.T & is_better)  # of two that lie in each other
    is_known_part: Any = in_new.any(axis=1)
    is_new_part: Any = in_known[:, ~is_known_part].any(axis=1)
    known_stays, new_stays = ~is_known_part, ~is_new_part
    known_stays[own], new_stays[other] = False, False
    return known_stays, new_stays


def _lies_in(ones: Objects, others: Objects) -> NDArray[np.bool_]:
    """Whether each box (n,) is cut and lies by half or more in others (m,) of its class that are not much less certain."""
    common = _common(ones.boxes, others.boxes) >= ALIKE * _areas(ones.boxes)[:, None]
    same = ones.labels[:, None] == others.labels
    believed = others.scores >= BELIEVED * ones.scores[:, None]
    is_cut: Any = ones.is_cut.any(axis=1)
    return np.asarray(is_cut[:, None] & common & same & believed)


def _merged(one: Objects, other: Objects) -> Objects:
    """Join boxes in pairs."""
    weights = one.weights + other.weights
    outermost = np.maximum(one.boxes * OUTWARD, other.boxes * OUTWARD) * OUTWARD
    sums = one.boxes * one.weights + other.boxes * other.weights
    boxes = np.divide(sums, weights, out=outermost, where=weights > 0)
    seen = np.maximum(one.seen * OUTWARD, other.seen * OUTWARD) * OUTWARD
    return Objects(boxes, np.maximum(one.scores, other.scores), one.labels, seen, weights)


def _common(one: Floats, other: Floats) -> Floats:
    """Area (n, m) of the intersections of boxes (n, 4) and (m, 4)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    areas: Floats = (high - low).clip(0).prod(axis=2)
    return areas


def _areas(boxes: Floats) -> Floats:
    areas: Floats = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return areas


def _sorted(objects: Objects) -> Found:
    order = np.lexsort((*objects.boxes.T[::-1], objects.labels, -objects.scores))
    return objects.boxes[order], objects.scores[order], objects.labels[order]
