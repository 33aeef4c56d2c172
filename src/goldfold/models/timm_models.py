"""Any network of timm, and what networks built on a timm backbone share."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

from torch import Tensor, nn

from goldfold.base.errors import ConfigError, cause

M = TypeVar("M", bound=nn.Module)
Pretrained = bool | Mapping[str, Tensor]
"""Whether to load published weights; or weights of a backbone by name, with or without its head."""

MOST_CHANNELS = 8
"""Of images; a first convolution of more takes pixels moved into channels."""
INSTEAD = (
    "Take one with features at strides up to 32, e.g. resnet18, convnext_tiny, mobilenetv4_conv_small; "
    "a vision transformer goes with network: dpt."
)


def build(
    backbone: str,
    n_classes: int,
    in_channels: int,
    image_size: tuple[int, int],
    pretrained: Pretrained = False,
    dropout: float = 0.0,
    drop_path: float = 0.0,
    **params: Any,
) -> nn.Module:
    """timm network with a new head; ``mean`` and ``std`` of its input are attributes of the result.

    Args:
        backbone: timm's name.
        image_size: (height, width), given to networks whose weights depend on it (ViT, Swin, ...).
        pretrained: load the published weights, from timm's hub or its cache, or adapt these weights, by name.

    Raises:
        ConfigError: timm has no such network, or its weights are not to be had.
    """
    import timm

    arguments = {**weights_from(pretrained, backbone), "num_classes": n_classes, "in_chans": in_channels, **params}
    arguments |= {"drop_rate": dropout} if dropout else {}
    arguments |= {"drop_path_rate": drop_path} if drop_path else {}
    with explained(backbone):
        model = told_size(partial(timm.create_model, backbone), image_size, arguments)
    return with_statistics(model, model, in_channels)


def weights_from(pretrained: Pretrained, backbone: str) -> dict[str, Any]:
    """Arguments of timm.create_model that say where weights come from.

    Weights by name go the way of the published ones: timm's filter of the family renames them and resamples position
    embeddings, the first convolution is adapted to the channels, and the head is left out.
    """
    import timm

    if isinstance(pretrained, bool):
        return {"pretrained": pretrained}
    settings = timm.get_pretrained_cfg(backbone)
    first = getattr(settings, "first_conv", None) or ()
    names = (first,) if isinstance(first, str) else first
    shapes = [pretrained[f"{name}.weight"].shape for name in names if f"{name}.weight" in pretrained]
    channels = next((shape[1] for shape in shapes if len(shape) == 4 and shape[1] <= MOST_CHANNELS), 3)
    size = getattr(settings, "input_size", None) or (3, 224, 224)
    overlay = {"state_dict": dict(pretrained), "source": "", "num_classes": -1, "input_size": (channels, *size[1:])}
    return {"pretrained": True, "pretrained_cfg_overlay": overlay}


@contextmanager
def explained(backbone: str) -> Iterator[None]:
    """Within the block, what timm says of an unknown backbone or of lacking weights becomes a ConfigError."""
    try:
        yield
    except (OSError, ConnectionError) as error:
        raise ConfigError(offline(backbone, error)) from error
    except RuntimeError as error:
        if "Unknown model" not in str(error) and "pretrained" not in str(error).lower():
            raise
        raise ConfigError(f"backbone {backbone!r}: {error}. See timm.list_models(pretrained=True).") from error


def told_size(create: Callable[..., M], image_size: tuple[int, int], arguments: dict[str, Any]) -> M:
    """What ``create`` makes of ``arguments``, told its input size where it asks for one."""
    try:
        return create(img_size=image_size, **arguments)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
    return create(**arguments)


def with_statistics(model: M, backbone: nn.Module, channels: int) -> M:
    """``model`` with ``mean`` and ``std``, the statistics of the images that ``backbone`` was made for."""
    import timm

    settings = timm.data.resolve_model_data_config(backbone)
    for name in ("mean", "std"):
        setattr(model, name, _to_channels(settings[name], channels))
    return model


def feature_strides(backbone: str) -> list[int]:
    """Strides at which a backbone gives features, finest first.

    Raises:
        ConfigError: it gives none, or all at one stride.
    """
    import timm
    import torch

    try:
        with torch.device("meta"), explained(backbone):
            info = timm.create_model(backbone, pretrained=False, features_only=True).feature_info
    except (RuntimeError, ValueError, AttributeError, KeyError, TypeError, AssertionError) as error:
        raise ConfigError(f"backbone {backbone!r} gives no features ({cause(error)}). {INSTEAD}") from error
    found = [int(stride) for stride in info.reduction()]
    if any(later <= earlier for earlier, later in pairwise(found)):
        raise ConfigError(f"backbone {backbone!r} gives features at the strides {found}, not at finer ones. {INSTEAD}")
    return found


def trim(features: nn.Module) -> None:
    """Cut off the stages behind the last one asked for, which timm's EfficientNets and MobileNets would compute too."""
    stages, blocks = getattr(features, "_stage_out_idx", None), getattr(features, "blocks", None)
    if stages and isinstance(blocks, nn.Sequential) and getattr(features, "feature_hooks", None) is None:
        features.blocks = blocks[: max(stages)]


def check_drop_path(backbone: str, model: nn.Module, drop_path: float) -> None:
    """Raise ConfigError where ``drop_path`` was asked for and no layer of ``model`` has it."""
    if drop_path and not any(getattr(module, "drop_prob", None) for module in model.modules()):
        raise ConfigError(f"drop_path = {drop_path:g}: backbone {backbone!r} has none; remove it")


def offline(backbone: str, error: Exception) -> str:
    """The one message for weights that are not to be had."""
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return (
        f"pretrained: true, but the weights of {backbone!r} are neither in the local cache nor can they be downloaded "
        f"({reason}). Either run once where the network is up (the weights stay in the cache, HF_HOME says where), or "
        f"give the path of a local .safetensors or .pth file: pretrained: path/to/weights."
    )


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
