"""Networks of timm, and shared functions of networks on a timm backbone."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import pairwise
from typing import Any, TypeVar

from torch import Tensor, nn

from goldfold.base.errors import ConfigError, cause

M = TypeVar("M", bound=nn.Module)
Pretrained = bool | Mapping[str, Tensor]
"""True to load published weights; or weights of a backbone by name, with or without its head."""

MOST_CHANNELS = 8
"""Maximum channels of images; a first convolution with more takes pixels rearranged into channels."""
INSTEAD = (
    "Use one with features at strides up to 32, e.g. resnet18, convnext_tiny, mobilenetv4_conv_small; "
    "a vision transformer works with network: dpt."
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
    """Build a timm network with a new head.

    The result has the attributes ``mean`` and ``std`` of its input.

    Args:
        backbone: timm model name.
        image_size: (height, width), passed to networks whose weights depend on it (ViT, Swin, ...).
        pretrained: load the published weights from timm's hub or cache, or adapt weights given by name.

    Raises:
        ConfigError: unknown network, or weights that are not available.
    """
    import timm

    arguments = {**weights_from(pretrained, backbone), "num_classes": n_classes, "in_chans": in_channels, **params}
    arguments |= {"drop_rate": dropout} if dropout else {}
    arguments |= {"drop_path_rate": drop_path} if drop_path else {}
    with readable_errors(backbone):
        model = create_sized(partial(timm.create_model, backbone), image_size, arguments)
    return with_statistics(model, model, in_channels)


def weights_from(pretrained: Pretrained, backbone: str) -> dict[str, Any]:
    """Return the arguments of timm.create_model for the source of the weights.

    Weights by name are treated like published ones: timm's filter for the model family renames them and resamples
    position embeddings, the first convolution is adapted to the channels, and the head is dropped.
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
def readable_errors(backbone: str) -> Iterator[None]:
    """Turn timm's errors about an unknown backbone or unavailable weights into a ConfigError."""
    try:
        yield
    except (OSError, ConnectionError) as error:
        raise ConfigError(offline(backbone, error)) from error
    except RuntimeError as error:
        if "Unknown model" not in str(error) and "pretrained" not in str(error).lower():
            raise
        raise ConfigError(f"backbone {backbone!r}: {error}. See timm.list_models(pretrained=True).") from error


def create_sized(create: Callable[..., M], image_size: tuple[int, int], arguments: dict[str, Any]) -> M:
    """Call ``create`` with ``arguments``, and with ``img_size`` if it takes one."""
    try:
        return create(img_size=image_size, **arguments)
    except TypeError as error:
        if "img_size" not in str(error):
            raise
    return create(**arguments)


def with_statistics(model: M, backbone: nn.Module, channels: int) -> M:
    """Set ``mean`` and ``std`` of ``model`` to the image statistics that ``backbone`` was designed for."""
    import timm

    settings = timm.data.resolve_model_data_config(backbone)
    for name in ("mean", "std"):
        setattr(model, name, to_channels(settings[name], channels))
    return model


def feature_strides(backbone: str) -> list[int]:
    """Return the strides of a backbone's features, finest first.

    Raises:
        ConfigError: the backbone has no features, or all at one stride.
    """
    import timm
    import torch

    try:
        with torch.device("meta"), readable_errors(backbone):
            info = timm.create_model(backbone, pretrained=False, features_only=True).feature_info
    except (RuntimeError, ValueError, AttributeError, KeyError, TypeError, AssertionError) as error:
        raise ConfigError(f"backbone {backbone!r} has no features ({cause(error)}). {INSTEAD}") from error
    found = [int(stride) for stride in info.reduction()]
    if any(later <= earlier for earlier, later in pairwise(found)):
        raise ConfigError(f"backbone {backbone!r} has features at strides {found}, not at increasing ones. {INSTEAD}")
    return found


def trim(features: nn.Module) -> None:
    """Remove the stages after the last feature used, which timm's EfficientNets and MobileNets would compute too."""
    stages, blocks = getattr(features, "_stage_out_idx", None), getattr(features, "blocks", None)
    if stages and isinstance(blocks, nn.Sequential) and getattr(features, "feature_hooks", None) is None:
        features.blocks = blocks[: max(stages)]


def check_drop_path(backbone: str, model: nn.Module, drop_path: float) -> None:
    """Raise ConfigError if ``drop_path`` is set and no layer of ``model`` has it."""
    if drop_path and not any(getattr(module, "drop_prob", None) for module in model.modules()):
        raise ConfigError(f"drop_path = {drop_path:g}: backbone {backbone!r} has no drop path; remove it")


def offline(backbone: str, error: Exception) -> str:
    """Return the message for published weights that are not available."""
    reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    return (
        f"pretrained: true, but the weights of {backbone!r} are neither in the local cache nor can they be downloaded "
        f"({reason}). Either run once with internet access (the weights stay in the cache, set by HF_HOME), or give the "
        f"path of a local .safetensors or .pth file: pretrained: path/to/weights."
    )


def to_channels(values: Sequence[float], channels: int) -> tuple[float, ...]:
    """Return a statistic of the pixels per channel; their mean for another number of channels."""
    return tuple(values) if len(values) == channels else (sum(values) / len(values),) * channels


def input_size(backbone: str) -> tuple[int, int]:
    """Return the default input size (height, width) of a timm network, from its configuration."""
    size = _setting(backbone, "input_size")
    return int(size[1]), int(size[2])


def interpolation(backbone: str) -> str:
    """Return the interpolation of a timm network's images, from its configuration: bilinear, bicubic or lanczos."""
    found = str(_setting(backbone, "interpolation"))
    return found if found in ("bilinear", "lanczos") else "bicubic"  # which is timm's own default


def _setting(backbone: str, name: str) -> Any:
    import timm

    settings = timm.get_pretrained_cfg(backbone)
    if settings is None:
        settings = timm.create_model(backbone, pretrained=False).pretrained_cfg  # a network without published weights
    return settings[name] if isinstance(settings, dict) else getattr(settings, name)
