"""Views for test-time augmentation, made on the device from one decoded batch, with their inverses for dense maps."""

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
class View:
    """How a batch (batch, channels, height, width) is seen, and how a map of that view is turned back."""

    name: str
    forward: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor] | None
    """None where turning back would lose pixels."""


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


def _turn(quarters: int) -> Callable[[Tensor], Tensor]:
    return lambda x: torch.rot90(x, quarters, dims=(-2, -1))


def _flip(*dims: int) -> Callable[[Tensor], Tensor]:
    return lambda x: x.flip(dims)


def _antitranspose(x: Tensor) -> Tensor:
    return x.transpose(-2, -1).flip((-2, -1))


VIEWS: dict[str, View] = {
    view.name: view
    for view in (
        View("identity", lambda x: x, lambda x: x),
        View("hflip", _flip(-1), _flip(-1)),
        View("vflip", _flip(-2), _flip(-2)),
        View("rot90", _turn(1), _turn(-1)),
        View("rot180", _turn(2), _turn(2)),
        View("rot270", _turn(3), _turn(-3)),
        View("transpose", lambda x: x.transpose(-2, -1), lambda x: x.transpose(-2, -1)),
        View("antitranspose", _antitranspose, _antitranspose),
        View("shift_left", lambda x: _shifted(x, -1, -1), None),
        View("shift_right", lambda x: _shifted(x, -1, 1), None),
        View("shift_up", lambda x: _shifted(x, -2, -1), None),
        View("shift_down", lambda x: _shifted(x, -2, 1), None),
        View("zoom_in", lambda x: _zoomed(x, ZOOM), None),
        View("zoom_out", lambda x: _zoomed(x, 1 / ZOOM), None),
    )
}


def build(names: list[str]) -> list[View]:
    """Views by name."""
    for name in names:
        if name not in VIEWS:
            raise unknown("view", name, VIEWS)
    return [VIEWS[name] for name in names]
