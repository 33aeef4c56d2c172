"""Two branches for images of about 16 to 64 pixels: wide 7x7 residual blocks, and convolutions that lose no pixel."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from goldfold.models.blocks import Classifier, ConvNorm, Residual, SpaceToDepthConv, at_depth, require, require_size


def build(
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    dropout: float = 0.0,
    drop_path: float = 0.0,
    widths: tuple[int, ...] = (32, 64, 128),
    blocks: int = 1,
    features: int = 256,
) -> nn.Module:
    """Build a DualBranch with ``widths`` channels per stage in each branch, fused into ``features`` channels.

    Args:
        image_size: sides are multiples of 2 for each stage after the first.
        drop_path: of the global branch.
        blocks: residual blocks per stage of the global branch.

    Raises:
        ConfigError: parameters that cannot be, or an image whose sides cannot be halved exactly.
    """
    are_positive = len(widths) > 0 and min(widths) >= 1 and blocks >= 1 and features >= 1
    told = f"widths, blocks and features of at least 1, not widths {list(widths)}, blocks {blocks}, features {features}"
    require("dual_branch", are_positive, told)
    unit = 2 ** (len(widths) - 1)
    require_size("dual_branch", image_size, unit, unit)
    return Classifier(DualBranch(in_channels, widths, blocks, features, drop_path), features, n_classes, dropout)


class DualBranch(nn.Module):
    """A global branch of 7x7 residual blocks and a local branch of space-to-depth convolutions, at the same resolutions.

    Their maps are concatenated, and a 1x1 convolution makes one feature space of them.
    """

    def __init__(
        self, in_channels: int, widths: Sequence[int], blocks: int, features: int, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.wide = _wide(in_channels, widths, blocks, drop_path)
        self.local = _local(in_channels, widths)
        self.fuse = ConvNorm(2 * widths[-1], features, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return maps (n, features, h, w) for images (n, channels, height, width), halved for each stage after the first."""
        fused: Tensor = self.fuse(torch.cat([self.wide(images), self.local(images)], 1))
        return fused


def _wide(in_channels: int, widths: Sequence[int], blocks: int, drop_path: float) -> nn.Module:
    parts, n = list[nn.Module]([ConvNorm(in_channels, widths[0], 7)]), len(widths) * blocks
    for index, width in enumerate(widths):
        for block in range(blocks):
            width_in = widths[index - 1] if index and not block else width
            stride = 2 if index and not block else 1
            parts.append(Residual(width_in, width, stride, 7, at_depth(drop_path, index * blocks + block, n)))
    return nn.Sequential(*parts)


def _local(in_channels: int, widths: Sequence[int]) -> nn.Module:
    parts: list[nn.Module] = [ConvNorm(in_channels, widths[0], 3)]
    for width_in, width in pairwise(widths):
        parts += [SpaceToDepthConv(width_in, width), ConvNorm(width, width, 3)]
    return nn.Sequential(*parts)
