"""Residual network for images of about 16 to 64 pixels: a 7x7 stem without downsampling, then short stages of 7x7 blocks."""

from torch import Tensor, nn

from goldfold.models.blocks import ConvNorm, Residual, at_depth, require, require_size

WIDTHS = (32, 64, 128, 256)


def build(
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    dropout: float = 0.0,
    drop_path: float = 0.0,
    widths: tuple[int, ...] = WIDTHS,
    blocks: int = 1,
    kernel_size_px: int = 7,
) -> nn.Module:
    """Build a SmallResNet with ``widths`` channels and ``blocks`` residual blocks of ``kernel_size_px`` per stage.

    Raises:
        ConfigError: parameters that cannot be, or an image too small to be halved in each stage after the first.
    """
    require(
        "small_resnet",
        len(widths) > 0 and min(widths) >= 1 and blocks >= 1,
        f"widths and blocks of at least 1, not widths {list(widths)}, blocks {blocks}",
    )
    is_odd = kernel_size_px > 0 and kernel_size_px % 2 == 1
    require("small_resnet", is_odd, f"an odd kernel_size_px, not {kernel_size_px}")
    require_size("small_resnet", image_size, 2 ** (len(widths) - 1))
    return SmallResNet(n_classes, in_channels, dropout, drop_path, tuple(widths), blocks, kernel_size_px)


class SmallResNet(nn.Module):
    """7x7 stem with stride 1, then stages of residual blocks, each but the first halving the resolution."""

    def __init__(
        self,
        n_classes: int,
        in_channels: int,
        dropout: float,
        drop_path: float,
        widths: tuple[int, ...],
        blocks: int,
        kernel: int,
    ) -> None:
        super().__init__()
        self.stem = ConvNorm(in_channels, widths[0], 7)
        stages, n = list[nn.Module](), len(widths) * blocks
        for index, width in enumerate(widths):
            rates = [at_depth(drop_path, index * blocks + block, n) for block in range(blocks)]
            first = Residual(widths[max(index - 1, 0)], width, 1 if index == 0 else 2, kernel, rates[0])
            stages.append(nn.Sequential(first, *(Residual(width, width, 1, kernel, rate) for rate in rates[1:])))
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
