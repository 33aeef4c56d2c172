"""Geometric steps of augmentation with parameters relative to the image."""

import math
from typing import Any

import cv2

from goldfold.base.errors import unknown

BORDERS = {"constant": cv2.BORDER_CONSTANT, "replicate": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT_101}
"""Pixels from outside the image: black, those of the edge, or mirrored."""


def shift_scale_rotate(
    size: tuple[int, int], channels: int, turns: bool, shift: float | None = None, scale: float | None = None,
    rotate: float | None = None, shear: float | None = None, border: str = "replicate", p: float = 0.5,
) -> list[Any]:  # fmt: skip
    """albumentations' Affine by up to ``shift`` and ``scale`` of the side, ``rotate`` and ``shear`` degrees.

    Where there are boxes, nothing is rotated or sheared, since they would grow loose, and nothing reflected, since objects in
    the reflection have no box: the edge is replicated instead.
    """
    import albumentations as A

    if border not in BORDERS:
        raise unknown("border", border, BORDERS)
    at_border = "replicate" if border == "reflect" and not turns else border
    given = {
        "translate_percent": None if shift is None else (-shift, shift),
        "scale": None if scale is None else (1 - scale, 1 + scale),
        "rotate": None if rotate is None else _up_to(rotate, turns),
        "shear": None if shear is None else _up_to(shear, turns),
    }
    moves = {key: value for key, value in given.items() if value is not None}
    return [A.Affine(**moves, border_mode=BORDERS[at_border], p=p)]


def _up_to(degrees: float, turns: bool) -> tuple[float, float]:
    return (-degrees, degrees) if turns else (0, 0)


def elastic(
    size: tuple[int, int], channels: int, turns: bool, strength: float = 0.01, smoothness: float = 0.06, p: float = 0.5
) -> list[Any]:
    """Elastic distortion (Simard et al. 2003): smooth random displacements, reflected at the border.

    Where there are boxes, the edge is replicated instead, see `shift_scale_rotate`.

    Args:
        strength: standard deviation of a displacement, as a share of the shorter side.
        smoothness: standard deviation of the Gaussian that smooths them, as a share of the shorter side.
    """
    import albumentations as A

    side = min(size)
    sigma = max(1.0, smoothness * side)
    spread = 1 / math.sqrt(3) / (2 * math.sqrt(math.pi) * sigma)  # of uniform noise from -1 to 1 after smoothing
    fixed = {"sigma": sigma, "noise_distribution": "uniform"}
    fixed["border_mode"] = BORDERS["reflect" if turns else "replicate"]
    return [A.ElasticTransform(alpha=strength * side / spread, **fixed, p=p)]
