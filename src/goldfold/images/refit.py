"""Move an image from its stored frame to a smaller one, as if it had been placed there directly."""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.images.decode import interpolated
from goldfold.images.geometry import INTERPOLATIONS, Placement, Roi, parts_of, place


@dataclass(frozen=True)
class Refit:
    """Placements of one image in both frames.

    Pixels and coordinates in the smaller frame are those of an image that was never in the larger one: only the image,
    without borders, is scaled, to the exact size and position that it would have had.
    """

    larger: Placement
    smaller: Placement
    interpolation: str = INTERPOLATIONS[0]

    @classmethod
    def of(
        cls, original: tuple[int, int], larger: tuple[int, int], smaller: tuple[int, int], mode: str, roi: Roi | None
    ) -> "Refit":
        """Frames of an image of ``original`` (height, width), see `goldfold.images.geometry.place`."""
        return cls(place(original, larger, mode, roi), place(original, smaller, mode, roi), parts_of(mode)[1])

    def image(self, framed: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Image (height, width, channels) in the smaller frame."""
        height, width = self.smaller.inner
        made = interpolated(self._inner(framed), height, width, self.interpolation)
        return self.smaller.into_frame(np.asarray(made))

    def mask(self, framed: NDArray[Any]) -> NDArray[Any]:
        """Mask (height, width) in the smaller frame; values are not interpolated."""
        inner = np.ascontiguousarray(self._inner(framed))
        known = inner.view(np.int32) if framed.dtype == np.uint32 else inner  # OpenCV knows no unsigned 32 bits
        made = cv2.resize(known, self.smaller.inner[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return self.smaller.into_frame(np.asarray(made).view(framed.dtype))

    def _inner(self, framed: NDArray[Any]) -> NDArray[Any]:
        """Scaled image taken out of the larger frame; where the frame has cropped it, its border is replicated."""
        one = self.larger
        if one.inner == one.frame:
            return framed
        top, left = max(one.top, 0), max(one.left, 0)
        seen = framed[top : top + one.inner[0], left : left + one.inner[1]]
        before = -min(one.top, 0), -min(one.left, 0)
        after = (one.inner[axis] - seen.shape[axis] - before[axis] for axis in (0, 1))
        widths = [*zip(before, after, strict=True), *[(0, 0)] * (framed.ndim - 2)]
        return np.pad(seen, widths, mode="edge")
