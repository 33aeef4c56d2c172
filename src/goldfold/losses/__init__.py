"""Losses by name. Each takes logits and soft or hard targets and gives one value a sample."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import Tensor

from goldfold.losses import classification
from goldfold.runtime.errors import unknown

LOSSES: dict[str, Callable[..., Tensor]] = {
    "cross_entropy": classification.cross_entropy,
    "focal": classification.focal,
}


def build(name: str, **params: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """Loss by name with its parameters bound: (logits, targets) -> (batch,)."""
    if name not in LOSSES:
        raise unknown("loss", name, LOSSES)
    return partial(LOSSES[name], **params)
