"""Predictions drawn on their images."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd

from goldfold.base.files import atomic
from goldfold.images.depth import Rule
from goldfold.images.viewing import shown, shown_as
from goldfold.predictions.arrays import Arrays
from goldfold.report import mask_colours
from goldfold.report.overlays import Box, Pixels, boxed, colour_of, enlarged, font_file, outlined, tinted
from goldfold.tasks import Task

LEAST_PX, MOST_PX = 320, 1600
"""Longest side of a drawing: as large as its image within these."""
TEXT_PX = 14
GROUND, INK = (31, 29, 26), (255, 255, 255)
SHARE = 0.35
"""Of a class's colour within its mask."""
MOST_BOXES = 100
DRAW_FROM = 0.3
"""Score from which boxes are drawn where the bundle does not say."""


def draw(
    task: Task,
    arrays: Arrays,
    paths: Sequence[tuple[str, str]],
    folder: Path,
    channels: int,
    scale_16bit: Rule,
    draw_from: float | None,
) -> list[Path]:
    """Write ``<id>.png`` for each image; return the files.

    Args:
        paths: id and path of each image.
        channels, scale_16bit: how images are read.
        draw_from: score from which boxes are drawn.
    """
    made = []
    draw_one = _masks if hasattr(task, "masks") else _boxes if hasattr(task, "by_image") else _captions
    ids = [id for id, _ in paths]
    with shown_as(channels, scale_16bit):
        drawn = draw_one(task, arrays, ids, (shown(path) for _, path in paths), draw_from or DRAW_FROM)
        for id, picture in zip(ids, drawn, strict=True):
            made.append(folder / f"{id}.png")
            with atomic(made[-1]) as temporary:
                temporary.write_bytes(cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes())
    return made


def _side(image: Pixels) -> int:
    return min(MOST_PX, max(LEAST_PX, *image.shape[:2]))


def _masks(task: Any, arrays: Arrays, ids: list[str], images: Iterator[Pixels], draw_from: float) -> Iterator[Pixels]:
    """Classes tinted and outlined in their colours, with a legend of those that are there."""
    colours = mask_colours.of_classes(task.coding)
    for image, mask in zip(images, task.masks(arrays, ids), strict=True):
        inks = {task.first + index: (colour, SHARE) for index, colour in enumerate(colours)}
        picture = enlarged(tinted(image, mask, inks), _side(image))
        there = [index for index in range(len(colours)) if (mask == task.first + index).any()]
        for index in there:
            outlined(picture, mask == task.first + index, colours[index])
        yield _below(picture, [(task.classes[index], colours[index]) for index in there] or [("nothing", INK)])


def _boxes(task: Any, arrays: Arrays, ids: list[str], images: Iterator[Pixels], draw_from: float) -> Iterator[Pixels]:
    """Boxes in the colours of their classes with label and score, the surest on top."""
    for image, (corners, scores, labels) in zip(images, task.by_image(arrays, ids), strict=True):
        order = [row for row in np.argsort(-scores, kind="stable") if scores[row] >= draw_from][:MOST_BOXES]
        boxes = [
            Box(corners[row].tolist(), colour_of(int(labels[row])), f"{task.classes[labels[row]]} {scores[row]:.2f}")
            for row in reversed(order)
        ]
        yield boxed(image, boxes, _side(image))


def _captions(
    task: Any, arrays: Arrays, ids: list[str], images: Iterator[Pixels], draw_from: float
) -> Iterator[Pixels]:
    """What the table says of the image, below it."""
    table: pd.DataFrame = task.table(arrays).set_index("id")
    shown_columns = [column for column in table if not str(column).startswith("p_")]
    for id, image in zip(ids, images, strict=True):
        row = table.loc[id, shown_columns]
        yield _below(enlarged(image, _side(image)), [(f"{name} {_short(value)}", INK) for name, value in row.items()])


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float | np.floating) else str(value)


def _below(picture: Pixels, words: Sequence[tuple[str, tuple[int, int, int]]]) -> Pixels:
    """The picture with lines of words in their colours below it."""
    from PIL import Image, ImageDraw, ImageFont

    font, line = ImageFont.truetype(font_file(), TEXT_PX), TEXT_PX + 6
    strip = Image.new("RGB", (picture.shape[1], line * len(words) + 6), GROUND)
    pen = ImageDraw.Draw(strip)
    for number, (text, colour) in enumerate(words):
        pen.text((6, 3 + number * line), text, fill=colour, font=font)
    return np.vstack([picture, np.asarray(strip, dtype=np.uint8)])
