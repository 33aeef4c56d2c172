"""Images of any size as tiles of one shape, the rows of the stores; a part of an image reads the tiles that it touches."""

from collections.abc import Callable, Iterator

import numpy as np

from goldfold.cache.stores import Pixels, Rows

SIDE_PX = 128
"""Height and width of a tile: a window of 512 pixels reads 25 of them, and a small image wastes little."""
Box = tuple[int, int, int, int]
"""First row, first column, row and column after the last; may extend beyond the image."""


def n_tiles(size: tuple[int, int]) -> tuple[int, int]:
    """Numbers of tiles of an image, one below the other and side by side.

    >>> n_tiles((128, 129))
    (1, 2)
    """
    return -(-size[0] // SIDE_PX), -(-size[1] // SIDE_PX)


def cut(image: Pixels) -> Iterator[Pixels]:
    """Yield the tiles of an image (height, width, ...), row by row; those at its end are filled up with 0."""
    down, across = n_tiles((image.shape[0], image.shape[1]))
    for y in range(down):
        for x in range(across):
            seen = image[y * SIDE_PX : (y + 1) * SIDE_PX, x * SIDE_PX : (x + 1) * SIDE_PX]
            if seen.shape[:2] == (SIDE_PX, SIDE_PX):
                yield seen
            else:
                tile = np.zeros((SIDE_PX, SIDE_PX, *image.shape[2:]), image.dtype)
                tile[: seen.shape[0], : seen.shape[1]] = seen
                yield tile


def read(rows: Rows, first: int, size: tuple[int, int], box: Box) -> Pixels:
    """Read a part of an image.

    Args:
        rows: tiles, the image's from row ``first`` on.
        size: height and width of the image.
        box: the part, within the image.
    """
    top, left, bottom, right = box
    _, across = n_tiles(size)
    y, x = top // SIDE_PX, left // SIDE_PX
    down, wide = -(-bottom // SIDE_PX) - y, -(-right // SIDE_PX) - x
    tiles = [[rows[first + (y + i) * across + x + j] for j in range(wide)] for i in range(down)]
    joined = np.concatenate([np.concatenate(line, axis=1) for line in tiles], axis=0)
    return joined[top - y * SIDE_PX : bottom - y * SIDE_PX, left - x * SIDE_PX : right - x * SIDE_PX]


def padded(read: Callable[[Box], Pixels], size: tuple[int, int], box: Box, fill: int = 0) -> Pixels:
    """Read a part of an image that may extend beyond it, with ``fill`` there.

    Args:
        read: reads a part within the image.
        size: height and width of the image.
    """
    top, left, bottom, right = box
    inner = max(top, 0), max(left, 0), min(bottom, size[0]), min(right, size[1])
    seen = read(inner)
    if inner == box:
        return seen
    canvas = np.full((bottom - top, right - left, *seen.shape[2:]), fill, seen.dtype)
    canvas[inner[0] - top : inner[2] - top, inner[1] - left : inner[3] - left] = seen
    return canvas
