"""Pooled features of a network: the inputs of its last layer, recorded while it runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from torch import Tensor, nn

from goldfold.base.errors import ConfigError

if TYPE_CHECKING:
    from goldfold.cases import Inputs


def head_of(network: nn.Module) -> nn.Module | None:
    """Return the last layer of a network; None if it is not known."""
    network = getattr(network, "module", network)  # within DistributedDataParallel
    if (fusion := getattr(network, "fusion", None)) is not None:
        return fusion.head
    found: Any = getattr(getattr(network, "network", network), "get_classifier", None)
    layer = found() if callable(found) else None
    return layer if isinstance(layer, nn.Module) and not isinstance(layer, nn.Identity) else None


def refuse_headless(network: nn.Module) -> None:
    """Raise ConfigError if the last layer of a network is not known."""
    if head_of(network) is None:
        raise ConfigError(
            "train.distill.features: it is not known where the head of this network begins; give it get_classifier(), which "
            "returns its last layer, as in networks of timm, or remove features"
        )


class Heard:
    """Context that records the features of a network's forward passes."""

    def __init__(self, network: nn.Module) -> None:
        refuse_headless(network)
        self.network = getattr(network, "module", network)
        self.recorded: list[Tensor] = []

    def __enter__(self) -> Self:
        head: Any = head_of(self.network)
        self.hook = head.register_forward_pre_hook(lambda _, inputs: self.recorded.append(inputs[0]))
        return self

    def __exit__(self, *_: object) -> None:
        self.hook.remove()

    def features(self, inputs: Inputs) -> Tensor:
        """Return the features (batch, d) of cases, the mean over their images and over the passes.

        Args:
            inputs: cases of the passes, of which only `Inputs.present` counts.
        """
        passes = [_pooled(one) for one in self.recorded]
        if getattr(self.network, "fusion", None) is None:
            passes = [inputs.mean(one) for one in passes]
        return sum(passes[1:], passes[0]) / len(passes)


def _pooled(features: Tensor) -> Tensor:
    """Features (n, d); those of a convolution as last layer, (n, d, height, width), are averaged over places."""
    if features.dim() not in (2, 4):
        raise ConfigError(
            f"train.distill.features: the inputs of the last layer have the shape {tuple(features.shape)}, not (n, features); "
            f"remove features"
        )
    return features if features.dim() == 2 else features.mean(dim=(2, 3))
