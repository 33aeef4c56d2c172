"""Thumbnails of images inside the page."""

import base64
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from goldfold.base.words import count
from goldfold.drawing.blocks import Block, Gallery, Picture
from goldfold.images.decode import Undecodable
from goldfold.images.viewing import shown

TINY_PX = 100
LARGEST_PX = 200
LARGEST_DRAWN_PX = 800
PAIR_PX = 200
"""Height of two images side by side."""
BAR_PX = 12
"""Height of the bar below an image."""
BAR_COLOURS = 225, (31, 119, 180)
"""Colours of the bar's background and of the bar."""
JPEG_QUALITY = 82


def picture(path: str | None, title: str, lines: Sequence[str] = (), drawn: NDArray[np.uint8] | None = None) -> Picture:
    """Thumbnail of an image file; an empty place if the file is missing or unreadable.

    An image of up to 100 pixels is kept unchanged, for the page to enlarge; a larger one is shrunk to 200.

    Args:
        drawn: image to show in place of the file, up to 800 pixels, without chroma subsampling for thin lines.
    """
    import cv2

    try:
        image = drawn if drawn is not None else shown(path) if path else None
    except (OSError, Undecodable):
        image = None
    if image is None:
        return Picture("", title, lines)
    longest = max(image.shape[:2])
    pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    if longest <= TINY_PX:
        encoded, kind = cv2.imencode(".png", pixels)[1], "png"
    else:
        ratio = min(1.0, (LARGEST_PX if drawn is None else LARGEST_DRAWN_PX) / longest)
        size = tuple(max(1, math.floor(side * ratio)) for side in (image.shape[1], image.shape[0]))
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
        options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
        if drawn is not None:
            options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        encoded, kind = cv2.imencode(".jpg", small, options)[1], "jpeg"
    uri = f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode()}"
    return Picture(uri, title, lines, is_tiny=longest <= TINY_PX)


def pair(first: str, second: str, title: str, lines: Sequence[str] = ()) -> Picture:
    """Two image files side by side, of equal height; an empty place if neither can be read."""
    return side_by_side([first, second], title, lines)


def side_by_side(
    paths: Sequence[str], title: str, lines: Sequence[str] = (), shares: Sequence[float] | None = None
) -> Picture:
    """Image files side by side, of equal height; an empty place if none can be read.

    Args:
        shares: number 0..1 of each image, shown as the length of a bar below it.
    """
    import cv2

    parts: list[NDArray[np.uint8]] = []
    for number, path in enumerate(paths):
        try:
            image = shown(path)
        except (OSError, Undecodable):
            continue
        width = max(1, round(image.shape[1] * PAIR_PX / image.shape[0]))
        enlarges = image.shape[0] < PAIR_PX
        size = (min(width, 3 * PAIR_PX), PAIR_PX)
        part = cv2.resize(image, size, interpolation=cv2.INTER_NEAREST if enlarges else cv2.INTER_AREA)
        parts.append(np.asarray(part if shares is None else _with_bar(part, shares[number])))
    if not parts:
        return Picture("", title, lines)
    gap = np.full((len(parts[0]), PAIR_PX // 20, 3), 255, np.uint8)
    joined = [one for part in parts for one in (part, gap)][:-1]
    return picture(None, title, lines, drawn=np.ascontiguousarray(np.hstack(joined)))


def _with_bar(image: NDArray[np.uint8], share: float) -> NDArray[np.uint8]:
    """Image with a bar below it."""
    bar = np.full((BAR_PX, image.shape[1], 3), BAR_COLOURS[0], np.uint8)
    bar[:, : round(share * image.shape[1])] = BAR_COLOURS[1]
    return np.vstack([image, bar])


def worst_typical_best(worst_first: NDArray[np.intp], most: int) -> list[NDArray[np.intp]]:
    """Rows to show, without repeats: up to ``most`` of the worst, half as many around the median, a quarter of the best.

    Args:
        worst_first: rows of all images, the worst first.
    """
    n = len(worst_first)
    n_worst = min(most, (n + 1) // 2)
    n_best = min(most // 4, n - n_worst)
    between = worst_first[n_worst : n - n_best]
    n_typical = min(most // 2, len(between))
    start = min(max(0, n // 2 - n_worst - n_typical // 2), len(between) - n_typical)
    return [worst_first[:n_worst], between[start : start + n_typical], worst_first[n - n_best :][::-1]]


def galleries(
    make: Callable[[NDArray[np.intp]], Sequence[Picture]],
    worst_first: NDArray[np.intp],
    most: int,
    order: str,
    how: str,
    column_px: int,
    legend: Sequence[tuple[str, str]],
) -> list[Block]:
    """Galleries of the worst, some typical and the best images, so that errors can be compared with the normal case.

    Args:
        make: rows -> their pictures.
        order: quantity that images are ordered by, for the captions; ``how`` describes the drawing.
    """
    kinds = {
        "Worst images": f"the worst {order} first",
        "Typical images": f"around the median {order}",
        "Best images": f"the best {order} first",
    }
    return [
        Gallery(make(rows), f"{count(len(rows), 'image')}, {which}. {how}", heading, column_px=column_px, legend=legend)
        for rows, (heading, which) in zip(worst_typical_best(worst_first, most), kinds.items(), strict=True)
        if len(rows)
    ]
