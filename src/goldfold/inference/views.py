"""Views for test-time augmentation, made on the device from one decoded batch, and turned back for maps and boxes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from goldfold.runtime.errors import unknown

SHIFT = 1 / 16
"""Shift of the shift views, as a share of the side."""
ZOOM = 1.1
"""Factor of the zoom views."""


@dataclass(frozen=True)
class Turn:
    """One of the eight symmetries of the square: swap the sides first, then flip."""

    swaps: bool = False
    flips_y: bool = False
    flips_x: bool = False

    def forward(self, x: Tensor) -> Tensor:
        """Images or maps (..., height, width), turned."""
        return (x.transpose(-2, -1) if self.swaps else x).flip(self._dims())

    def inverse(self, x: Tensor) -> Tensor:
        """Maps (..., height, width) of the turned image, turned back."""
        flipped = x.flip(self._dims())
        return flipped.transpose(-2, -1) if self.swaps else flipped

    def boxes_back(self, boxes: Tensor, size: tuple[int, int]) -> Tensor:
        """Boxes (n, 4) x1, y1, x2, y2 of the turned image, turned back.

        Args:
            size: height and width of the turned image.
        """
        height, width = size
        x1, y1, x2, y2 = boxes.unbind(-1)
        x1, x2 = (width - x2, width - x1) if self.flips_x else (x1, x2)
        y1, y2 = (height - y2, height - y1) if self.flips_y else (y1, y2)
        return torch.stack([y1, x1, y2, x2] if self.swaps else [x1, y1, x2, y2], dim=-1)

    def _dims(self) -> list[int]:
        return [-2] * self.flips_y + [-1] * self.flips_x


@dataclass(frozen=True)
class View:
    """How a batch (batch, channels, height, width) is seen; ``turn`` is None where turning back would lose pixels."""

    name: str
    forward: Callable[[Tensor], Tensor]
    turn: Turn | None = None


def _shifted(x: Tensor, dim: int, sign: int) -> Tensor:
    """Moved by SHIFT, the border repeated."""
    side = x.shape[dim]
    index = torch.arange(side, device=x.device) - sign * max(1, round(side * SHIFT))
    return x.index_select(dim, index.clamp(0, side - 1))


def _zoomed(x: Tensor, factor: float) -> Tensor:
    """Scaled about the middle at the same size, the border repeated; 0..255 stays so."""
    theta = torch.tensor([[[1 / factor, 0.0, 0.0], [0.0, 1 / factor, 0.0]]], device=x.device).expand(len(x), 2, 3)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x.float(), grid, padding_mode="border", align_corners=False)


TURNS: dict[str, Turn] = {
    "identity": Turn(),
    "hflip": Turn(flips_x=True),
    "vflip": Turn(flips_y=True),
    "rot90": Turn(swaps=True, flips_y=True),
    "rot180": Turn(flips_y=True, flips_x=True),
    "rot270": Turn(swaps=True, flips_x=True),
    "transpose": Turn(swaps=True),
    "antitranspose": Turn(swaps=True, flips_y=True, flips_x=True),
}
VIEWS: dict[str, View] = {
    **{name: View(name, turn.forward, turn) for name, turn in TURNS.items()},
    "shift_left": View("shift_left", lambda x: _shifted(x, -1, -1)),
    "shift_right": View("shift_right", lambda x: _shifted(x, -1, 1)),
    "shift_up": View("shift_up", lambda x: _shifted(x, -2, -1)),
    "shift_down": View("shift_down", lambda x: _shifted(x, -2, 1)),
    "zoom_in": View("zoom_in", lambda x: _zoomed(x, ZOOM)),
    "zoom_out": View("zoom_out", lambda x: _zoomed(x, 1 / ZOOM)),
}


def build(names: list[str]) -> list[View]:
    """Views by name."""
    for name in names:
        if name not in VIEWS:
            raise unknown("view", name, VIEWS)
    return [VIEWS[name] for name in names]
