"""Networks by name; each module here is a family, with its BUILDERS.

Families are named as text, so that a job neither loads nor depends on the code of networks it does not use.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from goldfold.runtime.errors import ConfigError, unknown

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


def build(network: str, **params: Any) -> nn.Module:
    """Network by name, or the user's own ``package.module:function``, called with ``params``.

    Raises:
        ConfigError: no such network, or it does not take these parameters.
    """
    builder = _own(network) if ":" in network else _ours(network)
    try:
        return builder(**params)
    except (TypeError, ValueError, IndexError, AssertionError) as error:
        raise ConfigError(
            f"network {network!r} does not take these parameters: {error}. Correct models[].params."
        ) from error


def _ours(name: str) -> Callable[..., nn.Module]:
    if name not in MODELS:
        raise unknown("network", name, MODELS)
    found: Callable[..., nn.Module] = importlib.import_module(MODELS[name]).BUILDERS[name]
    return found


def _own(name: str) -> Callable[..., nn.Module]:
    module, function = name.split(":", 1)
    try:
        found: Callable[..., nn.Module] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"network {name!r}: {error}. The module must be importable where the job runs.") from error
    return found
