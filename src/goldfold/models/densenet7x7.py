"""Densely connected network of 7x7 convolutions at the full resolution, for images of about 32 pixels.

Dense blocks and transitions are those of Huang et al., Densely Connected Convolutional Networks, 2017
(https://arxiv.org/abs/1608.06993), without bottlenecks and without any reduction of the resolution.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from goldfold.models.blocks import Classifier, require

KERNEL = 7


def build(
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    dropout: float = 0.0,
    layers: tuple[int, ...] = (3, 6, 12, 8),
    growth: int = 16,
    compression: float = 0.5,
    layer_dropout: float = 0.2,
) -> nn.Module:
    """Build a DenseNet7x7 of dense blocks with ``layers`` layers, each of which adds ``growth`` channels.

    Args:
        image_size: any; maps keep this size up to the final average, so the computation grows with its area.
        dropout: before the last layer.
        compression: share of the channels that a transition keeps, above 0 and at most 1.
        layer_dropout: dropout after each 7x7 convolution.

    Raises:
        ConfigError: parameters that cannot be.
    """
    are_positive = len(layers) > 0 and min(layers) >= 1 and growth >= 1
    require("densenet7x7", are_positive, f"layers and growth of at least 1, not layers {list(layers)}, growth {growth}")
    require("densenet7x7", 0 < compression <= 1, f"a compression above 0 and at most 1, not {compression:g}")
    require("densenet7x7", 0 <= layer_dropout < 1, f"a layer_dropout from 0 to below 1, not {layer_dropout:g}")
    body, width = _body(in_channels, layers, growth, compression, layer_dropout)
    return Classifier(body, width, n_classes, dropout)


class DenseLayer(nn.Module):
    """BN, ReLU, 7x7 convolution, dropout; its output follows its input along the channels."""

    def __init__(self, width_in: int, growth: int, dropout: float) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(width_in),
            nn.ReLU(),
            nn.Conv2d(width_in, growth, KERNEL, padding=KERNEL // 2, bias=False),
            nn.Dropout(dropout),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (n, width_in + growth, h, w) for maps (n, width_in, h, w)."""
        return torch.cat([maps, self.body(maps)], 1)


def _body(
    in_channels: int, layers: Sequence[int], growth: int, compression: float, dropout: float
) -> tuple[nn.Module, int]:
    """Return stem, dense blocks with transitions between them and a final norm; and the number of channels."""
    width = 2 * growth
    parts: list[nn.Module] = [nn.Conv2d(in_channels, width, KERNEL, padding=KERNEL // 2, bias=False)]
    for index, n_layers in enumerate(layers):
        if index:
            kept = max(1, int(width * compression))
            parts.append(nn.Sequential(nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, kept, 1, bias=False)))
            width = kept
        parts.append(nn.Sequential(*(DenseLayer(width + n * growth, growth, dropout) for n in range(n_layers))))
        width += n_layers * growth
    return nn.Sequential(*parts, nn.BatchNorm2d(width), nn.ReLU()), width
