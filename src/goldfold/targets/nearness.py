"""Distance up to which a point is at the place of another."""

SHARE = 0.03
"""Part of an image's longer side."""


def default_distance(size: tuple[int, int]) -> float:
    """Return the distance in pixels for an image of (height, width), where none is given.

    >>> default_distance((480, 640))
    19.2
    """
    return SHARE * max(size)
