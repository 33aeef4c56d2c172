"""Report blocks on which classes are confused with each other and with the background, and on sizes of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from goldfold.drawing import box_errors
from goldfold.drawing.blocks import Block, Cell, Table, Text
from goldfold.drawing.figures import matrix
from goldfold.drawing.words import percent

if TYPE_CHECKING:
    from goldfold.tasks.detection.outcome import Image

MOST_CLASSES_DRAWN, MOST_WITH_SHARES = 30, 8
"""Largest number of classes of a matrix, and of one with shares in its cells."""
BACKGROUND = "(background)"
MOST_SIZES = 5


def confusion(images: Sequence[Image], classes: Sequence[str]) -> list[Block]:
    """Return the matrix of true and predicted classes with the background; none with too many classes."""
    if not 1 <= len(classes) <= MOST_CLASSES_DRAWN:
        return []
    counts = counted(images, len(classes))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    texts = [[_cell(counts, shares, row, column) for column in range(len(counts))] for row in range(len(counts))]
    caption = (
        "Each object is in its row: found, taken for the class of the first box that overlaps it, or missed (background). Boxes "
        "without an object of their own (duplicate, misplaced, background) are in the last row. Errors are red."
    )
    names = ("true class", "predicted class")
    figure = matrix("confusion", shares, texts, [*classes, BACKGROUND], names, caption, highlight_errors=True)
    return [Text("", heading="Confusion with other classes and with the background"), figure]


def counted(images: Sequence[Image], n: int) -> NDArray[np.int64]:
    """Count objects and boxes by true and predicted class (n + 1, n + 1), the last being the background.

    Rows add up to the objects of a class, columns to its boxes.
    """
    counts = np.zeros((n + 1, n + 1), dtype=np.int64)
    for image in images:
        taken_for = np.where(image.checked.is_missed, n, image.classes)
        is_own = image.checked.kind == box_errors.FOUND
        for row in np.flatnonzero(image.checked.kind == box_errors.WRONG_CLASS):
            object = image.checked.object[row]
            if taken_for[object] == n:
                taken_for[object], is_own[row] = image.labels[row], True
        np.add.at(counts, (image.classes, taken_for), 1)
        np.add.at(counts[n], image.labels[~is_own], 1)
    return counts


def _cell(counts: NDArray[np.int64], shares: NDArray[np.float64], row: int, column: int) -> str:
    n, number = len(counts) - 1, int(counts[row, column])
    if row == column == n:
        return ""
    if not number:
        return "0" if row == column else "·"
    return f"{number:,}\n{percent(float(shares[row, column]), 0)}" if n <= MOST_WITH_SHARES else f"{number:,}"


def by_size(images: Sequence[Image]) -> list[Block]:
    """Return a table of found objects and false boxes by size; none without objects."""
    objects = _sides(np.concatenate([np.empty((0, 4)), *(image.objects.reshape(-1, 4) for image in images)]))
    if not len(objects):
        return []
    boxes = _sides(np.concatenate([np.empty((0, 4)), *(image.boxes.reshape(-1, 4) for image in images)]))
    missed = np.concatenate([image.checked.is_missed for image in images])
    false = np.concatenate([image.checked.kind != box_errors.FOUND for image in images])
    edges = size_edges(objects)
    of_objects, of_boxes = (np.searchsorted(edges, sides, side="right") for sides in (objects, boxes))
    rows: list[list[str | Cell]] = []
    for number in range(len(edges) + 1):
        own, own_boxes = of_objects == number, of_boxes == number
        n, n_found = int(own.sum()), int((own & ~missed).sum())
        n_boxes, n_false = int(own_boxes.sum()), int((own_boxes & false).sum())
        rows.append([
            _range(edges, number), f"{n:,}", f"{n_found:,}", _share(n_found, n), f"{n_boxes:,}", f"{n_false:,}",
            _share(n_boxes - n_false, n_boxes),
        ])  # fmt: skip
    columns = ["side, px", "objects", "found", "recall", "boxes", "false", "precision"]
    caption = (
        "The side of an object or a box is the square root of its area in pixels of the image. Groups have about equally many "
        "objects. Metrics by size use COCO's limits of 32 and 96 pixels."
    )
    return [Text("", heading="By size"), Table(columns, rows, columns[:1], caption)]


def size_edges(sides: NDArray[np.float64]) -> list[float]:
    """Return sides (ascending, to two digits) that divide objects into at most five groups of about equal size."""
    wanted = min(MOST_SIZES, len(sides))
    edges = {float(f"{edge:.2g}") for edge in np.quantile(sides, np.arange(1, wanted) / wanted)}
    return [edge for edge in sorted(edges) if edge > sides.min()]


def _sides(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.sqrt((boxes[:, 2:] - boxes[:, :2]).clip(0).prod(axis=1))


def _range(edges: Sequence[float], number: int) -> str:
    """Text of a group, whose lower edge belongs to it."""
    if not edges:
        return "all"
    if number == 0:
        return f"below {edges[0]:g}"
    return f"{edges[-1]:g} and more" if number == len(edges) else f"{edges[number - 1]:g} to {edges[number]:g}"


def _share(part: int, whole: int) -> str | Cell:
    return Cell(percent(part / whole), part / whole) if whole else "–"
