"""Steps of augmentation that depend on the images: on channels, shape, and whether there are boxes."""

from collections.abc import Sequence
from typing import Any

from goldfold.components import Written
from goldfold.samples.transforms import steps


def only_channels(
    size: tuple[int, int], channels: int, turns: bool, numbers: Sequence[int], transforms: Sequence[Written],
    otherwise: Sequence[Written] = (),
) -> list[Any]:  # fmt: skip
    """``transforms`` for images whose number of channels is one of ``numbers``, else ``otherwise``."""
    return steps(transforms if channels in numbers else otherwise, size, channels, turns)


def only_square(
    size: tuple[int, int], channels: int, turns: bool, transforms: Sequence[Written], otherwise: Sequence[Written] = ()
) -> list[Any]:
    """``transforms`` for images as high as wide, else ``otherwise``: quarter turns keep only a square's size."""
    return steps(transforms if size[0] == size[1] else otherwise, size, channels, turns)


def only_without_boxes(
    size: tuple[int, int], channels: int, turns: bool, transforms: Sequence[Written], otherwise: Sequence[Written] = ()
) -> list[Any]:
    """``transforms`` for tasks without boxes, which grow loose when they are turned or distorted, else ``otherwise``."""
    return steps(transforms if turns else otherwise, size, channels, turns)
