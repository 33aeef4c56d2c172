"""Convert a found box to whole pixels of its image."""

import math

from goldfold.images.geometry import Roi

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the upright image."""
Found = tuple[Box | None, str]
"""A box, or None and the reason why the whole image is taken."""

NO_AREA, OUTSIDE = "the box has no area", "the box lies outside the image"


def fitted(box: Box, width: int, height: int, margin: float) -> tuple[Roi | None, str]:
    """Box with its margin, in whole pixels and clipped to the image; or None and what is wrong with it.

    Args:
        margin: share of the box's width and height added on each side.
    """
    x1, y1, x2, y2 = box
    if not (x2 > x1 and y2 > y1):
        return None, NO_AREA
    if x2 <= 0 or y2 <= 0 or x1 >= width or y1 >= height:
        return None, OUTSIDE
    wide, high = margin * (x2 - x1), margin * (y2 - y1)
    return (
        max(0, math.floor(x1 - wide)),
        max(0, math.floor(y1 - high)),
        min(width, math.ceil(x2 + wide)),
        min(height, math.ceil(y2 + high)),
    ), ""


def in_pixels(box: Box, width: int, height: int, unit: str, corners: str) -> Box:
    """Convert a box to pixels and corners.

    Args:
        unit: ``pixels`` or ``shares``; ``corners``: ``xyxy`` or ``xywh``.
    """
    x1, y1, x2, y2 = box
    if corners == "xywh":
        x2, y2 = x1 + x2, y1 + y2
    return (x1 * width, y1 * height, x2 * width, y2 * height) if unit == "shares" else (x1, y1, x2, y2)
