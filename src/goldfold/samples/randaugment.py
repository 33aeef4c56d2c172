"""RandAugment (Cubuk et al. 2020), built from transforms of albumentations."""

import math
from collections.abc import Iterator
from typing import Any

import albumentations as A
import cv2
import numpy as np
from numpy.typing import NDArray

from goldfold.base.errors import ConfigError

SCALE = 10
"""Largest magnitude."""
SHEAR, SHIFT, DEGREES, FACTOR, BITS = 0.3, 150 / 331, 30.0, 0.9, 4
"""Change at the largest magnitude, as in AutoAugment (Cubuk et al. 2019, appendix): pixels per pixel, share of the side,
degrees, relative change of brightness and the like, bits that posterize takes away."""
REFLECTED = {"border_mode": cv2.BORDER_REFLECT_101, "p": 1.0}
GREY = {"border_mode": cv2.BORDER_CONSTANT, "fill": 128, "p": 1.0}
"""Pixels from outside the image: as in the mask, or grey as in the paper, where objects in a reflection would have no box."""


def randaugment(size: tuple[int, int], channels: int, turns: bool, n: int = 2, m: float = 9) -> list[Any]:
    """RandAugment (Cubuk et al. 2020): ``n`` of 14 operations, drawn with replacement, each at magnitude ``m`` of 10.

    Signs are drawn. As in timm and torchvision, a larger ``m`` changes colours more in either direction. Pixels from outside
    the image are reflected, in masks too; grey where there are boxes. Operations on colours are left out for images with
    neither one nor three channels, saturation for all but three, rotation and shear where there are boxes.
    """
    if n < 1 or not 0 <= m <= SCALE:
        raise ConfigError(f"augmentation randaugment: n = {n}, m = {m:g}; n must be at least 1, m from 0 to {SCALE}")
    share = m / SCALE
    every = [A.NoOp(p=1.0), *_shifts(share, REFLECTED if turns else GREY), *_tones(share), _sharpness(share)]
    every += [*_turns(share)] if turns else []
    every += [*_colours(share, channels)] if channels in (1, 3) else []
    return [A.RandomOrder(every, n=n, replace=True, p=1.0)]


def _either(first: Any, second: Any) -> Any:
    return A.OneOf([first, second], p=1.0)


def _shifts(share: float, outside: dict[str, Any]) -> Iterator[Any]:
    by = SHIFT * share
    for axis, other in ("xy", "yx"):
        yield _either(*(A.Affine(translate_percent={axis: (d, d), other: (0, 0)}, **outside) for d in (-by, by)))


def _turns(share: float) -> Iterator[Any]:
    """Rotation, and shears along x and y."""
    yield _either(*(A.Affine(rotate=(d, d), **REFLECTED) for d in (-DEGREES * share, DEGREES * share)))
    angle = math.degrees(math.atan(SHEAR * share))
    for axis, other in ("xy", "yx"):
        yield _either(*(A.Affine(shear={axis: (d, d), other: (0, 0)}, **REFLECTED) for d in (-angle, angle)))


def _tones(share: float) -> Iterator[Any]:
    yield A.Solarize(threshold_range=(1 - share, 1 - share), p=1.0)
    yield A.Posterize(num_bits=bits, p=1.0) if (bits := 8 - round(BITS * share)) < 8 else A.NoOp(p=1.0)
    yield _either(*(A.Lambda(image=_Brightness(factor), p=1.0) for factor in _factors(share)))


def _colours(share: float, channels: int) -> Iterator[Any]:
    """Contrast, and histograms; saturation of RGB."""
    yield A.AutoContrast(method="pil", p=1.0)
    yield A.Equalize(mode="cv", p=1.0)  # "pil" writes into grey images
    for name in ("contrast", "saturation") if channels == 3 else ("contrast",):
        yield _either(*(_jitter(name, factor) for factor in _factors(share)))


def _factors(share: float) -> tuple[float, float]:
    return 1 - FACTOR * share, 1 + FACTOR * share


def _jitter(name: str, factor: float) -> Any:
    fixed = {**dict.fromkeys(("brightness", "contrast", "saturation"), (1.0, 1.0)), name: (factor, factor)}
    return A.ColorJitter(**fixed, hue=(0.0, 0.0), p=1.0)


class _Brightness:
    """Multiplies all pixels."""

    def __init__(self, factor: float) -> None:
        self.table = np.clip(np.arange(256) * factor, 0, 255).astype(np.uint8)

    def __call__(self, image: NDArray[np.uint8], **params: Any) -> NDArray[np.uint8]:
        return self.table[image]


def _sharpness(share: float) -> Any:
    return _either(*(A.Lambda(image=_Sharpness(factor), p=1.0) for factor in _factors(share)))


class _Sharpness:
    """Moves pixels away from the mean of their neighbourhood, or towards it, as PIL's ImageEnhance.Sharpness does."""

    def __init__(self, factor: float) -> None:
        around = np.ones((3, 3), np.float32) / 13
        around[1, 1] = 5 / 13
        self.kernel = (1 - factor) * around
        self.kernel[1, 1] += factor

    def __call__(self, image: NDArray[np.uint8], **params: Any) -> NDArray[np.uint8]:
        return cv2.filter2D(image, -1, self.kernel, borderType=cv2.BORDER_REFLECT_101).reshape(image.shape)
