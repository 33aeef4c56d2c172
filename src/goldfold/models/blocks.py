"""Building blocks of networks: space-to-depth convolution, generalised-mean pooling, an MLP head."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

SMALLEST_P = 0.1
"""Lower bound of the exponent of `GeM`, so that a step of training cannot make it 0 or negative."""


class ConvNorm(nn.Sequential):
    """Convolution that keeps the resolution (or divides it by ``stride``), batch normalisation, and ReLU unless turned off."""

    def __init__(
        self,
        width_in: int,
        width: int,
        kernel: int,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        has_relu: bool = True,
    ) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.Conv2d(width_in, width, kernel, stride, padding, dilation, groups, bias=False),
            nn.BatchNorm2d(width),
            *[nn.ReLU()] * has_relu,
        )


class SpaceToDepthConv(nn.Module):
    """Halves the resolution without losing a value: 2 x 2 pixels become channels, then a convolution with stride 1.

    Sunkara and Luo, No More Strided Convolutions or Pooling, 2022 (https://arxiv.org/abs/2208.03641).

    Args:
        width_in: channels of the input.
        width: channels of the output.
        factor: side of the squares of pixels that become channels, and divisor of the resolution.
        kernel: size of the convolution after the rearrangement, odd.
    """

    def __init__(self, width_in: int, width: int, factor: int = 2, kernel: int = 3) -> None:
        super().__init__()
        self.rearrange = nn.PixelUnshuffle(factor)
        self.conv = ConvNorm(width_in * factor**2, width, kernel)

    def forward(self, images: Tensor) -> Tensor:
        """Return maps (n, width, h / factor, w / factor) for maps (n, width_in, h, w), with h and w multiples of factor."""
        maps: Tensor = self.conv(self.rearrange(images))
        return maps


class GeM(nn.Module):
    """Generalised mean over places with a learned exponent: 1 is the mean, a large one tends to the maximum.

    Radenovic et al., Fine-tuning CNN Image Retrieval with No Human Annotation, 2018 (https://arxiv.org/abs/1711.02512), eq. 3.
    Values below ``eps`` count as ``eps``, so it is meant for maps without negative values, such as those after ReLU.

    >>> GeM(p=1.0)(torch.tensor([[[[1.0, 3.0]]]])).tolist()
    [[2.0]]

    Args:
        p: initial exponent, above 0.
        eps: smallest value, above 0.
    """

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        if not p >= SMALLEST_P or not eps > 0:
            raise ValueError(f"gem needs p of at least {SMALLEST_P:g} and eps above 0, not p = {p:g}, eps = {eps:g}")
        self.p = nn.Parameter(torch.full((1,), float(p)))
        self.eps = eps

    def forward(self, maps: Tensor) -> Tensor:
        """Return features (n, channels) of maps (n, channels, height, width), computed in float32.

        Values are divided by the maximum of their map before they are raised to the power of p, which cannot overflow.
        """
        values = maps.float().clamp(min=self.eps).flatten(2)
        largest = values.detach().amax(dim=2, keepdim=True)
        p = self.p.float().clamp(min=SMALLEST_P)
        means = (values / largest).pow(p).mean(dim=2)
        return (largest.squeeze(2) * means.pow(1 / p)).to(maps.dtype)


class Mlp(nn.Sequential):
    """Head with hidden layers: units with ReLU and dropout, then the last layer.

    It takes features (n, ``in_features``) or (n, ``in_features``, 1, 1).
    """

    def __init__(self, in_features: int, hidden: Sequence[int], n_outputs: int, dropout: float) -> None:
        layers: list[nn.Module] = []
        for width_in, width in pairwise([in_features, *hidden]):
            layers += [nn.Linear(width_in, width), nn.ReLU(), nn.Dropout(dropout)]
        super().__init__(nn.Flatten(), *layers, nn.Linear([in_features, *hidden][-1], n_outputs))
        self.in_features = in_features


def mlp(in_features: int, hidden: Sequence[int], n_outputs: int, dropout: float) -> nn.Module:
    """Return a head for features (n, in_features): an `Mlp`, or a linear layer if there are no ``hidden`` units."""
    return Mlp(in_features, hidden, n_outputs, dropout) if hidden else nn.Linear(in_features, n_outputs)
