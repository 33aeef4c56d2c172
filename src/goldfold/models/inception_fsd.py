"""Inception modules with features at three coarse resolutions and fully connected layers, for images of about 32 pixels.

Modules are those of Szegedy et al., Rethinking the Inception Architecture, 2016 (https://arxiv.org/abs/1512.00567), in which
two 3x3 convolutions stand for a 5x5 one.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from goldfold.models.blocks import Classifier, ConvNorm, require, require_size

GRIDS = (4, 2, 1)
"""Sides of the maps, in cells, of which the features are concatenated."""
BRANCHES = 4


def build(
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    dropout: float = 0.0,
    widths: tuple[int, ...] = (64, 128, 192, 256, 256, 256),
    blocks: int = 1,
    hidden: tuple[int, ...] = (512, 256),
    hidden_dropout: float = 0.4,
) -> nn.Module:
    """Build an InceptionFSD of ``blocks`` modules at each of ``len(widths)`` resolutions, the last three 4x4, 2x2 and 1x1.

    Args:
        image_size: maps before the last three resolutions are halved by max pooling; the last three are pooled to their cells,
            so any size is possible that leaves at least 4 pixels.
        dropout: before the last layer, besides that of the hidden ones.
        widths: channels at each resolution, at least four of them, multiples of 4.
        hidden: units of the fully connected layers before the last one.
        hidden_dropout: dropout after each of these.

    Raises:
        ConfigError: parameters that cannot be, or an image that is too small.
    """
    are_quarters = len(widths) > len(GRIDS) and all(width >= BRANCHES and width % BRANCHES == 0 for width in widths)
    require("inception_fsd", are_quarters, f"four or more widths that are multiples of 4, not {list(widths)}")
    are_positive = blocks >= 1 and len(hidden) > 0 and min(hidden) >= 1
    require(
        "inception_fsd",
        are_positive,
        f"blocks and hidden units of at least 1, not blocks {blocks}, hidden {list(hidden)}",
    )
    require("inception_fsd", 0 <= hidden_dropout < 1, f"a hidden_dropout from 0 to below 1, not {hidden_dropout:g}")
    require_size("inception_fsd", image_size, GRIDS[0] * 2 ** (len(widths) - len(GRIDS) - 1))
    body = InceptionFSD(in_channels, widths, blocks, hidden, hidden_dropout)
    return Classifier(body, hidden[-1], n_classes, dropout, pools=False)


class Inception(nn.Module):
    """Four branches of equal width, concatenated: 1x1; 3x3; 5x5 as two 3x3; and pooling."""

    def __init__(self, width_in: int, width: int) -> None:
        super().__init__()
        part = width // BRANCHES
        self.branches = nn.ModuleList(
            [
                ConvNorm(width_in, part, 1),
                nn.Sequential(ConvNorm(width_in, part, 1), ConvNorm(part, part, 3)),
                nn.Sequential(ConvNorm(width_in, part, 1), ConvNorm(part, part, 3), ConvNorm(part, part, 3)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), ConvNorm(width_in, part, 1)),
            ]
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (n, width, h, w) for maps (n, width_in, h, w)."""
        return torch.cat([branch(maps) for branch in self.branches], 1)


class InceptionFSD(nn.Module):
    """Inception modules at falling resolutions; features of the last three through fully connected layers."""

    def __init__(
        self, in_channels: int, widths: Sequence[int], blocks: int, hidden: Sequence[int], dropout: float
    ) -> None:
        super().__init__()
        fine, coarse = widths[: -len(GRIDS)], widths[-len(GRIDS) :]
        parts: list[nn.Module] = [ConvNorm(in_channels, fine[0], 3)]
        for index, width in enumerate(fine):
            parts += [nn.MaxPool2d(2)] * bool(index) + [_modules(fine[max(index - 1, 0)], width, blocks)]
        self.fine = nn.Sequential(*parts)
        self.coarse = nn.ModuleList(
            nn.Sequential(nn.AdaptiveMaxPool2d(grid), _modules(width_in, width, blocks))
            for grid, width_in, width in zip(GRIDS, [fine[-1], *coarse], coarse, strict=False)
        )
        sizes = [sum(width * grid**2 for grid, width in zip(GRIDS, coarse, strict=True)), *hidden]
        self.hidden = nn.Sequential(
            *(
                nn.Sequential(nn.Linear(size, width), nn.ReLU(), nn.Dropout(dropout))
                for size, width in zip(sizes, hidden, strict=False)
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return features (n, hidden[-1]) of images (n, channels, height, width)."""
        features: Tensor = self.hidden(self.concatenated(images))
        return features

    def concatenated(self, images: Tensor) -> Tensor:
        """Return the features of the three coarse maps, (n, 16 a + 4 b + c) for their widths a, b, c."""
        maps, found = self.fine(images), list[Tensor]()
        for stage in self.coarse:
            maps = stage(maps)
            found.append(maps.flatten(1))
        return torch.cat(found, 1)


def _modules(width_in: int, width: int, n: int) -> nn.Module:
    return nn.Sequential(*(Inception(width if index else width_in, width) for index in range(n)))
