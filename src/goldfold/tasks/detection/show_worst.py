"""Report section with the worst errors: parts of images around missed objects and false boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from goldfold.base.words import count
from goldfold.drawing import box_errors
from goldfold.drawing.blocks import Block, Gallery, Picture, Section
from goldfold.drawing.overlays import ERROR_LEGEND, FALSE, FOUND, LINE_PX, MISSED, Box, boxed, opened
from goldfold.drawing.pictures import picture
from goldfold.drawing.words import shortened

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from goldfold.tasks.detection.outcome import Image
    from goldfold.tasks.detection.spec import Spec

MOST = 12
"""Most errors of each kind."""
MARGIN, LEAST_PX = 0.75, 24.0
"""Surroundings that are shown on each side of a box: a share of its longest side, and at least this many pixels."""
SIDE_PX, COLUMN_PX = 300, 150
Error = tuple["Image", int]
"""An image, and the row of an object or a box in it."""


def worst_errors(spec: Spec, images: Sequence[Image], gallery: int) -> list[Section]:
    """Return the section with the largest missed objects and the false boxes of highest score; none without errors.

    Args:
        gallery: most pictures per gallery, at most `MOST`.
    """
    most = min(gallery, MOST)
    missed, false = largest_missed(images), surest_false(images)
    blocks: list[Block] = []
    for heading, errors, make, order in (
        ("Missed objects", missed, _missed, "the largest first"),
        ("False boxes", false, _false, "the highest score first"),
    ):
        if errors and most:
            shown = [make(spec, *error) for error in errors[:most]]
            caption = f"{len(shown):,} of {len(errors):,}, {order}."
            blocks.append(Gallery(shown, caption, heading, column_px=COLUMN_PX, legend=ERROR_LEGEND))
    intro = (
        f"{count(len(missed), 'missed object')} and {count(len(false), 'false box', 'false boxes')}, cut out of their images. A "
        f"false box that fits an object well may be a missing annotation."
    )
    return [Section("worst", "Worst errors", intro, blocks)] if blocks else []


def largest_missed(images: Sequence[Image]) -> list[Error]:
    """Return missed objects by descending area."""
    found = [(image, int(row)) for image in images for row in np.flatnonzero(image.checked.is_missed)]
    return sorted(found, key=lambda error: (-_area(error[0].objects[error[1]]), error[0].id, error[1]))


def surest_false(images: Sequence[Image]) -> list[Error]:
    """Return false boxes by descending score."""
    found = [(image, int(row)) for image in images for row in np.flatnonzero(image.checked.kind != box_errors.FOUND)]
    return sorted(found, key=lambda error: (-float(error[0].scores[error[1]]), error[0].id, error[1]))


def _area(box: NDArray[np.float64]) -> float:
    return float((box[2:] - box[:2]).prod())


def _missed(spec: Spec, image: Image, row: int) -> Picture:
    width, height = (image.objects[row][2:] - image.objects[row][:2]).round().astype(int).tolist()
    lines = [f"{width} x {height} px", image.id]
    own = Box(image.objects[row], MISSED, is_dashed=True)
    return _cut(image, image.objects[row], own, shortened(spec.classes[image.classes[row]], 22), lines)


def _false(spec: Spec, image: Image, row: int) -> Picture:
    kind = box_errors.KINDS[image.checked.kind[row]]
    if image.checked.kind[row] == box_errors.WRONG_CLASS:
        kind = f"is {shortened(spec.classes[image.classes[image.checked.object[row]]], 18)}"
    title = f"{shortened(spec.classes[image.labels[row]], 18)} {image.scores[row]:.2f}"
    return _cut(image, image.boxes[row], Box(image.boxes[row], FALSE), title, [kind, image.id])


def _cut(image: Image, box: NDArray[np.float64], own: Box, title: str, lines: Sequence[str]) -> Picture:
    """Draw a box with its surroundings, in which found objects are green."""
    pixels = opened(image.path)
    if pixels is None:
        return picture("", title, lines)
    margin = max(MARGIN * float((box[2:] - box[:2]).max()), LEAST_PX)
    size = np.array(pixels.shape[1::-1])
    left, top = np.floor((box[:2] - margin).clip(0, size - 1)).astype(int).tolist()
    right, bottom = np.ceil((box[2:] + margin).clip([left + 1, top + 1], size)).astype(int).tolist()
    part, corner = pixels[top:bottom, left:right], np.array([left, top] * 2)
    others = [Box(image.boxes[row] - corner, FOUND) for row in np.flatnonzero(image.checked.kind == box_errors.FOUND)]
    drawn = boxed(
        part, [*others, Box(np.asarray(own.corners) - corner, own.colour, is_dashed=own.is_dashed)], SIDE_PX, LINE_PX
    )
    return picture("", title, lines, np.ascontiguousarray(drawn))
