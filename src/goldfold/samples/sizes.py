"""Image sizes of training, as recipes hold them: ``train.sizes``."""

from typing import Any

MULTI_SCALE = "multi_scale"
"""Key of sizes of which each batch draws one."""


def ranges(written: Any) -> list[tuple[int, list[Any]]]:
    """Return the first epoch and the sizes, as written, of each range of epochs.

    >>> ranges([[0, {"multi_scale": [32, 48]}], [5, [64, 32]]])
    [(0, [32, 48]), (5, [[64, 32]])]
    """
    return [(epoch, size[MULTI_SCALE] if isinstance(size, dict) else [size]) for epoch, size in written or []]


def sides(size: Any) -> tuple[int, int]:
    """Return the height and width of a size, which is a number or [height, width]."""
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def sizes_of(written: Any) -> list[tuple[int, int]]:
    """Return the height and width of every size, in order."""
    return [sides(size) for _, choices in ranges(written) for size in choices]
