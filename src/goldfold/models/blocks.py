"""Building blocks of networks: space-to-depth convolution, generalised-mean pooling, an MLP head."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from goldfold.base.errors import ConfigError, SizeError

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


class Residual(nn.Module):
    """Two convolutions with batch normalisation beside a shortcut; ReLU after the sum."""

    def __init__(self, width_in: int, width: int, stride: int, kernel: int, drop_path: float = 0.0) -> None:
        super().__init__()
        first, second = ConvNorm(width_in, width, kernel, stride), ConvNorm(width, width, kernel, has_relu=False)
        self.body = nn.Sequential(*first, *second)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            self.shortcut = ConvNorm(width_in, width, 1, stride, has_relu=False)
        self.drop_path, self.activation = path_dropped(drop_path), nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (n, width, h / stride, w / stride) for maps (n, width_in, h, w)."""
        result: Tensor = self.activation(self.drop_path(self.body(maps)) + self.shortcut(maps))
        return result


def path_dropped(rate: float) -> nn.Module:
    """Return drop path: in training, the branch of a sample is left out with probability ``rate`` (Huang et al. 2016)."""
    if not rate:
        return nn.Identity()
    from timm.layers import DropPath

    return DropPath(rate)


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


class Classifier(nn.Module):
    """A network of images: ``body`` makes maps or features of them, ``global_pool`` features, a linear layer the outputs.

    Args:
        body: images (n, channels, height, width) -> maps (n, num_features, h, w), or features (n, num_features).
        num_features: channels of the maps.
        pools: average the maps over places; otherwise ``body`` returns features.
    """

    def __init__(self, body: nn.Module, num_features: int, n_classes: int, dropout: float, pools: bool = True) -> None:
        super().__init__()
        self.body, self.num_features = body, num_features
        self.global_pool = nn.AdaptiveAvgPool2d(1) if pools else nn.Identity()
        self.flatten, self.dropout = nn.Flatten(), nn.Dropout(dropout)
        self.classifier: nn.Module = nn.Linear(num_features, n_classes)

    def get_classifier(self) -> nn.Module:
        """Return the last layer, as networks of timm do."""
        return self.classifier

    def reset_classifier(self, n_classes: int) -> None:
        """Replace the last layer; with 0 classes by none, so that the output is features."""
        self.classifier = nn.Linear(self.num_features, n_classes) if n_classes else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """Return outputs (n, n_classes) of images (n, channels, height, width)."""
        features = self.flatten(self.global_pool(self.body(images)))
        outputs: Tensor = self.classifier(self.dropout(features))
        return outputs


def at_depth(rate: float, index: int, n: int) -> float:
    """Return the rate of drop path of block ``index`` of ``n``: it rises linearly, to ``rate`` at the last."""
    return rate * (index + 1) / n


def require(network: str, is_met: bool, what: str) -> None:
    """Raise ConfigError unless the parameters of a network are possible."""
    if not is_met:
        raise ConfigError(f"{network} needs {what}. Correct models[].params.")


def require_size(network: str, image_size: tuple[int, int], least: int, multiple: int = 1) -> None:
    """Raise SizeError unless both sides of images are at least ``least`` pixels, and multiples of ``multiple``."""
    if min(image_size) >= least and not any(side % multiple for side in image_size):
        return
    sides = f" whose sides are multiples of {multiple}" if multiple > 1 else ""
    raise SizeError(f"{network} needs images of at least {least} pixels{sides}, not {image_size}.")
