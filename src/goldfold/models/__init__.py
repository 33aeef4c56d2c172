"""Networks by name, with a module per family."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from goldfold import components
from goldfold.base.errors import GoldfoldError, NotBuiltError, cause
from goldfold.catalog import NETWORKS

if TYPE_CHECKING:
    from torch import nn


def build(network: str, pretrained: bool | str = False, partly_pretrained: bool = False, **params: Any) -> nn.Module:
    """Build a network by name, or a user-defined ``package.module:function``, with ``params``.

    Args:
        pretrained: load published weights; or the path of a weight file.
        partly_pretrained: allow parameters besides the head to be missing from the weight file.
        params: of the builder; also ``head_settings`` (see `goldfold.models.heads.with_head`) and ``statistics``, ``mean`` and
            ``std`` of the pixels in place of the network's own.

    Raises:
        ConfigError: unknown network, invalid parameters, or weights that are not available.
    """
    if isinstance(pretrained, str):
        start_from = importlib.import_module("goldfold.models.pretrained").start_from  # the Snakefile loads no torch
        started: nn.Module = start_from(pretrained, partial(_built, network), params, partly_pretrained)
        return started
    return _built(network, **{**params, **({"pretrained": True} if pretrained else {})})


def _built(
    network: str,
    head_settings: Mapping[str, Any] | None = None,
    statistics: Mapping[str, Any] | None = None,
    **params: Any,
) -> nn.Module:
    builder = components.load(network, components.every(NETWORKS), "network")
    try:
        built: nn.Module = builder(**params)
        if head_settings:
            from goldfold.models.heads import with_head  # the Snakefile loads no torch

            built = with_head(built, head_settings, params["n_classes"])
        for name, value in (statistics or {}).items():
            setattr(built, name, value if isinstance(value, list) else [value] * params["in_channels"])
        return built
    except GoldfoldError:
        raise
    except Exception as error:
        if "OutOfMemory" in type(error).__name__:
            raise
        raise NotBuiltError(_refusal(network, params, error)) from error


def _refusal(network: str, params: Mapping[str, Any], error: Exception) -> str:
    """Return the message for a network that cannot be built."""
    size, backbone = params.get("image_size", ()), params.get("backbone")
    given = [f"backbone {backbone!r}"] * bool(backbone) + [f"images of {' x '.join(map(str, size))} pixels"] * bool(
        size
    )
    return (
        f"network {network!r} does not take these parameters: {cause(error)}"
        f"{' (' * bool(given)}{', '.join(given)}{')' * bool(given)}. Correct models[].params."
    )
