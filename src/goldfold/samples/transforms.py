"""Augmentation of uint8 images, seeded per sample: presets, and any transforms of albumentations."""

import random
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from goldfold import components
from goldfold.base.errors import ConfigError, cause, unknown
from goldfold.catalog import AUGMENTATIONS

FLIPS = ("none", "horizontal", "both")


def none(size: tuple[int, int], channels: int, turns: bool) -> list[Any]:
    """No augmentation."""
    return []


def light(
    size: tuple[int, int], channels: int, turns: bool, shift: float = 0.07, scale: float = 0.1, rotate: float = 10,
    shear: float = 5, p: float = 0.9,
) -> list[Any]:  # fmt: skip
    """Small shifts (as fractions of the side), scalings, rotations and shears (in degrees)."""
    import albumentations as A

    return [
        A.Affine(
            translate_percent=(-shift, shift), scale=(1 - scale, 1 + scale), rotate=_up_to(rotate, turns),
            shear=_up_to(shear, turns), border_mode=cv2.BORDER_REPLICATE, p=p,
        ),
    ]  # fmt: skip


def medium(
    size: tuple[int, int], channels: int, turns: bool, least_area: float = 0.5, rotate: float = 10, colour: float = 0.2
) -> list[Any]:
    """Random resized crops of at least ``least_area`` of the image, rotations (in degrees), colour jitter."""
    import albumentations as A

    return [
        A.RandomResizedCrop(size=size, scale=(least_area, 1.0), ratio=(0.8, 1.25)),
        A.Affine(rotate=_up_to(rotate, turns), border_mode=cv2.BORDER_REFLECT_101, p=0.3),
        *_colour(channels, strength=colour),
    ]


def heavy(
    size: tuple[int, int], channels: int, turns: bool, least_area: float = 0.3, rotate: float = 20, shear: float = 8,
    colour: float = 0.4,
) -> list[Any]:  # fmt: skip
    """Stronger `medium`, with blur and erasing."""
    import albumentations as A

    return [
        A.RandomResizedCrop(size=size, scale=(least_area, 1.0), ratio=(0.75, 4 / 3)),
        A.Affine(rotate=_up_to(rotate, turns), shear=_up_to(shear, turns), border_mode=cv2.BORDER_REFLECT_101, p=0.5),
        *_colour(channels, strength=colour),
        A.GaussianBlur(blur_limit=(3, 5), p=0.1),
        A.CoarseDropout(num_holes_range=(1, 2), hole_height_range=(0.1, 0.3), hole_width_range=(0.1, 0.3), p=0.3),
    ]


def _up_to(degrees: float, turns: bool) -> tuple[float, float]:
    return (-degrees, degrees) if turns else (0, 0)


def _colour(channels: int, strength: float) -> list[Any]:
    import albumentations as A

    if channels != 3:  # hue and saturation exist for RGB only
        return [A.RandomBrightnessContrast(strength, strength, p=0.7)]
    factors = (1 - strength, 1 + strength)
    hue = (-strength / 8, strength / 8)
    return [A.ColorJitter(brightness=factors, contrast=factors, saturation=factors, hue=hue, p=0.7)]


def steps(wanted: components.Several, size: tuple[int, int], channels: int, turns: bool) -> list[Any]:
    """Build the transforms of a preset, or of a list of presets, transforms of albumentations and user-defined functions.

    Args:
        wanted: value of the config's ``train.augment``.
        size: height and width of the images.
        turns: whether presets may rotate and shear.

    Raises:
        ConfigError: unknown preset or transform, or parameters that it does not take.
    """
    made: list[Any] = []
    is_preset = isinstance(wanted, str | Mapping)
    for one in [wanted] if isinstance(wanted, str | Mapping) else wanted:
        name, params = components.parse(one)
        if is_preset or name in AUGMENTATIONS or ":" in name:
            made += components.load(one, AUGMENTATIONS, "augmentation")(size, channels, turns)
        else:
            made.append(_of_albumentations(name, params, size, channels, turns))
    return made


def _of_albumentations(name: str, params: Mapping[str, Any], size: tuple[int, int], channels: int, turns: bool) -> Any:
    """Build a transform by the name of its class; containers (``OneOf``) take a list of transforms."""
    import albumentations as A

    inner = {"transforms": steps(params["transforms"], size, channels, turns)} if "transforms" in params else {}
    listed = {key: tuple(value) if isinstance(value, list) else value for key, value in params.items()}
    kind = getattr(A, name, None)
    if kind is None:
        raise ConfigError(f"augmentation {name!r}: albumentations has no such transform")
    try:
        return kind(**{**listed, **inner})
    except (TypeError, ValueError) as error:
        raise ConfigError(f"augmentation {name}: {cause(error)}") from error


class Augment:
    """Augmentation with flips; the same seed gives the same pixels, in any process and order."""

    def __init__(
        self,
        wanted: components.Several,
        flips: str,
        size: tuple[int, int],
        channels: int,
        params: Mapping[str, Any] | None = None,
        shown: tuple[int, int] | None = None,
    ) -> None:
        """Build the transforms.

        Args:
            wanted: value of the config's ``train.augment``; ``flips`` that of ``train.flips``.
            size: height and width of the images.
            params: arguments of albumentations' Compose; with ``bbox_params`` presets do not rotate or shear, since boxes
                would grow loose.
            shown: height and width of the result, where smaller: crops and zooms are taken from the larger image.
        """
        import albumentations as A

        params, out = params or {}, shown or size
        if flips not in FLIPS:
            raise unknown("flips", flips, FLIPS)
        turns = {
            "none": [],
            "horizontal": [A.HorizontalFlip()],
            "both": [A.D4(p=1.0)] if out[0] == out[1] else [A.HorizontalFlip(), A.VerticalFlip()],
        }
        resized = [] if out == size else [A.Resize(*out, cv2.INTER_AREA, cv2.INTER_NEAREST_EXACT)]
        transforms = [*steps(wanted, size, channels, "bbox_params" not in params), *resized, *turns[flips]]
        self.compose = A.Compose(transforms, **(params if transforms else {}))

    def __call__(self, fields: dict[str, Any], seed: int) -> dict[str, Any]:
        """Augment the fields of a sample.

        Args:
            fields: ``image`` (height, width, channels) uint8, and any other target that albumentations knows.
            seed: determines all random draws.
        """
        if not self.compose.transforms:
            return fields
        # Compose.set_random_seed would give every transform the same seed and so correlate their draws.
        generator, python_random = np.random.default_rng(seed), random.Random(seed)
        for transform in self.compose.transforms:
            transform.set_random_state(generator, python_random)
        self.compose.random_generator, self.compose.py_random = generator, python_random
        return dict(self.compose(**fields))
