"""Residual network for images of about 16 to 64 pixels: a 7x7 stem without downsampling, then four short stages."""

from torch import Tensor, nn

from goldfold.base.errors import ConfigError

WIDTHS = (32, 64, 128, 256)


def build(
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    dropout: float = 0.0,
    widths: tuple[int, ...] = WIDTHS,
    blocks: int = 1,
) -> nn.Module:
    """Build a SmallResNet with ``widths`` channels and ``blocks`` residual blocks per stage.

    Raises:
        ConfigError: the image is too small to be halved in each stage after the first.
    """
    if not widths or min(widths) < 1 or blocks < 1:
        raise ConfigError(
            f"small_resnet needs widths and blocks of at least 1, not widths {list(widths)}, blocks {blocks}"
        )
    if min(image_size) < 2 ** (len(widths) - 1):
        raise ConfigError(f"small_resnet needs images of at least {2 ** (len(widths) - 1)} pixels, not {image_size}")
    return SmallResNet(n_classes, in_channels, dropout, tuple(widths), blocks)


class SmallResNet(nn.Module):
    """7x7 stem with stride 1, then stages of residual blocks, each but the first halving the resolution."""

    def __init__(self, n_classes: int, in_channels: int, dropout: float, widths: tuple[int, ...], blocks: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, widths[0], 7, padding=3, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()
        )
        stages = []
        for index, width in enumerate(widths):
            first = _Block(widths[max(index - 1, 0)], width, stride=1 if index == 0 else 2)
            stages.append(nn.Sequential(first, *(_Block(width, width, stride=1) for _ in range(blocks - 1))))
        self.stages = nn.Sequential(*stages)
        self.num_features = widths[-1]
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(widths[-1], n_classes)
        )

    def get_classifier(self) -> nn.Module:
        """Return the last layer, as networks of timm do."""
        return self.head[-1]

    def reset_classifier(self, n_classes: int) -> None:
        """Put a new last layer in place of the old one; with 0 classes none, so that the output is features."""
        self.head[-1] = nn.Linear(self.num_features, n_classes) if n_classes else nn.Identity()

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Return patterns of the names of the parameters of each stage, or each block, as networks of timm do."""
        return {"stem": r"^stem", "blocks": r"^stages\.(\d+)" if coarse else r"^stages\.(\d+)\.(\d+)"}

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes) for images (batch, channels, height, width)."""
        logits: Tensor = self.head(self.stages(self.stem(images)))
        return logits


class _Block(nn.Module):
    def __init__(self, width_in: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width_in, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width:
            self.shortcut = nn.Sequential(nn.Conv2d(width_in, width, 1, stride, bias=False), nn.BatchNorm2d(width))
        self.activation = nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.activation(self.body(images) + self.shortcut(images))
        return result
