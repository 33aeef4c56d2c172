"""Networks by name; each module here is a family."""

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
    builder = components.load(network, components.every(NETWORKS), "network")
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
