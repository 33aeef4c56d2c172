"""Parts of images that mixing exchanges: rectangles in pixels, and windows of an image shown in them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.uint8]
"""(views, height, width, channels)."""


@dataclass(frozen=True)
class Rectangle:
    """Pixels from ``top`` to before ``bottom``, and from ``left`` to before ``right``."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def height(self) -> int:
        """Number of rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.right - self.left

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def of_map(self) -> tuple[slice, slice]:
        """Index of its pixels in an array (height, width, ...)."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def of_images(self) -> tuple[slice, slice, slice]:
        """Index of its pixels in an array (views, height, width, ...)."""
        return (slice(None), *self.of_map)


def size_of(images: Images) -> tuple[int, int]:
    """Height and width."""
    return int(images.shape[1]), int(images.shape[2])


def cut(size: tuple[int, int], alpha: float, generator: np.random.Generator) -> Rectangle:
    """Draw the rectangle of cutmix (Yun et al. 2019, section 3.1), clipped to the image; it may be empty.

    Args:
        size: height and width of the image.
        alpha: parameter of the beta distribution of the share of the image that is kept.
    """
    (height, width), side = size, math.sqrt(1 - generator.beta(alpha, alpha))
    cut_height, cut_width = int(height * side), int(width * side)
    top, left = int(generator.integers(height)) - cut_height // 2, int(generator.integers(width)) - cut_width // 2
    return Rectangle(max(top, 0), max(left, 0), min(top + cut_height, height), min(left + cut_width, width))


def quadrants(size: tuple[int, int], least: float, generator: np.random.Generator) -> list[Rectangle]:
    """Divide an image into four at a random point.

    Args:
        least: distance of the point from every side, as a fraction of the side.
    """
    height, width = size
    middle, centre = (max(1, min(n - 1, round(n * generator.uniform(least, 1 - least)))) for n in size)
    return [
        Rectangle(0, 0, middle, centre),
        Rectangle(0, centre, middle, width),
        Rectangle(middle, 0, height, centre),
        Rectangle(middle, centre, height, width),
    ]


def covered_by_cut(size: tuple[int, int], alpha: float, generator: np.random.Generator) -> NDArray[np.bool_]:
    """Pixels (height, width) in a rectangle drawn by `cut`."""
    covered = np.zeros(size, bool)
    covered[cut(size, alpha, generator).of_map] = True
    return covered


def arranged(
    samples: Sequence[Mapping[str, Any]], least: float, generator: np.random.Generator
) -> tuple[Images, list[tuple[Rectangle, Rectangle]], list[float]]:
    """Show a part of each of four samples in one of the quadrants around a random point.

    Args:
        least: as for `quadrants`.

    Returns:
        The images; for each sample its part and the rectangle that shows it; shares of the area.
    """
    size, images = size_of(samples[0]["images"]), np.empty_like(samples[0]["images"])
    shown_in = quadrants(size, least, generator)
    generator.shuffle(shown_in)
    places = [(window(size, place, generator), place) for place in shown_in]
    for one, (part, place) in zip(samples, places, strict=True):
        for view, image in enumerate(one["images"]):
            images[view][place.of_map] = fitted(image[part.of_map], place)
    return images, places, [place.area / (size[0] * size[1]) for place in shown_in]


def window(size: tuple[int, int], shown_in: Rectangle, generator: np.random.Generator) -> Rectangle:
    """Draw a part of an image to be shown in a rectangle, of about its shape: from its own size to the largest that fits."""
    height, width = size
    scale = generator.uniform(max(shown_in.height / height, shown_in.width / width), 1)
    own_height, own_width = min(height, round(shown_in.height / scale)), min(width, round(shown_in.width / scale))
    top, left = int(generator.integers(height - own_height + 1)), int(generator.integers(width - own_width + 1))
    return Rectangle(top, left, top + own_height, left + own_width)


def fitted(part: NDArray[Any], place: Rectangle, interpolation: int = cv2.INTER_AREA) -> NDArray[Any]:
    """Resize a part of an image (height, width, ...) to a rectangle's size."""
    if part.shape[:2] == (place.height, place.width):
        return part
    size = (place.width, place.height)
    return cv2.resize(np.ascontiguousarray(part), size, interpolation=interpolation).reshape(
        *size[::-1], *part.shape[2:]
    )


def blended(images: Images, others: Images, share: float) -> Images:
    """``share`` of the images, and the rest of the others, rounded."""
    flat = [one.reshape(-1, one.shape[-2] * one.shape[-1]) for one in (images, others)]
    return cv2.addWeighted(flat[0], share, flat[1], 1 - share, 0).reshape(images.shape).astype(np.uint8)
