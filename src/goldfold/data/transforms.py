"""Augmentation presets, on uint8, seeded by sample."""

import random
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from goldfold.runtime.errors import unknown

FLIPS = ("none", "horizontal", "both")


def _light(size: tuple[int, int], channels: int, turns: bool) -> list[Any]:
    import albumentations as A

    return [
        A.Affine(
            translate_percent=(-0.07, 0.07), scale=(0.9, 1.1), rotate=_up_to(10, turns), shear=_up_to(5, turns),
            border_mode=cv2.BORDER_REPLICATE, p=0.9,
        ),
    ]  # fmt: skip


def _medium(size: tuple[int, int], channels: int, turns: bool) -> list[Any]:
    import albumentations as A

    return [
        A.RandomResizedCrop(size=size, scale=(0.5, 1.0), ratio=(0.8, 1.25)),
        A.Affine(rotate=_up_to(10, turns), border_mode=cv2.BORDER_REFLECT_101, p=0.3),
        *_colour(channels, strength=0.2),
    ]


def _heavy(size: tuple[int, int], channels: int, turns: bool) -> list[Any]:
    import albumentations as A

    return [
        A.RandomResizedCrop(size=size, scale=(0.3, 1.0), ratio=(0.75, 4 / 3)),
        A.Affine(rotate=_up_to(20, turns), shear=_up_to(8, turns), border_mode=cv2.BORDER_REFLECT_101, p=0.5),
        *_colour(channels, strength=0.4),
        A.GaussianBlur(blur_limit=(3, 5), p=0.1),
        A.CoarseDropout(num_holes_range=(1, 2), hole_height_range=(0.1, 0.3), hole_width_range=(0.1, 0.3), p=0.3),
    ]


def _up_to(degrees: float, turns: bool) -> tuple[float, float]:
    return (-degrees, degrees) if turns else (0, 0)


def _colour(channels: int, strength: float) -> list[Any]:
    import albumentations as A

    if channels != 3:  # hue and saturation are of colours alone
        return [A.RandomBrightnessContrast(strength, strength, p=0.7)]
    factors = (1 - strength, 1 + strength)
    hue = (-strength / 8, strength / 8)
    return [A.ColorJitter(brightness=factors, contrast=factors, saturation=factors, hue=hue, p=0.7)]


def _none(size: tuple[int, int], channels: int, turns: bool) -> list[Any]:
    return []


PRESETS = {"none": _none, "light": _light, "medium": _medium, "heavy": _heavy}


class Augment:
    """A preset with flips; the same seed gives the same pixels, in any process and any order."""

    def __init__(
        self, preset: str, flips: str, size: tuple[int, int], channels: int, params: Mapping[str, Any] | None = None
    ) -> None:
        """``params`` go to albumentations' Compose; with ``bbox_params`` nothing is turned or sheared: boxes grow loose."""
        import albumentations as A

        params = params or {}
        if preset not in PRESETS:
            raise unknown("augmentation preset", preset, PRESETS)
        if flips not in FLIPS:
            raise unknown("flips", flips, FLIPS)
        turns = {
            "none": [],
            "horizontal": [A.HorizontalFlip()],
            "both": [A.D4(p=1.0)] if size[0] == size[1] else [A.HorizontalFlip(), A.VerticalFlip()],
        }
        steps = [*PRESETS[preset](size, channels, "bbox_params" not in params), *turns[flips]]
        self.compose = A.Compose(steps, **(params if steps else {}))

    def __call__(self, fields: dict[str, Any], seed: int) -> dict[str, Any]:
        """Fields of a sample after augmentation.

        Args:
            fields: ``image`` (height, width, channels) uint8, and any other target albumentations knows.
            seed: decides everything random.
        """
        if not self.compose.transforms:
            return fields
        # Compose.set_random_seed would give every transform the same seed, and so correlate their draws.
        generator, python_random = np.random.default_rng(seed), random.Random(seed)
        for transform in self.compose.transforms:
            transform.set_random_state(generator, python_random)
        self.compose.random_generator, self.compose.py_random = generator, python_random
        return dict(self.compose(**fields))
