"""Masks and boxes drawn on images."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from goldfold.drawing.pictures import TINY_PX
from goldfold.images.decode import Undecodable
from goldfold.images.viewing import shown

Pixels = NDArray[np.uint8]
"""(height, width, 3), RGB."""
Colour = tuple[int, int, int]

SIDE_PX = 480
"""Longest side of a drawing; the page shows it at half to two thirds of that, so it is sharp on dense screens."""
LINE_PX = 2
BOX_PX = 1
"""Line width of boxes; thin, since many overlap."""
DOT_PX = 3
"""Radius of a dot in place of a box."""
TEXT_PX = 13
FOUND, MISSED, FALSE = (20, 205, 155), (255, 214, 10), (255, 45, 120)
"""Colours of pixels in both truth and prediction, only in the truth, only in the prediction."""
UNKNOWN = (128, 128, 128)
CLASS_COLOURS: tuple[Colour, ...] = (
    (66, 212, 244), (255, 225, 25), (240, 50, 230), (60, 200, 75), (245, 130, 49), (90, 120, 255), (230, 25, 75),
    (191, 239, 69), (170, 80, 220), (250, 190, 212), (0, 160, 150), (255, 250, 200), (175, 110, 40), (220, 190, 255),
    (150, 10, 30), (170, 255, 195), (140, 140, 20), (255, 216, 177), (20, 40, 160), (169, 169, 169),
)  # fmt: skip
"""After Sasha Trubetskoy's 20 distinct colours, brightened for photographs; the 21st class repeats the first."""


def colour_of(index: int) -> Colour:
    """Colour of a class."""
    return CLASS_COLOURS[index % len(CLASS_COLOURS)]


def css(colour: Colour) -> str:
    """``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


def class_legend(classes: Sequence[str], colours: Sequence[Colour] = ()) -> list[tuple[str, str]]:
    """Name and colour of each class, for a gallery; the default colours if none are given."""
    own = colours or [colour_of(index) for index in range(len(classes))]
    return [(name, css(colour)) for name, colour in zip(classes, own, strict=True)]


ERROR_LEGEND = [("found", css(FOUND)), ("missed", css(MISSED)), ("false", css(FALSE))]


def opened(path: str) -> Pixels | None:
    """Image of a file; None if it is missing or unreadable."""
    with suppress(OSError, Undecodable):
        return shown(path)
    return None


def enlarged(image: Pixels, side_px: int = SIDE_PX) -> Pixels:
    """Resize to a longest side of ``side_px``; a tiny image is enlarged by an integer factor, without interpolation."""
    import cv2

    height, width = image.shape[:2]
    longest = max(height, width)
    if longest <= TINY_PX:
        times = side_px // longest
        return image.repeat(times, axis=0).repeat(times, axis=1)
    size = max(1, round(width * side_px / longest)), max(1, round(height * side_px / longest))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if longest > side_px else cv2.INTER_LINEAR)


def reduced(image: Pixels, masks: Sequence[NDArray[Any]], most_px: int) -> tuple[Pixels, list[NDArray[Any]]]:
    """Resize image and masks to one size, longest side at most ``most_px``; values of masks are not interpolated."""
    import cv2

    ratio = min(1.0, most_px / max(image.shape[:2]))
    width, height = (max(1, round(side * ratio)) for side in (image.shape[1], image.shape[0]))
    small = image if ratio == 1 else cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)

    def resized(mask: NDArray[Any]) -> NDArray[Any]:
        if mask.shape == (height, width):
            return mask
        known = mask.view(np.int32) if mask.dtype == np.uint32 else mask  # OpenCV knows no unsigned 32 bits
        return cv2.resize(known, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).view(mask.dtype)

    return small, [resized(mask) for mask in masks]


def grey(image: Pixels) -> Pixels:
    """Image in grey, so that the only colours are those of classes."""
    import cv2

    return cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)


def tinted(image: Pixels, codes: NDArray[np.uint8], inks: Mapping[int, tuple[Colour, float]]) -> Pixels:
    """Blend colours into the pixels by code; ``inks`` gives each code's colour and opacity, 0..1."""
    colours, shares = np.zeros((256, 3), np.float32), np.zeros((256, 1), np.float32)
    for code, (colour, share) in inks.items():
        colours[code], shares[code] = colour, share
    return (image * (1 - shares[codes]) + (colours * shares)[codes]).round().astype(np.uint8)


def layered(
    image: Pixels,
    layers: Sequence[NDArray[np.bool_]],
    colours: Sequence[Colour],
    share: float,
    unknown: NDArray[np.bool_],
) -> Pixels:
    """Blend the mean colour of their classes into pixels of one or several classes, and grey into unknown ones.

    Args:
        layers: pixels (height, width) of each class.
        share: opacity, 0..1.
    """
    numbers = np.zeros((*image.shape[:2], 1), np.float32)
    sums = np.zeros(image.shape, np.float32)
    for layer, colour in zip([*(layer & ~unknown for layer in layers), unknown], [*colours, UNKNOWN], strict=True):
        numbers += layer[..., None]
        sums += layer[..., None] * np.array(colour, np.float32)
    opacity = np.where(numbers > 0, np.float32(share), np.float32(0))
    return (image * (1 - opacity) + opacity * sums / np.maximum(numbers, 1)).round().astype(np.uint8)


def outlined(drawn: Pixels, mask: NDArray[np.bool_], colour: Colour) -> None:
    """Draw the outlines of a mask onto the enlarged image."""
    import cv2

    height, width = drawn.shape[:2]
    way = cv2.INTER_NEAREST if max(mask.shape) <= TINY_PX else cv2.INTER_LINEAR
    scaled = cv2.resize(mask.astype(np.uint8) * 255, (width, height), interpolation=way)
    contours, _ = cv2.findContours((scaled >= 128).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, contours, -1, colour, LINE_PX)


def panels(images: Sequence[Pixels], gap_px: int = 6) -> Pixels:
    """Images of one size side by side."""
    gap = np.full((images[0].shape[0], gap_px, 3), UNKNOWN, dtype=np.uint8)
    return np.hstack([part for image in images for part in (gap, image)][1:])


@dataclass(frozen=True)
class Box:
    """A box x1, y1, x2, y2 in pixels of the image, with a label."""

    corners: Sequence[float]
    colour: Colour
    words: str = ""
    is_dashed: bool = False
    is_dot: bool = False
    """Whether it is drawn as a dot in its centre, where frames would cover the picture."""


def boxed(image: Pixels, boxes: Sequence[Box], side_px: int = SIDE_PX, line_px: int = BOX_PX) -> Pixels:
    """Enlarged image with boxes; later boxes are on top, and all labels above all lines."""
    from PIL import Image, ImageDraw

    drawn = enlarged(image, side_px)
    ratio = np.array([drawn.shape[1] / image.shape[1], drawn.shape[0] / image.shape[0]] * 2)
    canvas = Image.fromarray(drawn)
    pen = ImageDraw.Draw(canvas)
    placed = [np.asarray(box.corners, dtype=float) * ratio for box in boxes]
    for box, corners in zip(boxes, placed, strict=True):
        if box.is_dot:
            _dot(pen, corners, box.colour)
        else:
            _frame(pen, corners, box.colour, box.is_dashed, line_px)
    for box, corners in zip(boxes, placed, strict=True):
        _words(pen, corners, box, canvas.size)
    return np.asarray(canvas)


def _dot(pen: Any, corners: NDArray[np.float64], colour: Colour) -> None:
    """Draw a dot with a dark edge in the centre of a box."""
    x, y = (corners[:2] + corners[2:]) / 2
    pen.ellipse((x - DOT_PX, y - DOT_PX, x + DOT_PX, y + DOT_PX), fill=colour, outline=(0, 0, 0))


def _frame(pen: Any, corners: NDArray[np.float64], colour: Colour, is_dashed: bool, line_px: int) -> None:
    x1, y1, x2, y2 = corners.round().tolist()
    if not is_dashed:
        pen.rectangle((x1, y1, x2, y2), outline=colour, width=line_px)
        return
    for start, end in (((x1, y1), (x2, y1)), ((x1, y2), (x2, y2)), ((x1, y1), (x1, y2)), ((x2, y1), (x2, y2))):
        for part in _dashes(np.array(start), np.array(end)):
            pen.line(part, fill=colour, width=line_px)


def _dashes(start: NDArray[np.float64], end: NDArray[np.float64], dash_px: float = 5.0) -> Iterator[Any]:
    length = float(np.abs(end - start).sum())
    steps = np.arange(0, length, 2 * dash_px)
    for step in steps:
        first, last = (start + (end - start) * min(1.0, at / length) for at in (step, step + dash_px))
        yield [*first.tolist(), *last.tolist()]


def _words(pen: Any, corners: NDArray[np.float64], box: Box, size: tuple[int, int]) -> None:
    """Write the label in the box's upper left corner, in its colour with a dark edge and no background."""
    if not box.words:
        return
    left, top, right, bottom = pen.textbbox((0, 0), box.words, font=_font(), stroke_width=1)
    x = min(max(0, round(corners[0]) + 2), max(0, size[0] - (right - left)))
    y = min(max(0, round(corners[1]) + 2), max(0, size[1] - (bottom - top)))
    pen.text((x - left, y - top), box.words, fill=box.colour, font=_font(), stroke_width=1, stroke_fill=(0, 0, 0))


@cache
def _font() -> Any:
    from PIL import ImageFont

    return ImageFont.truetype(font_file(), TEXT_PX)


def font_file() -> str:
    """Path of the font for labels."""
    import matplotlib

    return f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
