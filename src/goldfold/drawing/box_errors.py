"""Classify predicted boxes as found or by type of error (after Bolya et al. 2020, TIDE)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

KINDS = ("found", "wrong class", "duplicate", "misplaced", "background")
FOUND, WRONG_CLASS, DUPLICATE, MISPLACED, BACKGROUND = range(len(KINDS))
MEANING = (
    "Found: overlaps an object of its class (IoU of at least 0.5) that no box of higher score has taken. Wrong class: "
    "overlaps only an object of another class that much. Duplicate: overlaps an object that a box of higher score has taken. "
    "Misplaced: overlaps an object of its class less (IoU 0.1 to 0.5). Background: all other boxes. Missed: an object that "
    "no box found."
)
HIT, TOUCH = 0.5, 0.1


@dataclass(frozen=True)
class Checked:
    """Boxes of an image, highest score first, and its objects."""

    kind: NDArray[np.int64]
    """(boxes,) index into `KINDS`."""
    object: NDArray[np.int64]
    """(boxes,) the object that a box found or gave a wrong class; -1 for others."""
    is_missed: NDArray[np.bool_]
    """(objects,)."""

    @property
    def n_errors(self) -> int:
        """Missed objects and false boxes."""
        return int(self.is_missed.sum() + (self.kind != FOUND).sum())


def check(
    objects: NDArray[np.float64], classes: NDArray[np.int64], boxes: NDArray[np.float64], labels: NDArray[np.int64]
) -> Checked:
    """Match as COCO does: each box in turn takes the untaken object of its class that it overlaps most.

    Args:
        objects, classes: true boxes (m, 4) and classes (m,).
        boxes, labels: predicted boxes (n, 4), highest score first, and their classes (n,).
    """
    iou = overlaps(boxes, objects)
    is_own = labels[:, None] == classes[None, :]
    kind = np.full(len(boxes), BACKGROUND)
    of = np.full(len(boxes), -1)
    is_missed = np.ones(len(objects), dtype=bool)
    for row in range(len(boxes)):
        free = np.where(is_own[row] & is_missed, iou[row], 0)
        other = np.where(is_own[row], 0, iou[row])
        own = float(np.where(is_own[row], iou[row], 0).max(initial=0))
        if free.max(initial=0) >= HIT:
            kind[row], of[row] = FOUND, free.argmax()
            is_missed[of[row]] = False
        elif own >= HIT:
            kind[row] = DUPLICATE
        elif other.max(initial=0) >= HIT:
            kind[row], of[row] = WRONG_CLASS, other.argmax()
        elif own >= TOUCH:
            kind[row] = MISPLACED
    return Checked(kind, of, is_missed)


def overlaps(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU (n, m) of boxes (n, 4) and (m, 4)."""
    one, two = first[:, None], second[None]
    sides = (np.minimum(one[..., 2:], two[..., 2:]) - np.maximum(one[..., :2], two[..., :2])).clip(0)
    shared = sides.prod(axis=-1)
    areas = [(boxes[..., 2:] - boxes[..., :2]).prod(axis=-1) for boxes in (one, two)]
    return shared / np.maximum(areas[0] + areas[1] - shared, np.finfo(float).tiny)
