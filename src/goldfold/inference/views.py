"""Views for test-time augmentation, computed on the device from one decoded batch and inverted for maps and boxes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional

from goldfold import components
from goldfold.catalog import TURNS, VIEWS

SHIFT = 1 / 16
"""Shift of the shift views, as a fraction of the side."""
ZOOM = 1.1
"""Factor of the zoom views."""


Size = tuple[int, int]
"""Height and width in pixels."""


class Placing(Protocol):
    """Transforms maps and boxes of a view back to those of the image.

    Views at the size of the image ignore ``frame``, so that user-defined tasks need not pass it.
    """

    def inverse(self, x: Tensor, frame: Size | None = None) -> Tensor:
        """Transform maps (..., height, width) of the view back, to maps of the image, whose size is ``frame``."""

    def boxes_back(self, boxes: Tensor, size: Size, frame: Size | None = None) -> Tensor:
        """Transform boxes (n, 4) x1, y1, x2, y2 of the view back.

        Args:
            size: height and width of the view.
            frame: height and width of the image.
        """


@dataclass(frozen=True)
class Turn:
    """One of the eight symmetries of the square: transpose first, then flip."""

    swaps: bool = False
    flips_y: bool = False
    flips_x: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Transform images or maps (..., height, width)."""
        return (x.transpose(-2, -1) if self.swaps else x).flip(self._dims())

    def inverse(self, x: Tensor, frame: Size | None = None) -> Tensor:
        """See `Placing`."""
        flipped = x.flip(self._dims())
        return flipped.transpose(-2, -1) if self.swaps else flipped

    def boxes_back(self, boxes: Tensor, size: Size, frame: Size | None = None) -> Tensor:
        """See `Placing`."""
        height, width = size
        x1, y1, x2, y2 = boxes.unbind(-1)
        x1, x2 = (width - x2, width - x1) if self.flips_x else (x1, x2)
        y1, y2 = (height - y2, height - y1) if self.flips_y else (y1, y2)
        return torch.stack([y1, x1, y2, x2] if self.swaps else [x1, y1, x2, y2], dim=-1)

    def size(self, size: Size) -> Size:
        """Size of the view of an image."""
        return (size[1], size[0]) if self.swaps else size

    def _dims(self) -> list[int]:
        return [-2] * self.flips_y + [-1] * self.flips_x


@dataclass(frozen=True)
class Batch:
    """A batch whose views are predicted."""

    ids: Sequence[str]
    """Id of each case."""
    n_images: int
    """Images per case, missing ones included."""
    size: Size
    """Height and width of the network's input."""
    channels: int
    larger: Tensor | None = None
    """The same images (cases x images per case, channels, height, width) uint8 as cached, if larger than the network's input."""
    is_aligned: bool = True
    """Whether each share of the larger image shows what the same share of the network's input shows."""


@dataclass(frozen=True)
class View:
    """Transformation of images (batch, channels, height, width); ``turn`` is None where it cannot be inverted exactly.

    A view that depends on more than these images has ``bind``, which returns the view of one batch.
    """

    name: str
    forward: Callable[[Tensor], Tensor]
    turn: Placing | None = None
    bind: Callable[[Batch], "View"] | None = None
    reads_larger: bool = False
    """Whether ``bind`` uses the larger cached images."""

    def of(self, batch: Batch) -> "View":
        """Return the view of a batch."""
        return self if self.bind is None else self.bind(batch)


def _shifted(x: Tensor, dim: int, share: float) -> Tensor:
    """Shift by ``share`` of the side, at least one pixel, repeating the border."""
    side = x.shape[dim]
    pixels = int(math.copysign(max(1, round(side * abs(share))), share))
    index = torch.arange(side, device=x.device) - pixels
    return x.index_select(dim, index.clamp(0, side - 1))


def _zoomed(x: Tensor, factor: float) -> Tensor:
    """Scale about the centre at the same size, repeating the border; values stay within 0..255."""
    theta = torch.tensor([[[1 / factor, 0.0, 0.0], [0.0, 1 / factor, 0.0]]], device=x.device).expand(len(x), 2, 3)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x.float(), grid, padding_mode="border", align_corners=False)


def resized(x: Tensor, size: Size) -> Tensor:
    """Resize images or maps (batch, channels, height, width) bilinearly, with antialiasing if they shrink.

    Images uint8 stay uint8, which on the CPU takes a tenth of the time.
    """
    if (x.shape[-2], x.shape[-1]) == size:
        return x
    is_bytes, shrinks = x.dtype == torch.uint8, x.shape[-2] > size[0] or x.shape[-1] > size[1]
    how: dict[str, Any] = {"mode": "bilinear", "align_corners": False, "antialias": shrinks}
    if is_bytes and x.device.type == "cpu":
        return functional.interpolate(x, size, **how)
    made = functional.interpolate(x.float(), size, **how)
    return made.round().to(torch.uint8) if is_bytes else made


def _turned(name: str, turn: Turn) -> View:
    return View(name, turn.forward, turn)


def identity() -> View:
    """Unchanged image."""
    return _turned("identity", Turn())


def hflip() -> View:
    """Mirrored left to right."""
    return _turned("hflip", Turn(flips_x=True))


def vflip() -> View:
    """Mirrored top to bottom."""
    return _turned("vflip", Turn(flips_y=True))


def rot90() -> View:
    """Rotated by 90 degrees counter-clockwise."""
    return _turned("rot90", Turn(swaps=True, flips_y=True))


def rot180() -> View:
    """Rotated by 180 degrees."""
    return _turned("rot180", Turn(flips_y=True, flips_x=True))


def rot270() -> View:
    """Rotated by 90 degrees clockwise."""
    return _turned("rot270", Turn(swaps=True, flips_x=True))


def transpose() -> View:
    """Mirrored along the main diagonal."""
    return _turned("transpose", Turn(swaps=True))


def antitranspose() -> View:
    """Mirrored along the other diagonal."""
    return _turned("antitranspose", Turn(swaps=True, flips_y=True, flips_x=True))


def shift_left(share: float = SHIFT) -> View:
    """Shifted left by ``share`` of the width."""
    return View("shift_left", partial(_shifted, dim=-1, share=-share))


def shift_right(share: float = SHIFT) -> View:
    """Shifted right by ``share`` of the width."""
    return View("shift_right", partial(_shifted, dim=-1, share=share))


def shift_up(share: float = SHIFT) -> View:
    """Shifted up by ``share`` of the height."""
    return View("shift_up", partial(_shifted, dim=-2, share=-share))


def shift_down(share: float = SHIFT) -> View:
    """Shifted down by ``share`` of the height."""
    return View("shift_down", partial(_shifted, dim=-2, share=share))


def zoom_in(factor: float = ZOOM) -> View:
    """Enlarged about the centre by ``factor``."""
    return View("zoom_in", partial(_zoomed, factor=factor))


def zoom_out(factor: float = ZOOM) -> View:
    """Reduced about the centre by ``factor``."""
    return View("zoom_out", partial(_zoomed, factor=1 / factor))


def turn_of(name: str) -> Turn:
    """Return a symmetry by the name of its view."""
    turn: Turn = components.load(name, TURNS, "view")().turn
    return turn


def build(wanted: Sequence[components.Written]) -> list[View]:
    """Build views as a config writes them; one entry may give several."""
    made = [components.load(one, VIEWS, "view")() for one in wanted]
    return [view for one in made for view in (one if isinstance(one, list) else [one])]
