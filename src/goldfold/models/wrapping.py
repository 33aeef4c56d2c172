"""What goldfold puts around a network: normalisation on the device."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from goldfold.cases import Inputs

NEUTRAL = 0.5, 0.25
"""Mean and standard deviation for networks that name none."""


class Normalised(nn.Module):
    """A network that takes images as they are cached; its weights file is all that prediction needs.

    Of a case of several images the output is the mean of those of its images, missing ones left out. Where networks take
    metadata, ``fusion`` makes the output of this mean and the metadata of the case.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, channels: int, fusion: nn.Module | None = None) -> None:
        super().__init__()
        mean = getattr(network, "mean", None) or (NEUTRAL[0],) * channels
        std = getattr(network, "std", None) or (NEUTRAL[1],) * channels
        self.network = network.to(memory_format=torch.channels_last)
        self.fusion = fusion
        self.register_buffer("mean", _column(mean))
        self.register_buffer("std", _column(std))

    def forward(self, inputs: Inputs | Tensor, *targets: Any) -> Any:
        """Output of the network for cases, or for images (batch, channels, height, width), uint8 or float, 0..255.

        Args:
            targets: passed on as they are, to networks that make their losses themselves (detectors).
        """
        if isinstance(inputs, Tensor):
            return self._outputs(inputs, *targets)
        outputs = inputs.mean(self._outputs(inputs.there, *targets))
        return outputs if self.fusion is None else self.fusion(outputs, inputs.metadata)

    def _outputs(self, images: Tensor, *targets: Any) -> Any:
        scaled = images.float().contiguous(memory_format=torch.channels_last) / 255
        return self.network((scaled - self.mean) / self.std, *targets)


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)
