"""Lines of YOLO's text files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import DataError, shown
from goldfold.base.numbers import as_float
from goldfold.base.regular import read_text
from goldfold.base.words import count
from goldfold.targets.box_forms import CENTRE, refuse_other_form, to_corners
from goldfold.targets.boxes import to_text

FIELDS = "class, centre x, centre y, width, height"
MOST_BYTES = 100_000_000
"""Largest size of a label file."""
FEWEST = 3
"""Fewest lines from which keypoints are recognised."""
Refuse = Callable[[DataError], None]
"""Called with the error of a line or a file of boxes; if it returns, that line or file is skipped."""


@dataclass(frozen=True)
class Row:
    """A box: its label, x1, y1, x2, y2 as fractions of the image, and the numbers of the line."""

    label: str
    corners: list[float]
    numbers: list[float]

    @property
    def is_outline(self) -> bool:
        """Return whether the line has the corners of a polygon."""
        return len(self.numbers) > 4


@dataclass(frozen=True)
class Reading:
    """Settings for reading lines: names of the class numbers, their file, and the number of fields with keypoints."""

    known: Mapping[int, str]
    names: str
    n_pose: int | None = None


def boxes_of(files: Sequence[str | None], how: Reading, refuse: Refuse) -> list[str | None]:
    """Boxes of each file as text; None without a file.

    Raises:
        DataError: most numbers are not fractions, or have another form than centre and size.
    """
    rows = [None if file is None else _rows(file, how, refuse) for file in files]
    flat = [row for own in rows for row in own or []]
    _refuse_keypoints([row.numbers for row in flat if row.is_outline])
    beyond = [bool(np.max(np.abs(row.numbers)) > 1) for row in flat]
    if sum(beyond) > len(beyond) / 2:
        raise DataError(
            f"data.labels: {sum(beyond)} of {len(beyond)} boxes have a number above 1, first "
            f"{flat[beyond.index(True)].numbers}. YOLO's boxes are fractions of image width and height, from 0 to 1; divide "
            f"pixels by them."
        )
    plain = [row.numbers for row in flat if not row.is_outline]
    refuse_other_form(plain, [(1, 1)] * len(plain), CENTRE, "data.labels")
    return [
        None if own is None else to_text([row.label for row in own], np.array([row.corners for row in own]))
        for own in rows
    ]


def has_boxes(path: str | Path) -> bool:
    """Return whether any line of a file looks like a box or an outline; a file without one is not a label file."""
    try:
        lines = read_text(path, MOST_BYTES).splitlines()
    except (OSError, ValueError):
        return False
    return any(len(words := line.split()) >= 5 and all(map(_is_number, words)) for line in lines)


def _is_number(word: str) -> bool:
    try:
        as_float(word)
    except ValueError:
        return False
    return True


def _rows(path: str, how: Reading, refuse: Refuse) -> list[Row]:
    """Boxes of a file, without lines that ``refuse`` skips."""
    try:
        lines = read_text(path, MOST_BYTES).splitlines()
    except (OSError, ValueError) as error:
        refuse(DataError(f"{path}: cannot be read: {error}. Restore the file, or remove it."))
        return []
    rows = []
    for n, line in enumerate(lines, 1):
        try:
            rows += [_row(line.split(), f"{path}: line {n}", how)] if line.strip() else []
        except DataError as error:
            refuse(error)
    return rows


def _row(words: list[str], where: str, how: Reading) -> Row:
    is_pose = len(words) == how.n_pose
    if len(words) != 5 and not is_pose and (len(words) < 7 or len(words) % 2 == 0):
        raise DataError(
            f"{where} has {len(words)} fields, not 5 ({FIELDS}). Correct the file."
            + " An outline has a class, and x and y of 3 or more corners; for keypoints, set kpt_shape in data.yaml."
            * (len(words) > 6)
        )
    label = _label(words[0], where, how)
    numbers = [_number(word, where) for word in (words[1:5] if is_pose else words[1:])]
    if len(numbers) == 4:
        return Row(label, to_corners([numbers], CENTRE)[0].tolist(), numbers)
    corners = np.array(numbers).reshape(-1, 2)
    return Row(label, [*corners.min(axis=0).tolist(), *corners.max(axis=0).tolist()], numbers)


def _label(word: str, where: str, how: Reading) -> str:
    """Name of a class number, which may be written as 0, 0.0 or 0.000000e+00."""
    try:
        number = as_float(word)
    except ValueError:
        number = -1.0
    if number < 0 or not (number.is_integer() or word.isdigit()):  # a number of thousands of digits is infinite
        raise DataError(f"{where} has the class {shown(word)}, not a whole number. Correct the file.")
    if number not in how.known:
        some = ", ".join(f"{number} {name}" for number, name in list(how.known.items())[:10])
        raise DataError(f"{where} has the class {word}, and {how.names} names {some}. Correct one of them.")
    return how.known[int(number)]


def _number(word: str, where: str) -> float:
    try:
        return as_float(word)
    except ValueError as error:
        raise DataError(f"{where} has {word!r}, not a number. Write {FIELDS}, with a decimal point.") from error


def _refuse_keypoints(lines: Sequence[Sequence[float]]) -> None:
    """Raise DataError if all long lines are boxes with points inside them, rather than outlines."""
    lengths = {len(line) for line in lines}
    if len(lines) < FEWEST or len(lengths) > 1:
        return
    numbers = np.array(lines, dtype=np.float64)
    for width in (2, 3):
        are_points = (numbers.shape[1] - 4) % width == 0 and _points_inside(numbers, width)
        if are_points and not (_are_outlines(numbers) if width == 2 else _are_unmarked(numbers)):
            n = count(len(lines), "line")
            raise DataError(
                f"data.labels: {n} of {numbers.shape[1] + 1} fields are boxes with {(numbers.shape[1] - 4) // width} points "
                f"inside them, not outlines. Write kpt_shape: [{(numbers.shape[1] - 4) // width}, {width}] to data.yaml, so that "
                f"the boxes are read."
            )


def _points_inside(numbers: NDArray[np.float64], width: int) -> bool:
    """Return whether all points after the first four numbers are inside the box of these; (0, 0) is an invisible point."""
    points = numbers[:, 4:].reshape(len(numbers), -1, width)
    half = np.abs(numbers[:, None, 2:4]) / 2 + 1e-3
    inside = (np.abs(points[..., :2] - numbers[:, None, :2]) <= half).all(axis=-1)
    return bool((inside | (points[..., :2] == 0).all(axis=-1)).all())


def _are_outlines(numbers: NDArray[np.float64]) -> bool:
    """Return whether the second pair of numbers of every line is a corner too: as close to the others as these are to each other.

    Small rectangles in the middle of an image, as in files of rotated boxes, look like boxes with points inside.
    """
    points = numbers.reshape(len(numbers), -1, 2)
    others = np.delete(points, 1, axis=1)
    low, high = others.min(axis=1), others.max(axis=1)
    room = (high - low).max(axis=1, keepdims=True) + 1e-3
    return bool(((points[:, 1] >= low - room) & (points[:, 1] <= high + room)).all())


def _are_unmarked(numbers: NDArray[np.float64]) -> bool:
    """Return whether any third number of a point is not a visibility flag: 0, 1 or 2."""
    return not bool(np.isin(numbers[:, 6::3], (0, 1, 2)).all())
