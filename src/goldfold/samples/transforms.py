"""Augmentation of uint8 images, seeded per sample: steps of a config, built as transforms of albumentations."""

import inspect
import random
import warnings
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from goldfold import components
from goldfold.base.errors import ConfigError, cause, nearest, unknown
from goldfold.catalog import AUGMENTATIONS, PRESETS
from goldfold.samples.presets.reading import expanded

FLIPS = ("none", "horizontal", "both")


def steps(wanted: components.Several, size: tuple[int, int], channels: int, turns: bool) -> list[Any]:
    """Build the transforms of a preset, or of a list of presets, transforms of albumentations and user-defined functions.

    Args:
        wanted: value of the config's ``train.augment``.
        size: height and width of the images.
        turns: whether presets may rotate, shear and distort; they do not where there are boxes.

    Raises:
        ConfigError: unknown preset or transform, or parameters that it does not take.
    """
    if isinstance(wanted, str | Mapping):
        name = components.name_of(wanted)
        if name not in PRESETS and name not in AUGMENTATIONS and ":" not in name:
            raise unknown("augmentation", name, {**PRESETS, **AUGMENTATIONS})
    made: list[Any] = []
    for one in expanded(wanted):
        name, params = components.parse(one)
        if name in AUGMENTATIONS or ":" in name:
            made += components.load(one, AUGMENTATIONS, "augmentation")(size, channels, turns)
        else:
            made += _of_albumentations(name, params, size, channels, turns)
    return made


def _of_albumentations(
    name: str, params: Mapping[str, Any], size: tuple[int, int], channels: int, turns: bool
) -> list[Any]:
    """Build a transform by the name of its class; containers (``OneOf``) take a list of transforms.

    A size that the transform needs and ``params`` lack is that of the images. A container without transforms, such as those
    for three channels on grey images, is none.
    """
    import albumentations as A

    kind = getattr(A, name, None)
    if not inspect.isclass(kind):
        hint = nearest(name, [known for known in vars(A) if inspect.isclass(getattr(A, known))])
        raise ConfigError(f"augmentation {name!r}: {hint}albumentations has no such transform")
    arguments = {**_sizes(kind, size), **{key: _tuples(value) for key, value in params.items()}}
    if "transforms" in params:
        arguments["transforms"] = steps(params["transforms"], size, channels, turns)
        if not arguments["transforms"]:
            return []
    try:
        return [kind(**arguments)]
    except (TypeError, ValueError) as error:
        raise ConfigError(f"augmentation {name}: {cause(error)}") from error


def _sizes(kind: Any, size: tuple[int, int]) -> dict[str, Any]:
    """Values for the parameters of a transform that ask for a size and have no default."""
    known = {"size": size, "height": size[0], "width": size[1]}
    parameters = inspect.signature(kind).parameters
    return {key: value for key, value in known.items() if key in parameters and _is_required(parameters[key])}


def _is_required(parameter: inspect.Parameter) -> bool:
    return parameter.default is parameter.empty


def _tuples(value: Any) -> Any:
    """Convert lists to tuples, as albumentations expects ranges."""
    if isinstance(value, dict):
        return {key: _tuples(part) for key, part in value.items()}
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value


def resize_of_points() -> Any:
    """Return albumentations' Resize for images with points, which moves them to the fraction of a pixel.

    Points are counted from the centre of the first pixel, which albumentations would leave in its place.
    """
    import albumentations as A

    class ResizeWithPoints(A.Resize):  # type: ignore[misc]
        def apply_to_keypoints(self, keypoints: Any, **params: Any) -> Any:
            height, width = params["shape"][:2]
            moved = np.array(keypoints, dtype=np.float32, copy=True)
            scale = np.array([self.width / width, self.height / height], np.float32)
            moved[:, :2] = (moved[:, :2] + 0.5) * scale - 0.5
            return moved

    return ResizeWithPoints


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
        self.shape = (*out, channels)
        if flips not in FLIPS:
            raise unknown("flips", flips, FLIPS)
        turns = {
            "none": [],
            "horizontal": [A.HorizontalFlip()],
            "both": [A.D4(p=1.0)] if out[0] == out[1] else [A.HorizontalFlip(), A.VerticalFlip()],
        }
        resize = resize_of_points() if "keypoint_params" in params else A.Resize
        resized = [] if out == size else [resize(*out, cv2.INTER_AREA, cv2.INTER_NEAREST_EXACT)]
        transforms = [*steps(wanted, size, channels, "bbox_params" not in params), *resized, *turns[flips]]
        with warnings.catch_warnings():  # transforms that change colours only leave boxes as they are
            warnings.filterwarnings("ignore", "Got processor for")
            self.compose = A.Compose(transforms, **(params if transforms else {}))

    def at(self, epoch: int, batch: int) -> "Augment":
        """Return the augmentation of a batch: the same in all, see `goldfold.samples.by_size`."""
        return self

    @property
    def every(self) -> "list[Augment]":
        """Every augmentation of the run."""
        return [self]

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
