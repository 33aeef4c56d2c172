"""Forms of boxes given by four numbers, and detection of numbers that are in another form than assumed."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.base.words import count
from goldfold.targets.boxes import ROUNDING_PX

Numbers = NDArray[np.float64]
"""(n, 4) numbers as in a file."""

CORNERS, TOP_LEFT, CENTRE = "[x1, y1, x2, y2]", "[x, y, width, height]", "[centre x, centre y, width, height]"
FEWEST = 5
"""Fewest boxes from which another form is detected."""
SHARE = 0.1
"""Smallest share of boxes that do not fit their images as read, if all would fit in another form."""
ROUNDING_SHARE = 0.01
UNKNOWN = (1_000_000, 1_000_000)
"""Placeholder for an unknown size."""
SMALL_PX = 8
"""Largest side of an image in which boxes below one pixel prove nothing."""


def _top_left(numbers: Numbers) -> Numbers:
    return np.hstack([numbers[:, :2], numbers[:, :2] + numbers[:, 2:]])


def _centre(numbers: Numbers) -> Numbers:
    return np.hstack([numbers[:, :2] - numbers[:, 2:] / 2, numbers[:, :2] + numbers[:, 2:] / 2])


FORMS: dict[str, Callable[[Numbers], Numbers]] = {
    CORNERS: lambda numbers: numbers,
    TOP_LEFT: _top_left,
    CENTRE: _centre,
}
"""Numbers of each form -> x1, y1, x2, y2."""


def to_corners(numbers: Sequence[Sequence[float]] | Numbers, form: str) -> Numbers:
    """(n, 4) x1, y1, x2, y2 of numbers in a form; the manifest stage checks the values."""
    return FORMS[form](np.array(numbers, dtype=np.float64).reshape(-1, 4))


def refuse_other_form(numbers: Sequence[Sequence[float]], sizes: Sequence[Any], form: str, where: str) -> None:
    """Raise DataError if many boxes do not fit their images, but all would in another form, or as fractions.

    Args:
        numbers: four per box, as in the files.
        sizes: (width, height) of the image of each box in the unit of the numbers, None if unknown.
        form: form as which they are read.
    """
    if form != CENTRE and len(numbers) >= FEWEST:
        of_all = np.array([size or UNKNOWN for size in sizes], dtype=np.float64)
        _refuse_shares(np.array(numbers, dtype=np.float64).reshape(-1, 4), of_all, where)
    known = [row for row, size in enumerate(sizes) if size is not None]
    if len(known) < FEWEST:
        return
    given = np.array([numbers[row] for row in known], dtype=np.float64).reshape(-1, 4)
    of = np.array([sizes[row] for row in known], dtype=np.float64)
    wrong = _misfits(FORMS[form](given), of)
    if wrong.mean() < SHARE:
        return
    n_of = {other: int(_misfits(FORMS[other](given), of).sum()) for other in FORMS if other != form}
    fits = [other for other, n in n_of.items() if n == 0 or (wrong.mean() > 0.5 and n < 0.02 * len(known))]
    if fits:
        raise DataError(
            f"{where}: {int(wrong.sum()):,} of {count(len(known), 'box', 'boxes')} do not fit their images as {form}, which is "
            f"how they are read, first {given[int(wrong.argmax())].tolist()}; as {' or '.join(fits)} they would. Convert them "
            f"to {form}."
        )


def _misfits(corners: Numbers, sizes: Numbers) -> NDArray[np.bool_]:
    """Mask of the boxes without area, or reaching outside their images by more than rounding."""
    limits = np.tile(sizes, 2)
    far = np.where(limits > 1, ROUNDING_PX, ROUNDING_SHARE)
    low, high = corners[:, :2], corners[:, 2:]
    sound = np.hstack([corners >= -far, corners <= limits + far, high > low])  # comparisons with NaN are false
    return np.asarray(~sound.all(axis=1), dtype=np.bool_)


def _refuse_shares(given: Numbers, sizes: Numbers, where: str) -> None:
    """Refuse boxes that all lie within the first pixel: they are fractions of the image's width and height."""
    inside = (np.abs(given) <= 1).all(axis=1) & (sizes.min(axis=1) > SMALL_PX)
    if inside.mean() > 0.5:
        first = given[int(inside.argmax())].tolist()
        raise DataError(
            f"{where}: {int(inside.sum()):,} of {count(len(given), 'box', 'boxes')} lie between 0 and 1, first {first}: "
            f"fractions of the image's width and height, but pixels are needed. Multiply them by width and height."
        )
