"""Networks of segmentation_models_pytorch on any timm backbone: one value per pixel and class."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from goldfold.base.errors import ConfigError, SizeError, cause
from goldfold.models.deep import supervised
from goldfold.models.timm_models import (
    Pretrained,
    check_drop_path,
    create_sized,
    feature_strides,
    readable_errors,
    trim,
    weights_from,
    with_statistics,
)

ARCHITECTURES: dict[str, str] = {
    "unet": "Unet",
    "unetplusplus": "UnetPlusPlus",
    "fpn": "FPN",
    "linknet": "Linknet",
    "manet": "MAnet",
    "pan": "PAN",
    "pspnet": "PSPNet",
    "deeplabv3": "DeepLabV3",
    "deeplabv3plus": "DeepLabV3Plus",
    "segformer": "Segformer",
    "upernet": "UPerNet",
    "dpt": "DPT",
}
"""Class of segmentation_models_pytorch by name."""
DROPOUT: dict[str, str] = {
    "fpn": "decoder_dropout",
    "pspnet": "psp_dropout",
    "deeplabv3": "decoder_aspp_dropout",
    "deeplabv3plus": "decoder_aspp_dropout",
}
"""Name of the dropout parameter by decoder; the other decoders have no dropout."""
DPT_STRIDE = 32
"""DPT resizes its features between strides 4 and 32, whatever the stride of the backbone."""


def build(
    architecture: str,
    backbone: str,
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    pretrained: Pretrained = False,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    deep_supervision: bool | list[float] = False,
    **params: Any,
) -> nn.Module:
    """Build a segmentation network with logits (batch, n_classes, height, width).

    The result has the attributes ``mean`` and ``std`` of its input.

    Args:
        architecture: key of ARCHITECTURES.
        backbone: timm model name.
        n_classes: channels of the output.
        image_size: (height, width), of the input and of the output.
        pretrained: load the published weights of the backbone from timm's hub or cache, or adapt weights given by name.
        dropout: dropout of the decoder; 0 keeps the default of the architecture.
        deep_supervision: true, or weights of the losses of earlier stages of the decoder, see `goldfold.models.deep`.

    Raises:
        ConfigError: the backbone or the image size does not fit, dropout or drop_path is not supported, or the weights
            are not available.
    """
    if architecture == "dpt":
        params = {"decoder_readout": "cat" if _has_prefix_tokens(backbone) else "ignore", **params}
    else:
        feature_strides(backbone)
    ours = {"in_channels": in_channels, "classes": n_classes, **_regularisation(architecture, dropout, drop_path)}
    create = partial(_create, architecture, backbone, image_size, dict(**ours, **params))
    with torch.device("meta"):  # needs no memory, and finds errors before weights are downloaded
        trial = create(pretrained=False)
        _check_size(trial, architecture, backbone, in_channels, image_size)
    check_drop_path(backbone, trial, drop_path)
    model = create(pretrained=pretrained)
    if deep_supervision is not False:
        return with_statistics(supervised(architecture, model, deep_supervision), model.encoder.model, in_channels)
    return with_statistics(model, model.encoder.model, in_channels)


def _regularisation(architecture: str, dropout: float, drop_path: float) -> dict[str, float]:
    """Return the arguments for dropout and drop_path, where not 0."""
    if dropout and architecture not in DROPOUT:
        raise ConfigError(
            f"dropout = {dropout:g}: network {architecture!r} has no dropout; remove it, or use "
            f"{', '.join(sorted(DROPOUT))}"
        )
    arguments = {DROPOUT[architecture]: dropout} if dropout else {}
    return arguments | ({"drop_path_rate": drop_path} if drop_path else {})


def _has_prefix_tokens(backbone: str) -> bool:
    import timm

    with torch.device("meta"), readable_errors(backbone):
        return getattr(timm.create_model(backbone, pretrained=False), "num_prefix_tokens", 0) > 0


def _create(
    architecture: str, backbone: str, image_size: tuple[int, int], arguments: dict[str, Any], pretrained: Pretrained
) -> Any:
    """Build smp's model without the layers whose output is not used."""
    import segmentation_models_pytorch as smp

    source = weights_from(pretrained, backbone)
    made = partial(
        getattr(smp, ARCHITECTURES[architecture]),
        encoder_name=f"tu-{backbone}",
        encoder_weights=source.pop("pretrained") or None,
        **source,
    )
    with readable_errors(backbone):
        model = create_sized(made, image_size, arguments)
    if architecture == "dpt":
        model.encoder.model.prune_intermediate_layers(model.encoder._output_indices, prune_norm=True, prune_head=True)
    else:
        trim(model.encoder.model)
    return model


def _check_size(model: Any, architecture: str, backbone: str, in_channels: int, image_size: tuple[int, int]) -> None:
    """Raise ConfigError unless the network, on the meta device, maps ``image_size`` to ``image_size``."""
    what, size = f"network {architecture!r} on {backbone!r}", _words(image_size)
    stride = math.lcm(model.encoder.output_stride, DPT_STRIDE) if architecture == "dpt" else model.encoder.output_stride
    if model.requires_divisible_input_shape and any(side % stride for side in image_size):
        below = tuple(side // stride * stride for side in image_size)
        above = tuple(math.ceil(side / stride) * stride for side in image_size)
        nearest = " or ".join(_words(near) for near in (below, above) if min(near) > 0)
        raise ConfigError(
            f"image_size_px: {size} is not a multiple of {stride}, the stride of {what}. Nearest: {nearest}."
        )
    try:
        with torch.no_grad():
            output = model.eval()(torch.zeros(1, in_channels, *image_size))
    except (RuntimeError, AssertionError) as error:
        raise SizeError(
            f"image_size_px: {what} does not work at {size} ({cause(error)}). Use larger images, or another network."
        ) from error
    if not isinstance(output, torch.Tensor) or output.shape[-2:] != image_size:
        given = _words(output.shape[-2:]) if isinstance(output, torch.Tensor) else type(output).__name__
        raise ConfigError(f"{what} returns {given} for images of {size}. Correct models[].params (depth, upsampling).")


def _words(size: Sequence[int]) -> str:
    return f"{size[0]}x{size[1]} (height x width)"


unet = partial(build, "unet")
unetplusplus = partial(build, "unetplusplus")
fpn = partial(build, "fpn")
linknet = partial(build, "linknet")
manet = partial(build, "manet")
pan = partial(build, "pan")
pspnet = partial(build, "pspnet")
deeplabv3 = partial(build, "deeplabv3")
deeplabv3plus = partial(build, "deeplabv3plus")
segformer = partial(build, "segformer")
upernet = partial(build, "upernet")
dpt = partial(build, "dpt")
