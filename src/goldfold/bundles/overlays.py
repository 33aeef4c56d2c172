"""Draw predictions on their images."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from goldfold.base.files import atomic
from goldfold.drawing import mask_colours
from goldfold.drawing.overlays import Box, Pixels, boxed, colour_of, enlarged, font_file, layered, outlined
from goldfold.images.depth import Rule
from goldfold.images.viewing import shown, shown_as
from goldfold.predictions.arrays import Arrays

LEAST_PX, MOST_PX = 320, 1600
"""Range of a drawing's longest side; within it, the size of the image is kept."""
TEXT_PX = 14
GROUND, INK = (31, 29, 26), (255, 255, 255)
SHARE = 0.35
"""Opacity of a class's colour within its mask."""
MOST_BOXES = 100
DRAW_FROM = 0.3
"""Boxes are drawn at or above this score if the bundle sets no threshold."""


def draw(
    output: Any,
    arrays: Arrays,
    table: pd.DataFrame,
    paths: Sequence[tuple[str, str]],
    folder: Path,
    channels: int,
    scale_16bit: Rule,
    draw_from: float | None,
) -> list[Path]:
    """Write ``<id>.png`` for each image; return the files.

    Args:
        output: the task's, see `goldfold.tasks.protocol.Output`.
        table: predictions as a table.
        paths: id and path of each image.
        channels, scale_16bit: how images are read.
        draw_from: boxes are drawn at or above this score.
    """
    made = []
    ids = [id for id, _ in paths]
    with shown_as(channels, scale_16bit):
        images = (shown(path) for _, path in paths)
        if hasattr(output, "masks"):
            drawn = _masks(output, arrays, ids, images)
        elif hasattr(output, "points"):
            drawn = _points(output, arrays, ids, images)
        elif hasattr(output, "by_image"):
            drawn = _boxes(output, arrays, ids, images, draw_from or DRAW_FROM)
        else:
            drawn = _captions(table, ids, images)
        for id, picture in zip(ids, drawn, strict=True):
            made.append(folder / f"{id}.png")
            with atomic(made[-1]) as temporary:
                temporary.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())
    return made


def _side(image: Pixels) -> int:
    return min(MOST_PX, max(LEAST_PX, *image.shape[:2]))


def _masks(output: Any, arrays: Arrays, ids: list[str], images: Iterator[Pixels]) -> Iterator[Pixels]:
    """Tint and outline classes in their colours, with a legend of the classes present."""
    coding, colours = output.coding, mask_colours.of_classes(output.coding)
    for image, mask in zip(images, output.masks(arrays, ids), strict=True):
        layers = [coding.has(mask, code) for code in coding.codes]
        picture = enlarged(layered(image, layers, colours, SHARE, np.zeros(mask.shape, np.bool_)), _side(image))
        present = [index for index, layer in enumerate(layers) if layer.any()]
        for index in present:
            outlined(picture, layers[index], colours[index])
        yield _below(picture, [(output.classes[index], colours[index]) for index in present] or [("nothing", INK)])


def _boxes(output: Any, arrays: Arrays, ids: list[str], images: Iterator[Pixels], draw_from: float) -> Iterator[Pixels]:
    """Draw boxes in the colours of their classes with label and score, the highest score on top."""
    for image, (corners, scores, labels) in zip(images, output.by_image(arrays, ids), strict=True):
        order = [row for row in np.argsort(-scores, kind="stable") if scores[row] >= draw_from][:MOST_BOXES]
        boxes = [
            Box(corners[row].tolist(), colour_of(int(labels[row])), f"{output.classes[labels[row]]} {scores[row]:.2f}")
            for row in reversed(order)
        ]
        yield boxed(image, boxes, _side(image))


def _points(output: Any, arrays: Arrays, ids: list[str], images: Iterator[Pixels]) -> Iterator[Pixels]:
    """Draw the points that reach their threshold as dots in the colours of their classes, with a legend of those present."""
    for image, (points, _, labels) in zip(images, output.points(arrays, ids), strict=True):
        dots = [
            Box([*point.tolist(), *point.tolist()], colour_of(int(label)), is_dot=True)
            for point, label in zip(points, labels, strict=True)
        ]
        present, numbers = np.unique(labels, return_counts=True)
        words = [
            (f"{output.classes[one]}: {n}", colour_of(one)) for one, n in zip(present.tolist(), numbers, strict=True)
        ]
        yield _below(boxed(image, dots, _side(image)), words or [("nothing", INK)])


def _captions(table: pd.DataFrame, ids: list[str], images: Iterator[Pixels]) -> Iterator[Pixels]:
    """Write each image's table row, without probabilities, below it."""
    table = table.set_index("id")
    shown_columns = [column for column in table if not str(column).startswith("p_")]
    for id, image in zip(ids, images, strict=True):
        row = table.loc[id, shown_columns]
        yield _below(enlarged(image, _side(image)), [(f"{name} {_short(value)}", INK) for name, value in row.items()])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _below(picture: Pixels, words: Sequence[tuple[str, tuple[int, int, int]]]) -> Pixels:
    """Append lines of coloured text below the picture."""
    from PIL import Image, ImageDraw, ImageFont

    font, line = ImageFont.truetype(font_file(), TEXT_PX), TEXT_PX + 6
    strip = Image.new("RGB", (picture.shape[1], line * len(words) + 6), GROUND)
    pen = ImageDraw.Draw(strip)
    for number, (text, colour) in enumerate(words):
        pen.text((6, 3 + number * line), text, fill=colour, font=font)
    return np.vstack([picture, np.asarray(strip, dtype=np.uint8)])
