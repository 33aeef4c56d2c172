"""Report section with images: correct boxes, false boxes and missed objects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.words import count
from goldfold.drawing import box_errors
from goldfold.drawing.blocks import Picture, Section
from goldfold.drawing.overlays import ERROR_LEGEND, FALSE, FOUND, MISSED, Box, Pixels, boxed, colour_of, opened
from goldfold.drawing.pictures import galleries, picture
from goldfold.drawing.words import shortened
from goldfold.targets.boxes import from_text
from goldfold.tasks.detection.outcome import Image
from goldfold.tasks.detection.spec import Spec

MOST_ERRORS, MOST_BOXES = 12, 30
"""Most errors per picture that are framed and numbered, and most frames with correct boxes; more would cover the picture."""
COLUMN_PX = 300


def image_section(spec: Spec, images: list[Image], gallery: int) -> Section:
    """Build the section with the images of most and of fewest errors."""
    n_errors = np.array([image.checked.n_errors for image in images])
    worst_first = np.lexsort((np.array([image.id for image in images]), -n_errors))
    middle, clean = int(np.quantile(n_errors, 0.5, method="lower")), int((n_errors == 0).sum())
    intro = (
        f"{count(len(images), 'training image')}, each predicted by models not trained on it. Missed objects and "
        f"false boxes are errors: half of the images have {count(middle, 'error')} or fewer, {clean:,} have none. The boxes "
        f"drawn are those counted above."
    )
    how = (
        f"Missed objects are dashed. Errors are numbered and listed below the picture: a false box with class and score, a "
        f"missed object with its class. Errors beyond {MOST_ERRORS} are dots in their centre, as are all correct boxes where "
        f"there would be more than {MOST_BOXES} frames."
    )
    shown = galleries(
        lambda rows: [_picture(spec, images[row]) for row in rows],
        worst_first, gallery, "by the number of errors", how, COLUMN_PX, ERROR_LEGEND,
    )  # fmt: skip
    return Section("images", "Image by image", intro, shown, "Images")


def _picture(spec: Spec, image: Image) -> Picture:
    n_false = int((image.checked.kind != box_errors.FOUND).sum())
    n_missed, pixels = int(image.checked.is_missed.sum()), opened(image.path)
    verdict = " · ".join([f"{n_missed:,} missed"] * (n_missed > 0) + [f"{n_false:,} false"] * (n_false > 0))
    missed, false = chosen_errors(image)
    counts = f"{count(len(image.objects), 'object')}, {count(len(image.boxes), 'box', 'boxes')}"
    lines = [counts, *_legend(spec, image, missed, false), image.id]
    drawing = None if pixels is None else boxed(pixels, boxes_of(image, missed, false))
    return picture("", verdict or "no errors", lines, drawing)


def chosen_errors(image: Image) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose at most `MOST_ERRORS` errors to draw: missed objects, largest first, and false boxes, highest score first."""
    sides = image.objects.reshape(-1, 4)[:, 2:] - image.objects.reshape(-1, 4)[:, :2]
    missed = np.flatnonzero(image.checked.is_missed)
    missed = missed[np.argsort(-sides.prod(axis=1)[missed], kind="stable")]
    false = np.flatnonzero(image.checked.kind != box_errors.FOUND)
    n_missed = min(len(missed), max(MOST_ERRORS // 2, MOST_ERRORS - len(false)))
    return missed[:n_missed], false[: MOST_ERRORS - n_missed]


def boxes_of(image: Image, missed: NDArray[np.intp], false: NDArray[np.intp]) -> list[Box]:
    """Return correct boxes, missed objects and false boxes to draw, the last on top; errors with their number.

    Args:
        missed, false: rows of the errors that are numbered; others become dots.
    """
    found = np.flatnonzero(image.checked.kind == box_errors.FOUND)
    is_crowded = len(found) + len(missed) + len(false) > MOST_BOXES
    other_missed = np.setdiff1d(np.flatnonzero(image.checked.is_missed), missed)
    other_false = np.setdiff1d(np.flatnonzero(image.checked.kind != box_errors.FOUND), false)
    drawn = [Box(image.boxes[row], FOUND, is_dot=is_crowded) for row in found]
    drawn += [Box(image.objects[row], MISSED, is_dot=True) for row in other_missed]
    drawn += [Box(image.boxes[row], FALSE, is_dot=True) for row in other_false]
    drawn += [
        Box(image.objects[row], MISSED, str(number), is_dashed=True) for number, row in enumerate(missed, start=1)
    ]
    return drawn + [
        Box(image.boxes[row], FALSE, str(number)) for number, row in enumerate(false, start=1 + len(missed))
    ]


def _legend(spec: Spec, image: Image, missed: NDArray[np.intp], false: NDArray[np.intp]) -> list[str]:
    """List the errors by their number in the picture."""
    names = [shortened(name, 16) for name in spec.classes]
    of_missed = [f"{number} {names[image.classes[row]]}" for number, row in enumerate(missed, start=1)]
    of_false = [
        f"{number} {names[image.labels[row]]} {image.scores[row]:.2f}"
        for number, row in enumerate(false, start=1 + len(missed))
    ]
    n_false, n_missed = int((image.checked.kind != box_errors.FOUND).sum()), int(image.checked.is_missed.sum())
    parts = (("Missed", of_missed, n_missed), ("False", of_false, n_false))
    return [
        f"{word}: {', '.join(names)}" + (f", and {n - len(names):,} more" if n > len(names) else "")
        for word, names, n in parts
        if n
    ]


def drawn(spec: Spec, row: Mapping[str, Any]) -> Pixels | None:
    """Draw a training image with its true boxes in the colours of their classes; None if it cannot be read."""
    pixels = opened(row["path"])
    if pixels is None:
        return None
    labels, corners = from_text(row["boxes"])
    colours = [colour_of(spec.classes.index(name)) for name in labels]
    return boxed(pixels, [Box(box, colour) for box, colour in zip(corners, colours, strict=True)])
