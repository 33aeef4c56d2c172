"""Any network of timm."""

from collections.abc import Sequence
from typing import Any

from torch import nn

from goldfold.runtime.errors import ConfigError


def build(
    backbone: str,
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    pretrained: bool = False,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    **params: Any,
) -> nn.Module:
    """timm network with a new head; ``mean`` and ``std`` of its input are attributes of the result.

    Args:
        backbone: timm's name.
        image_size: (height, width), given to networks whose weights depend on it (ViT, Swin, ...).
        pretrained: load the published weights, from timm's hub or its cache.

    Raises:
        ConfigError: timm has no such network, or its weights are not to be had.
    """
    import timm

    arguments = {"pretrained": pretrained, "num_classes": n_classes, "in_chans": in_channels, **params}
    arguments |= {"drop_rate": dropout} if dropout else {}
    arguments |= {"drop_path_rate": drop_path} if drop_path else {}
    try:
        model = _create(backbone, image_size, arguments)
    except (OSError, ConnectionError) as error:
        raise ConfigError(offline(backbone, error)) from error
    except RuntimeError as error:
        if "Unknown model" not in str(error) and "pretrained" not in str(error).lower():
            raise
        raise ConfigError(f"backbone {backbone!r}: {error}. See timm.list_models(pretrained=True).") from error
    settings = timm.data.resolve_model_data_config(model)
    for name in ("mean", "std"):
        setattr(model, name, _to_channels(settings[name], in_channels))
    return model


def offline(backbone: str, error: Exception) -> str:
    """The one message for weights that are not to be had."""
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return (
        f"pretrained: true, but the weights of {backbone!r} are neither in the local cache nor can they be downloaded "
        f"({reason}). Either run once where the network is up (the weights stay in the cache, HF_HOME says where), or "
        f"give the path of a local .safetensors or .pth file: pretrained: path/to/weights."
    )


def _create(backbone: str, image_size: tuple[int, int], arguments: dict[str, Any]) -> nn.Module:
    """The network, told its input size where it asks for one."""
    import timm

    try:
        model: nn.Module = timm.create_model(backbone, img_size=image_size, **arguments)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
        model = timm.create_model(backbone, **arguments)
    return model


def _to_channels(values: Sequence[float], channels: int) -> tuple[float, ...]:
    return tuple(values) if len(values) == channels else (sum(values) / len(values),) * channels


def input_size(backbone: str) -> tuple[int, int]:
    """Height and width of the images that a timm network was made for, by its own configuration."""
    import timm

    settings = timm.get_pretrained_cfg(backbone)
    if settings is None:
        settings = timm.create_model(backbone, pretrained=False).pretrained_cfg  # a network without published weights
    size = settings["input_size"] if isinstance(settings, dict) else settings.input_size
    return int(size[1]), int(size[2])
