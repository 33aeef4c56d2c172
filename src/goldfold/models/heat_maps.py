"""Networks of maps as networks of heat maps: at a coarser stride, and with a low probability before training."""

import math

from torch import Tensor, nn
from torch.nn import functional

PRIOR = 0.1
"""Probability of a point before training (Law and Deng 2018; Zhou et al. 2019): most pixels hold none."""


def of_points(network: nn.Module, n_classes: int, stride: int) -> nn.Module:
    """Let a network give maps that have one pixel per ``stride`` pixels of its input, down and across.

    Networks of segmentation_models_pytorch that enlarge their maps at the end enlarge them less; decoders of blocks that
    each double the resolution (U-Net, MA-Net, LinkNet) lose the last ones; maps of other networks are averaged.
    """
    if stride > 1 and not (_enlarges_less(network, stride) or _has_fewer_blocks(network, n_classes, stride)):
        network = _Averaged(network, stride)
    _start_low(network, n_classes)
    return network


def _enlarges_less(network: nn.Module, stride: int) -> bool:
    """Reduce the factor of the last layer that enlarges, if it is a multiple of the stride."""
    head = getattr(network, "segmentation_head", None)
    layer = head[1] if isinstance(head, nn.Sequential) and len(head) > 1 else None
    factor = getattr(layer, "scale_factor", None)
    if factor is None or factor % stride:
        return False
    layer.scale_factor = float(factor / stride)  # type: ignore[union-attr]
    return True


def _has_fewer_blocks(network: nn.Module, n_classes: int, stride: int) -> bool:
    """Remove the last blocks of a decoder, if it is a list of blocks that each double the resolution."""
    decoder, head = getattr(network, "decoder", None), getattr(network, "segmentation_head", None)
    blocks, n = getattr(decoder, "blocks", None), int(math.log2(stride))
    if not isinstance(blocks, nn.ModuleList) or len(blocks) <= n or not isinstance(head, nn.Sequential):
        return False
    width = _width(blocks[-n - 1])
    if width is None or not isinstance(head[0], nn.Conv2d):
        return False
    kernel = head[0].kernel_size[0]
    decoder.blocks = blocks[:-n]  # type: ignore[union-attr]
    head[0] = nn.Conv2d(width, n_classes, kernel, padding=kernel // 2)
    return True


def _width(block: nn.Module) -> int | None:
    """Channels of the output of a block: those of its last convolution."""
    found = [layer for layer in block.modules() if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)]
    return found[-1].out_channels if found else None


def _start_low(network: nn.Module, n_classes: int) -> None:
    """Set the bias of the last convolution, which gives the maps, so that probabilities begin near `PRIOR`."""
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Conv2d) and layer.out_channels == n_classes]
    if layers and layers[-1].bias is not None:
        nn.init.constant_(layers[-1].bias, -math.log(1 / PRIOR - 1))


class _Averaged(nn.Module):
    """A network whose maps are averaged over squares of pixels."""

    def __init__(self, network: nn.Module, stride: int) -> None:
        super().__init__()
        self.network, self.stride = network, stride
        self.mean, self.std = getattr(network, "mean", None), getattr(network, "std", None)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, classes, height / stride, width / stride)."""
        return functional.avg_pool2d(self.network(images), self.stride, ceil_mode=True)
