"""Try, before any job runs, whether a network can start from its weights at another input size."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from goldfold.base.errors import ConfigError, cause
from goldfold.models import build, trial
from goldfold.models.pretrained import listed


def check_start(model: Mapping[str, Any], params: Mapping[str, Any], make: trial.Make) -> None:
    """Load made-up weights of the size that a round starts from, if tensors have other shapes at that size.

    Args:
        model: an entry of `goldfold.config.slices.network_checks`; nothing is tried without ``start_size``.
        params: arguments of the network besides its size.
        make: builds the network for a size.

    Raises:
        ConfigError: a tensor has a shape that cannot be adapted.
    """
    size = tuple(model["size"])
    origin = tuple(model.get("start_size", size))
    if origin == size:
        return
    own, its = (_shapes(make, one) for one in (size, origin))
    odd = sorted(name for name in own if own[name] != its.get(name))
    if odd and (reason := _problem(model, params, make, origin)):
        raise ConfigError(
            f"rounds[].start: its weights were trained at {trial.words(origin)} and do not fit this network at "
            f"{trial.words(size)}, where {listed(odd)} has another shape: {reason}. Start from a model with the same "
            f"image_size_px, or set start: scratch."
        )


def _shapes(make: trial.Make, size: tuple[int, int]) -> dict[str, Any]:
    """Shapes of all tensors by name, found on the meta device if possible."""
    try:
        with torch.device("meta"):
            network = make(size)
    except Exception:  # a network that cannot be built there
        network = make(size)
    return {name: value.shape for name, value in network.state_dict().items()}


def _problem(model: Mapping[str, Any], params: Mapping[str, Any], make: trial.Make, origin: tuple[int, int]) -> str:
    """Reason why weights of another size cannot be adapted; empty if they can."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.safetensors")
        save_file({name: value.contiguous() for name, value in make(origin).state_dict().items()}, path)
        try:
            network = build(model["network"], **params, image_size=tuple(model["size"]), pretrained=path)
        except Exception as error:
            return "it cannot be adapted" if isinstance(error, ConfigError) else cause(error)
    new: list[str] = getattr(network, "new", [])
    return f"{listed(new)} cannot be adapted" if new else ""
