"""Targets of losses of masks, see `goldfold.losses.segmentation`: as shares of channels, and where they are known."""

import torch
from torch import Tensor
from torch.nn import functional

IGNORE = 255
"""Index of ignored pixels."""


def shares_of(logits: Tensor, target: Tensor, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Target as shares of the channels, 0 where ignored, and where it is known; both (batch, channels or 1, height, width)."""
    values = torch.promote_types(logits.dtype, torch.float32)
    if target.ndim == 4:
        known = target >= 0
        return (target * known).to(values), known
    known = target != ignore_index
    if logits.shape[1] == 1:
        return (target * known)[:, None].to(values), known[:, None]
    hard = functional.one_hot(target * known, logits.shape[1]).permute(0, 3, 1, 2)
    return (hard * known[:, None]).to(values), known[:, None]


def is_known(values: Tensor, target: Tensor, ignore_index: int) -> Tensor:
    """Return where the target of values per pixel (and per channel) is known, in their shape."""
    if target.ndim == 3:
        return target != ignore_index
    known = target >= 0
    return known if values.ndim == 4 else known[:, 0]
