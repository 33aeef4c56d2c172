"""Networks by name."""

import importlib
from collections.abc import Callable
from typing import Any

from torch import nn

from goldfold.models import small_resnet, timm_models
from goldfold.runtime.errors import ConfigError, unknown

MODELS: dict[str, Callable[..., nn.Module]] = {
    "timm": timm_models.build,
    "small_resnet": small_resnet.build,
}


def build(network: str, **params: Any) -> nn.Module:
    """Network by name, or the user's own ``package.module:function``, called with ``params``.

    Raises:
        ConfigError: no such network, or it does not take these parameters.
    """
    builder = _own(network) if ":" in network else MODELS.get(network)
    if builder is None:
        raise unknown("network", network, MODELS)
    try:
        return builder(**params)
    except (TypeError, ValueError, IndexError, AssertionError) as error:
        raise ConfigError(
            f"network {network!r} does not take these parameters: {error}. Correct models[].params."
        ) from error


def _own(name: str) -> Callable[..., nn.Module]:
    module, function = name.split(":", 1)
    try:
        found: Callable[..., nn.Module] = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"network {name!r}: {error}. The module must be importable where the job runs.") from error
    return found
