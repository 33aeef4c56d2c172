"""Bottlenecks of dilated 7x7 grouped convolutions without any pooling, for images of about 16 to 64 pixels."""

from collections.abc import Sequence

from torch import Tensor, nn

from goldfold.models.blocks import Classifier, ConvNorm, at_depth, path_dropped, require, require_size

KERNEL, REDUCTION = 7, 2


def build(
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    dropout: float = 0.0,
    drop_path: float = 0.0,
    widths: tuple[int, ...] = (64, 128, 256),
    dilations: tuple[int, ...] = (1, 2, 4),
    groups: int = 8,
) -> nn.Module:
    """Build a DilatedGroupConv: in each stage a bottleneck per dilation; between stages a strided convolution.

    The last map becomes features by one weight per channel and place (a depthwise convolution of its size, as in MobileFaceNets,
    Chen et al. 2018, https://arxiv.org/abs/1804.07573), so the weights depend on the image size.

    Args:
        widths: channels per stage, multiples of twice ``groups``.

    Raises:
        ConfigError: parameters that cannot be, or an image too small to be halved in each stage after the first.
    """
    fit = len(widths) > 0 and groups >= 1 and all(w >= 1 and w % (REDUCTION * groups) == 0 for w in widths)
    require(
        "dilated_group_conv", fit, f"widths that are multiples of {REDUCTION * groups} (2 x groups), not {list(widths)}"
    )
    are_positive = len(dilations) > 0 and min(dilations) >= 1
    require("dilated_group_conv", are_positive, f"dilations of at least 1, not {list(dilations)}")
    require_size("dilated_group_conv", image_size, 2 ** (len(widths) - 1))
    body = _body(in_channels, widths, dilations, groups, drop_path)
    places = [_halved(side, len(widths) - 1) for side in image_size]
    weighed = nn.Conv2d(widths[-1], widths[-1], (places[0], places[1]), groups=widths[-1])
    return Classifier(nn.Sequential(*body, weighed), widths[-1], n_classes, dropout, pools=False)


class Bottleneck(nn.Module):
    """1x1, grouped 7x7 with dilation, 1x1, beside the identity; ReLU after the sum."""

    def __init__(self, width: int, groups: int, dilation: int, drop_path: float = 0.0) -> None:
        super().__init__()
        narrow = width // REDUCTION
        self.body = nn.Sequential(
            ConvNorm(width, narrow, 1),
            ConvNorm(narrow, narrow, KERNEL, groups=groups, dilation=dilation),
            ConvNorm(narrow, width, 1, has_relu=False),
        )
        self.drop_path, self.activation = path_dropped(drop_path), nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape (n, width, h, w)."""
        result: Tensor = self.activation(maps + self.drop_path(self.body(maps)))
        return result


def _body(
    in_channels: int, widths: Sequence[int], dilations: Sequence[int], groups: int, drop_path: float
) -> list[nn.Module]:
    """Return the stem and the stages."""
    parts, n = list[nn.Module]([ConvNorm(in_channels, widths[0], KERNEL)]), len(widths) * len(dilations)
    for index, width in enumerate(widths):
        if index:
            parts.append(ConvNorm(widths[index - 1], width, 3, stride=2))
        for place, dilation in enumerate(dilations):
            rate = at_depth(drop_path, index * len(dilations) + place, n)
            parts.append(Bottleneck(width, groups, dilation, rate))
    return parts


def _halved(side: int, times: int) -> int:
    """Return the side of a map after strided convolutions, which round up."""
    for _ in range(times):
        side = (side + 1) // 2
    return side
