"""Views that are random augmentations, see `goldfold.inference.views`."""

from collections.abc import Callable, Sequence
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

    pixels = _Pixels()
    return [_view(built, pixels, seed, number) for number in range(n)]


class _Pixels:
    """Pixels of the last images that were asked for: those of a batch are converted once for all its views."""

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.x = torch.empty(0)
        self.pixels = np.empty(0, np.uint8)

    def of(self, batch: Batch, x: Tensor) -> NDArray[np.uint8]:
        """Images (n, height, width, channels) uint8."""
        if batch is not self.batch or _place(x) != _place(self.x):
            rounded = x if x.dtype == torch.uint8 else x.round().clamp(0, 255).to(torch.uint8)
            self.batch, self.x = batch, x
            self.pixels = rounded.permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return self.pixels


def _place(x: Tensor) -> tuple[Any, ...]:
    """What tells apart tensors that exist at the same time."""
    return x.data_ptr(), x.shape, x.stride(), x.dtype


def _view(built: Any, pixels: _Pixels, seed: int, number: int) -> View:
    name = f"random({seed}, {number})"

    def unbound(x: Tensor) -> Tensor:
        raise ValueError("a random view depends on the ids of the images; call its method of first")

    def bind(batch: Batch) -> View:
        seeds = [counter(seed, "tta", number, id, image) for id in batch.ids for image in range(batch.n_images)]
        moves = _moves(built, batch)
        larger = batch.larger if moves else None
        forward = partial(_augmented, built, seeds, lambda x: pixels.of(batch, x if larger is None else larger))
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


def _augmented(built: Any, seeds: Sequence[int], source: Callable[[Tensor], NDArray[np.uint8]], x: Tensor) -> Tensor:
    size, pixels = (x.shape[-2], x.shape[-1]), source(x)
    augment = built(pixels.shape[1:3], pixels.shape[3], size)
    # copies, since an augmentation of the user may write into its image
    made = [augment({"image": image.copy()}, seed)["image"] for image, seed in zip(pixels, seeds, strict=True)]
    return torch.from_numpy(np.stack(made)).to(x.device).permute(0, 3, 1, 2)
