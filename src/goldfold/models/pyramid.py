"""A timm backbone with features at several strides, and a pyramid of these for detectors."""

import math
from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from goldfold.base.errors import ConfigError
from goldfold.models.timm_models import (
    Pretrained,
    check_drop_path,
    create_sized,
    feature_strides,
    readable_errors,
    trim,
    weights_from,
)

GROUPS = 8
"""Groups of GroupNorm; torchvision's 32, made for 256 channels, would leave one channel per group in a slim network."""
NORM = partial(nn.GroupNorm, GROUPS)


class Pyramid(nn.Module):
    """Backbone and feature pyramid (Lin et al. 2017) with float32 outputs, whose dtype torchvision's anchors take."""

    def __init__(self, body: Any, width: int) -> None:
        from torchvision.ops import FeaturePyramidNetwork

        super().__init__()
        self.body = body
        self.fpn = FeaturePyramidNetwork(body.feature_info.channels(), width, norm_layer=NORM)
        self.out_channels = width

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Return features (batch, out_channels, height, width) per level, finest first."""
        levels = self.fpn(OrderedDict((str(index), level) for index, level in enumerate(maps_of(self.body, images))))
        return {name: level.float() for name, level in levels.items()}


class Stages(nn.Module):
    """Backbone with the features of its stages."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the features of all stages (batch, channels, height, width), finest first."""
        return maps_of(self.model, images)


def maps_of(body: nn.Module, images: Tensor) -> list[Tensor]:
    """Return the features of a backbone of timm or transformers (batch, channels, height, width), finest first."""
    found = body(images)
    maps = getattr(found, "feature_maps", found)  # transformers wraps those of its own backbones
    is_channels_last = getattr(body, "output_fmt", None) == "NHWC"
    return [one.permute(0, 3, 1, 2) if is_channels_last else one for one in maps]


def body(
    backbone: str,
    in_channels: int,
    image_size: tuple[int, int],
    pretrained: Pretrained,
    drop_path: float,
    strides: Sequence[int],
    **params: Any,
) -> nn.Module:
    """Build the backbone up to the coarsest stride, with features at ``strides``.

    Args:
        params: further parameters of the backbone in timm.

    Raises:
        ConfigError: the backbone lacks these strides or drop_path, or its weights are not available.
    """
    import timm

    arguments: dict[str, Any] = {**weights_from(pretrained, backbone), "features_only": True, "in_chans": in_channels}
    arguments |= {"out_indices": indices(backbone, strides), **params}
    arguments |= {"drop_path_rate": drop_path} if drop_path else {}
    height, width = (math.ceil(side / strides[-1]) * strides[-1] for side in image_size)
    with readable_errors(backbone):
        body = create_sized(partial(timm.create_model, backbone), (height, width), arguments)
    check_drop_path(backbone, body, drop_path)
    trim(body)
    return body


def indices(backbone: str, strides: Sequence[int]) -> list[int]:
    """Return the indices of the backbone's features with these strides."""
    if not strides or any(later != 2 * earlier for earlier, later in pairwise(strides)):
        raise ConfigError(f"strides = {list(strides)}: each must be twice the previous, e.g. [8, 16, 32]")
    found = feature_strides(backbone)
    if lacking := [stride for stride in strides if stride not in found]:
        raise ConfigError(f"strides: backbone {backbone!r} has no features at stride {lacking[0]}; available: {found}")
    return [found.index(stride) for stride in strides]


def in_transformers(backbone: str, strides: Sequence[int]) -> dict[str, Any]:
    """Return the configuration of a backbone without weights in transformers, to be replaced by that of `body`."""
    return {
        "model_type": "timm_backbone",
        "backbone": backbone,
        "out_indices": indices(backbone, strides),
        "features_only": True,
        "use_pretrained_backbone": False,
    }
