"""Networks as earlier versions built them, so that their weights still load."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

FIRST_BLOCK = "stages.0.0.body.0.weight"
"""End of the name of the first convolution in the blocks of ``small_resnet``."""


def as_trained(spec: Mapping[str, Any], weights: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return ``spec`` with the ``params`` that the network was trained with, where their default has changed since.

    ``small_resnet`` had blocks of 3x3 convolutions before it had ``kernel_size_px``, which is 7 unless given.

    Args:
        spec: ``network`` and ``params``, see `goldfold.inference.predictor.build`.
        weights: of the trained network, by name.
    """
    if spec["network"] != "small_resnet" or "kernel_size_px" in spec["params"]:
        return dict(spec)
    first = next((tensor for name, tensor in weights.items() if name.endswith(FIRST_BLOCK)), None)
    kernel = {} if first is None else {"kernel_size_px": first.shape[-1]}
    return {**spec, "params": {**spec["params"], **kernel}}
