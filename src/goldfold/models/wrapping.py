"""Wrapper of networks: normalisation on the device, and cases of several images."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from goldfold.cases import Inputs
from goldfold.models.features import Heard

NEUTRAL = 0.5, 0.25
"""Mean and standard deviation for networks that set none."""
LEAST_CHANNELS = 16
"""Input channels below which oneDNN 3.12 writes beyond its memory in the gradient of a strided 1x1 convolution whose channels
come last, with AVX2 (https://github.com/uxlfoundation/oneDNN/issues/6035)."""


class Normalised(nn.Module):
    """A network that takes cached images; its weight file includes the normalisation, so prediction needs no other.

    For a case with several images, the output is the mean over its images, except missing ones; or ``views`` computes features
    of the case from those of its images, see `goldfold.models.aggregation`. From these, and from the metadata if the network
    takes any, ``fusion`` computes the output.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, network: nn.Module, channels: int, fusion: nn.Module | None = None, views: nn.Module | None = None
    ) -> None:
        super().__init__()
        mean = getattr(network, "mean", None) or (NEUTRAL[0],) * channels
        std = getattr(network, "std", None) or (NEUTRAL[1],) * channels
        self.memory_format = memory_format(network)
        self.network = network.to(memory_format=self.memory_format)
        self.fusion, self.views = fusion, views
        self.link: nn.Module | None = None
        """Maps the outputs of cases to those of the task, such as log-probabilities of ordered classes."""
        self.auxiliary: nn.Module | None = None
        """Heads of auxiliary targets, in training: features (batch, d) -> their outputs."""
        self.register_buffer("mean", _column(mean))
        self.register_buffer("std", _column(std))

    def forward(self, inputs: Inputs | Tensor, *targets: Any, with_auxiliary: bool = False) -> Any:
        """Return the output for cases, or for images (batch, channels, height, width), uint8 or float, 0..255.

        Args:
            targets: passed through to networks that compute their own losses (detectors).
            with_auxiliary: return the outputs of cases, and those of the heads of auxiliary targets.
        """
        if with_auxiliary and self.auxiliary is not None and isinstance(inputs, Inputs):
            with Heard(self, "train.auxiliary") as heard:
                outputs = self.forward(inputs, *targets)
            return outputs, self.auxiliary(heard.features(inputs)).float()
        if isinstance(inputs, Tensor):
            outputs = self._outputs(inputs, *targets)
        else:
            found = self._outputs(inputs.there, *targets)
            outputs = inputs.mean(found) if self.views is None else self.views(inputs.by_view(found), inputs.present)
            outputs = outputs if self.fusion is None else self.fusion(outputs, inputs.metadata)
        return outputs if self.link is None else self.link(outputs)

    def _outputs(self, images: Tensor, *targets: Any) -> Any:
        scaled = (
            images.to(torch.float32, memory_format=self.memory_format, copy=True) / 255
        )  # also the strides of one channel
        return self.network((scaled - self.mean) / self.std, *targets)


def memory_format(network: nn.Module) -> torch.memory_format:
    """Return the layout in which a network computes: channels last, the faster one, unless a convolution fails with it."""
    fails = (
        isinstance(part, nn.Conv2d)
        and part.kernel_size == (1, 1)
        and max(part.stride) > 1
        and part.in_channels // part.groups < LEAST_CHANNELS
        for part in network.modules()
    )
    return torch.contiguous_format if any(fails) else torch.channels_last


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)
