"""Networks by name; each module here is a family, with its BUILDERS.

Families are named as text, so that a job neither loads nor depends on the code of networks it does not use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from goldfold.runtime.errors import ConfigError, GoldfoldError, NotBuiltError, cause, unknown

if TYPE_CHECKING:
    from torch import nn

SMP = ("unet", "unetplusplus", "fpn", "linknet", "manet", "pan", "pspnet", "deeplabv3", "deeplabv3plus", "segformer",
       "upernet", "dpt")  # fmt: skip
MODELS: dict[str, str] = {
    "timm": "goldfold.models.timm_models",
    "small_resnet": "goldfold.models.small_resnet",
    **dict.fromkeys(SMP, "goldfold.models.smp_models"),
    **dict.fromkeys(("fcos", "retinanet", "faster_rcnn"), "goldfold.models.detectors"),
}


def build(network: str, pretrained: bool | str = False, partly_pretrained: bool = False, **params: Any) -> nn.Module:
    """Network by name, or the user's own ``package.module:function``, called with ``params``.

    Args:
        pretrained: whether to load published weights; or the path of a file of weights.
        partly_pretrained: whether more than the head may stay new where the file has nothing for it.

    Raises:
        ConfigError: no such network, or it does not take these parameters, or the weights are not to be had.
    """
    if isinstance(pretrained, str):
        start_from = importlib.import_module("goldfold.models.pretrained").start_from  # the Snakefile loads no torch
        started: nn.Module = start_from(pretrained, partial(_built, network), params, partly_pretrained)
        return started
    return _built(network, **params, **({"pretrained": True} if pretrained else {}))


def _built(network: str, **params: Any) -> nn.Module:
    builder = _own(network) if ":" in network else _ours(network)
    try:
        return builder(**params)
    except GoldfoldError:
        raise
    except Exception as error:
        if "OutOfMemory" in type(error).__name__:
            raise
        raise NotBuiltError(_refusal(network, params, error)) from error


def _refusal(network: str, params: Mapping[str, Any], error: Exception) -> str:
    """Says why a network cannot be built, and for what it was."""
    size, backbone = params.get("image_size", ()), params.get("backbone")
    asked = [f"backbone {backbone!r}"] * bool(backbone) + [f"images of {' x '.join(map(str, size))} pixels"] * bool(
        size
    )
    return (
        f"network {network!r} does not take these parameters: {cause(error)}"
        f"{' (' * bool(asked)}{', '.join(asked)}{')' * bool(asked)}. Correct models[].params."
    )


def _ours(name: str) -> Callable[..., nn.Module]:
    if name not in MODELS:
        raise unknown("network", name, MODELS)
    found: Callable[..., nn.Module] = importlib.import_module(MODELS[name]).BUILDERS[name]
    return found


def _own(name: str) -> Callable[..., nn.Module]:
    module, function = name.split(":", 1)
    try:
        found: Callable[..., nn.Module] = getattr(importlib.import_module(module), function)
    except GoldfoldError:
        raise
    except Exception as error:  # a user's own module raises whatever comes
        raise ConfigError(
            f"network {name!r}: {cause(error)}. The module must be importable where the job runs."
        ) from error
    return found
