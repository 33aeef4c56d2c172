"""Comparison of image sizes declared in annotations with the images."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from goldfold.base.errors import DataError
from goldfold.base.words import count, noun
from goldfold.images.stacks import files_of
from goldfold.targets.boxes import ROUNDING_PX, from_text, to_text

ORIENTATION = 0x0112
"""EXIF tag of the orientation: 1 is upright; 5 to 8 swap width and height."""
Sizes = NDArray[np.int64]
"""(n, 2) width and height."""


@dataclass
class Settled:
    """A table whose boxes are in pixels of the upright images."""

    table: pd.DataFrame
    reasons: "pd.Series[str]"
    """Difference of the size of an image from the declared one, in words; empty if there is none."""
    notes: list[str] = field(default_factory=list)
    """Doubts to report."""


def settle(table: pd.DataFrame, said: pd.DataFrame | None, split: str, leaves_out: bool) -> Settled:
    """Compare the sizes in ``said`` (path, width, height) with those of the images (path, width, height of ``table``).

    Boxes given in the frame of the stored image, before EXIF rotation, are rotated with it.

    Args:
        leaves_out: whether single images of another size may be left out; if most differ, it is an error.

    Raises:
        DataError: images have other sizes than declared in their annotations.
    """
    reasons = pd.Series("", index=table.index, dtype=str)
    if said is None or table.empty:
        return Settled(table, reasons)
    for _, own in said.groupby(said.groupby("path").cumcount()):
        sizes = table[["path"]].merge(own, on="path", how="left")[["width", "height"]].to_numpy(dtype=float)
        table, notes, wrong = _settled(table, sizes, split, leaves_out)
        reasons[wrong] = [f"differs from the size in its annotation, {w:.0f} x {h:.0f} pixels" for w, h in sizes[wrong]]
        if notes:
            return Settled(table, reasons, notes)
    return Settled(table, reasons)


def _settled(
    table: pd.DataFrame, sizes: NDArray[np.float64], split: str, leaves_out: bool
) -> tuple[pd.DataFrame, list[str], NDArray[np.bool_]]:
    """The table with rotated boxes, notes, and the rows whose size differs from the declared one."""
    true = table[["width", "height"]].astype(int).to_numpy()
    known = np.isfinite(sizes).all(axis=1)
    wrong = known & (np.abs(sizes - true) > ROUNDING_PX).any(axis=1)
    swapped = wrong & (np.abs(sizes - true[:, ::-1]) <= ROUNDING_PX).all(axis=1)
    turns = {int(row): orientation(table["path"].iloc[row]) for row in np.flatnonzero(swapped)}
    stored = np.array([turns.get(row, 1) >= 5 for row in range(len(table))], dtype=np.bool_)
    wrong &= ~stored
    if wrong.any() and not (leaves_out and wrong.sum() <= known.sum() / 2):
        _refuse(table, sizes, true, wrong, int(known.sum()), split)
    if not stored.any():
        return table, [], wrong
    if "boxes" not in table:
        n = count(int(stored.sum()), "image")
        note = f"{n} of {split} {noun(int(stored.sum()), 'is', 'are')} rotated by EXIF: predictions are in the upright image"
        return table, [f"{note}, the sizes in the annotations are those of the stored file"], wrong
    return *_turned(table, stored, known & ~wrong & ~stored, split), wrong


def orientation(path: str) -> int:
    """EXIF orientation of an image, 1 to 8; for a stack that of its first file, 1 without EXIF."""
    from PIL import Image

    try:
        with Image.open(files_of(path)[0]) as picture:
            found = int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # Pillow may raise anything; files that it does not know have no EXIF
        return 1
    return found if 1 <= found <= 8 else 1


def _turned(
    table: pd.DataFrame, stored: NDArray[np.bool_], others: NDArray[np.bool_], split: str
) -> tuple[pd.DataFrame, list[str]]:
    """Boxes rotated with their images, if they were drawn on the stored images.

    For ``stored``, the declared sizes show that they were. Images with an EXIF orientation whose size does not show it
    (square, mirrored, upside down) are assumed to be from the same tool, and are rotated too, unless the tool rotated
    ``others``.
    """
    marks = {int(row): orientation(table["path"].iloc[row]) for row in np.flatnonzero(stored | others)}
    marks = {row: mark for row, mark in marks.items() if mark > 1}
    shows = {row: mark >= 5 and table["width"].iloc[row] != table["height"].iloc[row] for row, mark in marks.items()}
    tool_turns = any(shows[row] for row in marks if others[row])
    rows = [row for row in marks if stored[row] or not (tool_turns or shows[row])]
    texts = table["boxes"].tolist()
    turned = {row: _turn(texts[row], marks[row], *_size(table, row)) for row in rows if isinstance(texts[row], str)}
    n = count(len(rows), "image")
    of = f"{n} of {split} {noun(len(rows), 'is', 'are')} rotated by EXIF, first {table['id'].iloc[rows[0]]!r}"
    n_upright = sum(_outside(texts[row], *_size(table, row)) for row in turned)
    n_stored = sum(_outside(turned[row], *_size(table, row)) for row in turned)
    if n_upright < n_stored:
        return table, [
            f"{of}, whose annotations have the size before rotation; their boxes fit the upright image, and are kept"
        ]
    note = f"{of}: their boxes are rotated with them, since width and height are those of the stored file"
    if n_upright == n_stored and turned:
        note += "; the boxes would fit the upright image too, so check some in the report"
    return table.assign(boxes=[turned.get(row, text) for row, text in enumerate(texts)]), [note]


def _size(table: pd.DataFrame, row: int) -> tuple[int, int]:
    return int(table["width"].iloc[row]), int(table["height"].iloc[row])


def _outside(text: str, width: int, height: int) -> int:
    """Number of boxes that reach outside an image."""
    corners = from_text(text)[1]
    far = ROUNDING_PX
    return int(((corners < -far).any(axis=1) | (corners > [width + far, height + far] * 2).any(axis=1)).sum())


def _turn(text: str, mark: int, width: int, height: int) -> str:
    """Boxes of a stored image, converted to pixels of the upright image of ``width`` and ``height``."""
    labels, corners = from_text(text)
    return to_text(labels, turned(corners, mark, width, height))


def turned(corners: NDArray[np.float64], mark: int, width: int, height: int) -> NDArray[np.float64]:
    """Boxes (n, 4) of a stored image, converted to pixels of the upright image.

    Args:
        mark: EXIF orientation, 1 to 8.
        width, height: of the upright image.
    """
    x1, y1, x2, y2 = np.asarray(corners, dtype=np.float64).reshape(-1, 4).T
    if mark >= 5:
        x1, y1, x2, y2 = y1, x1, y2, x2
    if mark in (2, 3, 6, 7):
        x1, x2 = width - x2, width - x1
    if mark in (3, 4, 7, 8):
        y1, y2 = height - y2, height - y1
    return np.stack([x1, y1, x2, y2], axis=1)


def _refuse(
    table: pd.DataFrame,
    sizes: NDArray[np.float64],
    true: Sizes,
    wrong: NDArray[np.bool_],
    n_known: int,
    split: str,
) -> None:
    row = int(wrong.argmax())
    (width, height), (w, h) = true[row], sizes[row]
    n = int(wrong.sum())
    may_go = split != "test" and n <= n_known / 2
    way = f" Or set data.on_bad_label: quarantine, which leaves {noun(n, 'it', 'them')} out." if may_go else ""
    raise DataError(
        f"{split}: {n:,} of {count(n_known, 'image')} {noun(n, 'differs', 'differ')} from the width and height in "
        f"{noun(n, 'its annotation', 'their annotations')}, first {table['id'].iloc[row]!r} ({table['path'].iloc[row]}: "
        f"{width} x {height} pixels, annotated as {w:.0f} x {h:.0f}). {in_words(sizes[wrong], true[wrong])}{way}"
    )


def in_words(said: NDArray[np.float64], true: Sizes) -> str:
    """Description of the differing sizes, and advice."""
    every = "It differs" if len(said) == 1 else "All differ"
    ways = "use the images that the boxes were drawn on"
    if (np.abs(said - true[:, ::-1]) <= ROUNDING_PX).all():
        what = "Width and height are swapped" + (" in all of them" if len(said) > 1 else "")
        return (
            f"{what}: correct them if the boxes fit the images; if the images were rotated without their boxes, {ways}."
        )
    if (factor := _factor(said, true)) is not None:
        by, it = f"the factor {factor:g}", "it"
    elif (factor := _factor(said, true[:, ::-1])) is not None:
        return (
            f"Width and height are swapped and the images {factor:g} times as large: they were rotated, as by EXIF, and "
            f"resized without their boxes: {ways}."
        )
    elif len(said) == 1:
        return f"Correct width and height if the boxes fit the image (write 0 for an unknown size), or {ways}."
    elif (wide := _factor(said[:, :1], true[:, :1])) and (high := _factor(said[:, 1:], true[:, 1:])):
        by, it = f"the factors {wide:g} in width and {high:g} in height", "these"
    elif len({*map(tuple, true.tolist())}) == 1:
        by, it = f"different factors, and are all {true[0][0]} x {true[0][1]} pixels", "these"
    elif all(_factor(own[None], one[None]) for own, one in zip(said, true, strict=True)):
        by, it = "different factors", "these"
    else:
        return (
            f"They have no factor in common: {ways}, or correct width and height if the boxes fit the images (write 0 for an "
            f"unknown size)."
        )
    return f"{every} by {by}: the images were resized without their boxes. Multiply boxes, width and height by {it}, or {ways}."


def _factor(said: NDArray[np.float64], true: Sizes) -> float | None:
    """Common factor of ``true`` to ``said``, exact to a pixel, with the fewest digits; None if there is none."""
    middle = float(np.median(true / said))
    rounded = (round(middle, digits) for digits in (0, 1, 2, 3, 4, 6))
    return next(
        (found for found in rounded if bool((np.abs(said * found - true) <= ROUNDING_PX).all()) and found), None
    )
