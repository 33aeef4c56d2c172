"""Scale on which a network learns numbers: fitted to the training targets of its fold, and kept with its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor, nn

Scale = tuple[float, float]
"""Middle and spread: the number that is learned as 0, and the difference that is learned as 1."""
BUFFER = "target_scale"
"""Buffer of a network: middle in two float32 parts, whose sum has 48 bits, and spread."""


def scale_of(values: NDArray[np.float64]) -> Scale:
    """Return the median of numbers (n,), and half of their 10 % to 90 % range, about a standard deviation.

    Where this range is 0, the spread is the standard deviation; of equal numbers it is 1.

    >>> scale_of(np.array([0.0, 10.0, 20.0]))
    (10.0, 8.0)
    """
    low, middle, high = (float(np.quantile(values, level)) for level in (0.1, 0.5, 0.9))
    spread = np.float32((high - low) / 2 or float(values.std()) or 1.0)
    first = np.float32(middle)
    return float(first) + float(np.float32(middle - float(first))), float(spread)


def keep(network: nn.Module, scale: Scale) -> None:
    """Store the scale in a buffer of the network; weights that have none are loaded with the one that it has."""
    import torch

    is_new = not hasattr(network, BUFFER)
    first = float(np.float32(scale[0]))
    network.register_buffer(BUFFER, torch.tensor([first, scale[0] - first, scale[1]], dtype=torch.float32))
    if is_new:
        network.register_load_state_dict_pre_hook(_completed)  # type: ignore[no-untyped-call]


def of_network(network: nn.Module) -> Scale | None:
    """Return the scale of a network; None if it has none."""
    found: Tensor | None = getattr(network, BUFFER, None)
    if found is None:
        return None
    first, rest, spread = map(float, found.tolist())
    return first + rest, spread


def _completed(network: Any, state: dict[str, Tensor], prefix: str, *_: Any) -> None:
    """Complete weights that were trained before scales were kept with them."""
    state.setdefault(f"{prefix}{BUFFER}", getattr(network, BUFFER))
