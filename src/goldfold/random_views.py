"""Views that are random augmentations, see `goldfold.inference.views`."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

import albumentations as A
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from goldfold.base.counter import counter
from goldfold.components import Several
from goldfold.inference.parameters import AUGMENT, N_RANDOM, check
from goldfold.inference.views import Batch, Size, Turn, View
from goldfold.samples.transforms import Augment


def random(augment: Several = AUGMENT, n: int = N_RANDOM, flips: str = "none", seed: int = 0) -> list[View]:
    """``n`` random augmentations of each image, drawn from ``seed`` and the id of its case alone.

    Args:
        augment: value as of ``train.augment``.
        flips: value as of ``train.flips``.
    """
    check(n=n, seed=seed)

    @cache
    def built(frame: Size, channels: int, size: Size) -> Augment:
        return Augment(augment, flips, frame, channels, shown=size)

    return [_view(built, seed, number) for number in range(n)]


def _view(built: Any, seed: int, number: int) -> View:
    name = f"random({seed}, {number})"

    def unbound(x: Tensor) -> Tensor:
        raise ValueError("a random view depends on the ids of the images; call its method of first")

    def bind(batch: Batch) -> View:
        seeds = [counter(seed, "tta", number, id, image) for id in batch.ids for image in range(batch.n_images)]
        moves = _moves(built, batch)
        forward = partial(_augmented, built, seeds, batch.larger if moves else None)
        return replace(view, forward=forward, turn=None if moves else Turn(), bind=None)

    view = View(name, unbound, bind=bind, reads_larger=True)
    return view


def _moves(built: Any, batch: Batch) -> bool:
    """Whether the augmentation moves pixels, so that maps and boxes of its result are not those of the image."""
    return any(_moves_pixels(one) for one in built(batch.size, batch.channels, batch.size).compose.transforms)


def _moves_pixels(transform: Any) -> bool:
    if isinstance(transform, A.BaseCompose):
        return any(_moves_pixels(one) for one in transform.transforms)
    # Lambda, a user-defined function, is a subclass of NoOp
    return not isinstance(transform, A.ImageOnlyTransform) and type(transform) is not A.NoOp


def _augmented(built: Any, seeds: Sequence[int], larger: Tensor | None, x: Tensor) -> Tensor:
    size, source = (x.shape[-2], x.shape[-1]), x if larger is None else larger
    pixels = _pixels(source)
    augment = built((source.shape[-2], source.shape[-1]), source.shape[1], size)
    made = [augment({"image": image}, seed)["image"] for image, seed in zip(pixels, seeds, strict=True)]
    return torch.from_numpy(np.stack(made)).to(x.device).permute(0, 3, 1, 2)


def _pixels(x: Tensor) -> NDArray[np.uint8]:
    """Images (n, height, width, channels) uint8."""
    rounded = x if x.dtype == torch.uint8 else x.round().clamp(0, 255).to(torch.uint8)
    pixels: NDArray[np.uint8] = rounded.permute(0, 2, 3, 1).contiguous().cpu().numpy()
    return pixels
