"""What goldfold puts around a network: normalisation on the device, and loading of local weights."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from goldfold.runtime.errors import ConfigError

NEUTRAL = 0.5, 0.25
"""Mean and standard deviation for networks that name none."""

PLACES = ("", "encoder.model.", "model.backbone.body.")
"""Where a network keeps a timm backbone: it is one, or the encoder of smp's, or the body of a detector's pyramid."""


class Normalised(nn.Module):
    """A network that takes images as they are cached; its weights file is all that prediction needs."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, channels: int) -> None:
        super().__init__()
        mean = getattr(network, "mean", None) or (NEUTRAL[0],) * channels
        std = getattr(network, "std", None) or (NEUTRAL[1],) * channels
        self.network = network.to(memory_format=torch.channels_last)
        self.register_buffer("mean", _column(mean))
        self.register_buffer("std", _column(std))

    def forward(self, images: Tensor, *targets: Any) -> Any:
        """Output of the network for images (batch, channels, height, width), uint8 or float, 0..255.

        Args:
            targets: passed on as they are, to networks that make their losses themselves (detectors).
        """
        scaled = images.float().contiguous(memory_format=torch.channels_last) / 255
        return self.network((scaled - self.mean) / self.std, *targets)


def load_weights(model: nn.Module, path: str | Path) -> list[str]:
    """Load a local .safetensors or .pth file into ``model``; a head of another shape stays new.

    Returns:
        Names of the parameters that were left as they are.

    Raises:
        ConfigError: the file is not of this network.
    """
    state = _read(Path(path))
    own = model.state_dict()
    placed = {name: value for prefix in PLACES for key, value in state.items() if (name := prefix + key) in own}
    fitting = {name: value for name, value in placed.items() if own[name].shape == value.shape}
    parameters = {name for name, _ in model.named_parameters()}
    n_fitting, n_wanted = len(parameters & fitting.keys()), min(len(parameters), len(state))
    if not n_fitting or n_fitting < 0.5 * n_wanted:
        raise ConfigError(
            f"pretrained: {path} fits {n_fitting} of {len(parameters)} parameters of this network. Give the weights of "
            f"the same backbone."
        )
    model.load_state_dict(fitting, strict=False)
    return sorted(parameters - fitting.keys())


def _read(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    try:
        state: Any = (
            load_file(path)
            if path.suffix == ".safetensors"
            else torch.load(path, map_location="cpu", weights_only=True)
        )
    except Exception as error:
        raise ConfigError(f"pretrained: {path} cannot be read: {error}") from error
    for key in ("state_dict", "model"):
        state = state[key] if isinstance(state, dict) and isinstance(state.get(key), dict) else state
    if not isinstance(state, dict):
        raise ConfigError(f"pretrained: {path} holds a {type(state).__name__}, not weights by name. Give a state_dict.")
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)}
    return {name.removeprefix("module.").removeprefix("network."): value for name, value in tensors.items()}


def _column(values: Sequence[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).view(1, -1, 1, 1)
