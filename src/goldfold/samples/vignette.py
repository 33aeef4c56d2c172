"""Vignette: the dark round border of a microscope or dermatoscope."""

from typing import Any

import albumentations as A
import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]


class Vignette(A.ImageOnlyTransform):  # type: ignore[misc]
    """Darkens what lies outside a random circle; masks and boxes stay as they are."""

    def __init__(self, radius: Range, softness: Range, shift: float, p: float) -> None:
        super().__init__(p=p)
        self.radius, self.softness, self.shift = radius, softness, shift

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """Draw the circle, in halves of the shorter side."""
        height, width = params["shape"][:2]
        half = min(height, width) / 2
        drawn = self.py_random
        y, x = (side / half / 2 + drawn.uniform(-self.shift, self.shift) for side in (height, width))
        radius, softness = drawn.uniform(*self.radius), drawn.uniform(*self.softness)
        rows, columns = (np.arange(side, dtype=np.float32) + 0.5 for side in (height, width))
        distance = np.hypot(rows[:, None] / half - y, columns[None] / half - x)
        return {"light": np.clip((radius - distance) / max(softness, 1e-6) + 0.5, 0, 1)}

    def apply(self, img: NDArray[np.uint8], light: NDArray[np.float32], **params: Any) -> NDArray[np.uint8]:
        """Multiply the pixels (height, width, channels) by the light (height, width), 0..1."""
        return np.asarray((img * light[..., None]).round(), dtype=np.uint8)


def vignette(
    size: tuple[int, int], channels: int, turns: bool, radius: Range = (0.9, 1.3), softness: Range = (0.05, 0.4),
    shift: float = 0.1, p: float = 0.5,
) -> list[Any]:  # fmt: skip
    """Dark round border, as of a microscope.

    Args:
        radius: range of the circle's radius, in halves of the shorter side.
        softness: range of the width of the transition to black, in the same unit.
        shift: largest shift of the centre to either side, in the same unit.
    """
    return [Vignette((radius[0], radius[1]), (softness[0], softness[1]), shift, p)]
