"""Images at their own size, or at a multiple of it, as a way to resize: they have no frame. Loads no library."""

NATIVE = "native"
"""Way to resize that keeps the size of each image; with a factor after it, it resizes by this: ``native-0.5``."""


def native(scale: float) -> str:
    """Way to resize images by a factor.

    >>> native(1.0), native(0.5)
    ('native', 'native-0.5')
    """
    return NATIVE if scale == 1 else f"{NATIVE}-{scale:g}"


def scale_of(resize: str) -> float | None:
    """Factor of a way to resize that has no frame, see `native`; None for others.

    >>> scale_of("native"), scale_of("native-0.5"), scale_of("squash")
    (1.0, 0.5, None)
    """
    mode, _, scale = resize.partition("-")
    return float(scale or 1) if mode == NATIVE else None
