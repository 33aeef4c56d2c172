"""Report section with images: found, missed and false points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.words import count
from goldfold.drawing.blocks import Picture, Section
from goldfold.drawing.overlays import ERROR_LEGEND, FALSE, FOUND, MISSED, Box, Pixels, boxed, colour_of, opened
from goldfold.drawing.pictures import galleries, picture
from goldfold.drawing.words import shortened
from goldfold.tasks.points.outcome import Image
from goldfold.tasks.points.spec import Spec

MOST_ERRORS = 12
"""Most errors per picture that are framed and numbered; more would cover the picture."""
COLUMN_PX = 300


def image_section(spec: Spec, images: list[Image], gallery: int) -> Section:
    """Build the section with the images of most and of fewest errors."""
    n_errors = np.array([image.n_errors for image in images])
    worst_first = np.lexsort((np.array([image.id for image in images]), -n_errors))
    middle, clean = int(np.quantile(n_errors, 0.5, method="lower")), int((n_errors == 0).sum())
    intro = (
        f"{count(len(images), 'training image')}, each predicted by models not trained on it. Missed and false points are "
        f"errors: half of the images have {count(middle, 'error')} or fewer, {clean:,} have none."
    )
    how = (
        f"Found points are dots at the predicted place. Errors are framed, as far as a point may be away, numbered, and listed "
        f"below the picture: missed points dashed, false ones with their score. Errors beyond {MOST_ERRORS} are dots."
    )
    shown = galleries(
        lambda rows: [_picture(spec, images[row]) for row in rows],
        worst_first, gallery, "by the number of errors", how, COLUMN_PX, ERROR_LEGEND,
    )  # fmt: skip
    return Section("images", "Image by image", intro, shown, "Images")


def _picture(spec: Spec, image: Image) -> Picture:
    pixels = opened(image.path)
    n_missed, n_false = int(image.is_missed.sum()), int((~image.is_hit).sum())
    verdict = " · ".join([f"{n_missed:,} missed"] * (n_missed > 0) + [f"{n_false:,} false"] * (n_false > 0))
    missed, false = chosen_errors(image)
    numbers = f"{count(len(image.true), 'point')}, {len(image.points):,} predicted"
    lines = [numbers, *_listed(spec, image, missed, false), image.id]
    return picture(
        "", verdict or "no errors", lines, None if pixels is None else boxed(pixels, marks(image, missed, false))
    )


def chosen_errors(image: Image) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Choose at most `MOST_ERRORS` errors to frame: missed points, and false ones, highest score first."""
    missed, false = np.flatnonzero(image.is_missed), np.flatnonzero(~image.is_hit)
    n_missed = min(len(missed), max(MOST_ERRORS // 2, MOST_ERRORS - len(false)))
    return missed[:n_missed], false[: MOST_ERRORS - n_missed]


def marks(image: Image, missed: NDArray[np.intp], false: NDArray[np.intp]) -> list[Box]:
    """Return dots and frames to draw, errors on top; framed errors have their number."""
    others = (
        (image.points[image.is_hit], FOUND),
        (image.true[np.setdiff1d(np.flatnonzero(image.is_missed), missed)], MISSED),
        (image.points[np.setdiff1d(np.flatnonzero(~image.is_hit), false)], FALSE),
    )
    drawn = [mark(point, image.reach_px, colour, is_dot=True) for points, colour in others for point in points]
    framed = [(image.true[row], MISSED, True) for row in missed] + [(image.points[row], FALSE, False) for row in false]
    return drawn + [
        mark(point, image.reach_px, colour, str(number), is_dashed)
        for number, (point, colour, is_dashed) in enumerate(framed, start=1)
    ]


def mark(
    point: NDArray[Any], reach_px: float, colour: Any, words: str = "", is_dashed: bool = False, is_dot: bool = False
) -> Box:
    """Return a frame around a point."""
    return Box([*(point - reach_px).tolist(), *(point + reach_px).tolist()], colour, words, is_dashed, is_dot)


def _listed(spec: Spec, image: Image, missed: NDArray[np.intp], false: NDArray[np.intp]) -> list[str]:
    """List the framed errors by their number in the picture."""
    names = [shortened(name, 16) for name in spec.classes]
    of_missed = [f"{number} {names[image.classes[row]]}" for number, row in enumerate(missed, start=1)]
    of_false = [
        f"{number} {names[image.labels[row]]} {image.scores[row]:.2f}"
        for number, row in enumerate(false, 1 + len(missed))
    ]
    n_missed, n_false = int(image.is_missed.sum()), int((~image.is_hit).sum())
    return [
        f"{word}: {', '.join(texts)}" + (f", and {n - len(texts):,} more" if n > len(texts) else "")
        for word, texts, n in (("Missed", of_missed, n_missed), ("False", of_false, n_false))
        if n
    ]


def drawn(spec: Spec, row: Mapping[str, Any]) -> Pixels | None:
    """Draw a training image with its points in the colours of their classes; None if it cannot be read."""
    pixels = opened(row["path"])
    if pixels is None:
        return None
    points, labels = spec.points(row["points"])
    return boxed(pixels, [mark(point, 0, colour_of(int(label)), is_dot=True)
                          for point, label in zip(points, labels, strict=True)])  # fmt: skip
