"""Views of parts of an image, enlarged to the network's input."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from torch import Tensor

from goldfold.inference.parameters import SHARE, UNTURNED, check
from goldfold.inference.views import Batch, Turn, View, resized, turn_of

Corner = tuple[float, float]
"""Place of a crop: 0 at the top or left, 1 at the bottom or right, 0.5 in the middle."""
MIDDLE: Corner = (0.5, 0.5)
FIVE: tuple[Corner, ...] = ((0, 0), (0, 1), (1, 0), (1, 1), MIDDLE)
"""Corners and middle, in the order of torchvision's FiveCrop."""


def crop(share: float = SHARE, turns: Sequence[str] = UNTURNED) -> list[View]:
    """Middle of the image, ``share`` of its sides, once for each of the ``turns``."""
    return _crops((MIDDLE,), share, turns)


def five_crop(share: float = SHARE, turns: Sequence[str] = UNTURNED) -> list[View]:
    """Four corners and the middle, ``share`` of the sides, once for each of the ``turns``."""
    return _crops(FIVE, share, turns)


def ten_crop(share: float = SHARE) -> list[View]:
    """`five_crop` of the image and of its mirror image (Krizhevsky et al. 2012)."""
    return _crops(FIVE, share, ("identity", "hflip"))


def _crops(corners: Sequence[Corner], share: float, turns: Sequence[str]) -> list[View]:
    check(share=share, turns=turns)
    return [_view(turn_of(name), name, corner, share) for name in turns for corner in corners]


def _view(turn: Turn, name: str, corner: Corner, share: float) -> View:
    def seen(larger: Tensor | None, x: Tensor) -> Tensor:
        part = cut(turn.forward(x if larger is None else larger), corner, share)
        return resized(part, turn.size((x.shape[-2], x.shape[-1])))

    def bind(batch: Batch) -> View:
        return replace(view, forward=partial(seen, batch.larger), bind=None)

    named = f"crop({corner[0]:g}, {corner[1]:g}, {share:g}, {name})"
    view = View(named, partial(seen, None), bind=bind, reads_larger=True)
    return view


def cut(x: Tensor, corner: Corner, share: float) -> Tensor:
    """Part of images (..., height, width), ``share`` of their sides, at least a pixel."""
    for dim, place in zip((-2, -1), corner, strict=True):
        length = max(1, round(x.shape[dim] * share))
        x = x.narrow(dim, round((x.shape[dim] - length) * place), length)
    return x
