"""Contact sheets: rows of images in equal cells, with targets drawn on them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from goldfold.drawing.overlays import (
    CLASS_COLOURS,
    UNKNOWN,
    Box,
    Colour,
    Pixels,
    boxed,
    colour_of,
    enlarged,
    font_file,
    layered,
    outlined,
    tinted,
)  # fmt: skip
from goldfold.images.viewing import as_colours
from goldfold.targets.mask_bits import layers
from goldfold.targets.mask_coding import IGNORE

CELL_PX, GAP_PX, LABEL_PX, LINE_HEIGHT_PX = 180, 6, 124, 16
INK, PAPER = (40, 40, 40), (255, 255, 255)
TINT, UNKNOWN_TINT = 0.2, 0.7
"""Opacity of the classes' pixels, and of ignored ones."""
LONGEST = 15
"""Characters in the column of names."""


@dataclass(frozen=True)
class Legend:
    """Names and colours of classes; ``first`` is the channel of the first one in masks."""

    names: Sequence[str]
    colours: Sequence[Colour]
    first: int = 0

    @classmethod
    def of(cls, names: Sequence[str], colours: Sequence[Colour] = (), first: int = 0) -> "Legend":
        """Default colours if none are given."""
        return cls(names, list(colours) or [colour_of(index) for index in range(len(names))], first)


def drawn(fields: Mapping[str, Any], legend: Legend, side_px: int = CELL_PX) -> Pixels:
    """Image of a sample, enlarged, with its mask (``mask``) boxes (``bboxes``, ``labels``) or
    points (``keypoints``, ``labels``)."""
    image = as_colours(fields["image"])
    if "mask" in fields:
        return _masked(image, fields["mask"], legend, side_px)
    if "bboxes" in fields:
        pairs = zip(np.asarray(fields["bboxes"]).reshape(-1, 4), np.asarray(fields["labels"]).astype(int), strict=True)
        return boxed(image, [Box(corners.tolist(), legend.colours[label]) for corners, label in pairs], side_px, 2)
    if "keypoints" in fields:
        places = np.asarray(fields["keypoints"]).reshape(-1, 2) + 0.5
        labels = fields.get("labels", np.zeros(len(places)))  # points of a task of one's own may have none
        pairs = zip(places, np.asarray(labels).astype(int), strict=True)
        dots = [(np.tile(place, 2).tolist(), label) for place, label in pairs if label >= 0]
        return boxed(image, [Box(corners, legend.colours[label], is_dot=True) for corners, label in dots], side_px)
    return enlarged(image, side_px)


def _masked(image: Pixels, mask: Any, legend: Legend, side_px: int) -> Pixels:
    if mask.ndim == 3:
        return _layered(image, mask, legend, side_px)
    inks: dict[int, tuple[Colour, float]] = {IGNORE: (UNKNOWN, UNKNOWN_TINT)}
    inks |= {legend.first + index: (colour, TINT) for index, colour in enumerate(legend.colours)}
    canvas = enlarged(tinted(image, np.asarray(mask, dtype=np.uint8), inks), side_px)
    canvas = np.ascontiguousarray(canvas)
    for index, colour in enumerate(legend.colours):
        outlined(canvas, mask == legend.first + index, colour)
    return canvas


def _layered(image: Pixels, mask: Any, legend: Legend, side_px: int) -> Pixels:
    """Draw a mask of classes that may overlap, (height, width, bytes of a set)."""
    found = layers(np.asarray(mask, dtype=np.uint8), len(legend.colours))
    own, unknown = [layer == 1 for layer in found], found[0] == IGNORE
    canvas = np.ascontiguousarray(enlarged(layered(image, own, legend.colours, TINT, unknown), side_px))
    for layer, colour in zip(own, legend.colours, strict=True):
        outlined(canvas, layer, colour)
    return canvas


@dataclass(frozen=True)
class Line:
    """A row of a sheet: its names, and one image per column."""

    names: Sequence[str]
    images: Sequence[Pixels]


def sheet(title: str, columns: Sequence[str], lines: Sequence[Line], legend: Legend | None = None) -> Pixels:
    """Lay out images in a grid with a title, a name for each column and row, and the colours of classes."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(font_file(), 12)
    height, width = (max(image.shape[axis] for line in lines for image in line.images) for axis in (0, 1))
    top, step = 3 * LINE_HEIGHT_PX, height + GAP_PX
    below = LINE_HEIGHT_PX + GAP_PX if legend else 0
    size = LABEL_PX + len(columns) * (width + GAP_PX), top + len(lines) * step + below
    canvas = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(canvas)
    pen.text((GAP_PX, GAP_PX), title, fill=INK, font=font)
    for number, name in enumerate(columns):
        pen.text((LABEL_PX + number * (width + GAP_PX), top - LINE_HEIGHT_PX), name, fill=INK, font=font)
    for row, line in enumerate(lines):
        for number, name in enumerate(line.names):
            short = name if len(name) <= LONGEST else f"…{name[1 - LONGEST :]}"
            pen.text((GAP_PX, top + row * step + number * LINE_HEIGHT_PX), short, fill=INK, font=font)
        for column, image in enumerate(line.images):
            canvas.paste(Image.fromarray(image), (LABEL_PX + column * (width + GAP_PX), top + row * step))
    if legend:
        _write_legend(pen, legend, font, size[1] - LINE_HEIGHT_PX - 2, size[0])
    return np.asarray(canvas)


def _write_legend(pen: Any, legend: Legend, font: Any, y: int, width: int) -> None:
    """Write the names of classes on squares of their colours, as many as there is room for."""
    x = LABEL_PX
    for name, colour in list(zip(legend.names, legend.colours, strict=True))[: len(CLASS_COLOURS)]:
        length = round(pen.textlength(name, font=font))
        if x + length + LINE_HEIGHT_PX > width:
            break
        pen.rectangle((x, y + 2, x + 10, y + 12), fill=colour, outline=INK)
        pen.text((x + LINE_HEIGHT_PX, y), name, fill=INK, font=font)
        x += LINE_HEIGHT_PX + length + 2 * GAP_PX
