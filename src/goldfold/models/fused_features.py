"""Segmentation on the features of all stages of a timm backbone, upsampled to the finest and concatenated."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from goldfold.models.pyramid import Stages, body
from goldfold.models.timm_models import Pretrained, with_statistics


def build(
    backbone: str,
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    pretrained: Pretrained = False,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    strides: Sequence[int] = (4, 8, 16, 32),
    width: int = 256,
    **params: Any,
) -> nn.Module:
    """Build a segmentation network that fuses all stages of a backbone at the finest, as HRNetV2 does (Sun et al. 2019).

    The result gives logits (batch, n_classes, height, width) and has the attributes ``mean`` and ``std`` of its input.

    Args:
        backbone: timm model name.
        image_size: (height, width); any, as images are padded to a multiple of the coarsest stride.
        pretrained: load the published weights of the backbone from timm's hub or cache, or adapt weights given by name.
        dropout: of the fused features.
        strides: strides of the features, each twice the previous.
        width: channels of the fused features.
        params: parameters of the backbone in timm, such as ``feature_location: ""`` for the branches of HRNet themselves.

    Raises:
        ConfigError: the backbone lacks these strides or drop_path, or its weights are not available.
    """
    features = body(backbone, in_channels, image_size, pretrained, drop_path, strides, **params)
    return with_statistics(FusedFeatures(features, n_classes, width, strides[-1], dropout), features, in_channels)


class FusedFeatures(nn.Module):
    """Backbone, a layer over the concatenated features of its stages, and one value per pixel and class."""

    def __init__(self, body: Any, n_classes: int, width: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.encoder = Stages(body)
        self.stride = stride
        self.fuse = nn.Sequential(
            nn.Conv2d(sum(body.feature_info.channels()), width, 1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.dropout = nn.Dropout(dropout)
        self.segmentation_head = nn.Conv2d(width, n_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (batch, n_classes, height, width) for normalised images (batch, channels, height, width)."""
        height, width = images.shape[-2:]
        padded = functional.pad(images, (0, -width % self.stride, 0, -height % self.stride))
        finest, *others = self.encoder(padded)
        every = torch.cat([finest, *(_resized(one, finest.shape[-2:]) for one in others)], dim=1)
        logits = self.segmentation_head(self.dropout(self.fuse(every)))
        return _resized(logits, padded.shape[-2:])[..., :height, :width]


def _resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    return functional.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
