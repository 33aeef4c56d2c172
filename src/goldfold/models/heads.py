"""Own heads: another pooling and hidden layers, put into a network of any family in place of its own."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from goldfold import components
from goldfold.base.errors import ConfigError
from goldfold.catalog import POOLINGS
from goldfold.models.blocks import Mlp, mlp
from goldfold.models.features import head_of

NO_POOLING = (
    "head.pooling: the network has {n} global poolings over a map, where one is needed: transformers that use a class token and "
    "networks that flatten their maps have none. Remove it; transformers of timm take params: {{global_pool: avg}}."
)
NO_LAST = (
    "head.hidden: the last layer of this network is not known, or not one linear layer; give it get_classifier(), which returns "
    "it, as in networks of timm, or remove hidden"
)


def with_head(network: nn.Module, settings: Mapping[str, Any], n_classes: int) -> nn.Module:
    """Replace the pooling or the last layer of a network, in place.

    The attribute ``head_parts`` of the result names the modules that were put in, ``head_settings`` holds ``settings``.

    Args:
        settings: ``pooling``, as written in the config, and ``hidden`` and ``dropout`` of `goldfold.models.blocks.mlp`, all
            optional.

    Raises:
        ConfigError: the network has no place for them.
    """
    parts = []
    if settings.get("pooling"):
        parts.append(_pool(network, settings["pooling"]))
    if settings.get("hidden"):
        place, n_features = last_layer(network)
        network.set_submodule(place, mlp(n_features, settings["hidden"], n_classes, settings.get("dropout", 0.0)))
        parts.append(place)
    network.head_parts = parts  # type: ignore[assignment]
    network.head_settings = dict(settings)  # type: ignore[assignment]
    return network


def last_layer(network: nn.Module) -> tuple[str, int]:
    """Return the name of the last layer within a network, and the number of features that it takes.

    Raises:
        ConfigError: it is not known, or is not a linear layer or a 1x1 convolution.
    """
    layer = head_of(network)
    place = next((name for name, part in network.named_modules() if part is layer and name), None)
    n_features: Any = getattr(layer, "in_features", None) or getattr(layer, "in_channels", None)
    if place is None or not isinstance(layer, nn.Linear | nn.Conv2d | Mlp) or not isinstance(n_features, int):
        raise ConfigError(NO_LAST)
    return place, n_features


def is_of_head(name: str, network: nn.Module) -> bool:
    """Return whether a parameter, named within ``network``, belongs to a part that `with_head` has put in."""
    parts: list[str] = getattr(network, "head_parts", [])
    return any(name.startswith(f"{part}.") for part in parts)


class Pooled(nn.Module):
    """A pooling of maps (n, channels, h, w) to (n, channels) in place of one of timm's.

    Args:
        pooling: module that pools.
        is_flat: whether the output is (n, channels), not (n, channels, 1, 1) or (n, 1, 1, channels).
        has_channels_last: whether maps are (n, h, w, channels).
    """

    def __init__(self, pooling: nn.Module, is_flat: bool, has_channels_last: bool) -> None:
        super().__init__()
        self.pooling, self.is_flat, self.has_channels_last = pooling, is_flat, has_channels_last

    def forward(self, maps: Tensor) -> Tensor:
        """Return the features of maps."""
        features: Tensor = self.pooling(maps.permute(0, 3, 1, 2) if self.has_channels_last else maps)
        if self.is_flat:
            return features
        return features[:, None, None, :] if self.has_channels_last else features[:, :, None, None]


def _pool(network: nn.Module, written: components.Written) -> str:
    """Replace the global pooling of a network; return its name."""
    from timm.layers import SelectAdaptivePool2d

    found = [
        name for name, part in network.named_modules() if isinstance(part, SelectAdaptivePool2d) and part.pool_type
    ]
    plain = [
        name
        for name, part in network.named_modules()
        if isinstance(part, nn.AdaptiveAvgPool2d) and part.output_size in (1, (1, 1))
    ]
    place = [*found, *(name for name in plain if not any(name.startswith(f"{one}.") for one in found))]
    if len(place) != 1:
        raise ConfigError(NO_POOLING.format(n=len(place)))
    old: Any = network.get_submodule(place[0])
    is_flat = _is_flat(old) if found else False
    pooling = components.load(written, POOLINGS, "pooling")()
    network.set_submodule(place[0], Pooled(pooling, is_flat, _has_channels_last(old)))
    return place[0]


def _is_flat(pool: Any) -> bool:
    """Return whether a pooling of timm returns (n, channels)."""
    return isinstance(pool.flatten, nn.Flatten) or bool(getattr(pool.pool, "flatten", False))


def _has_channels_last(pool: Any) -> bool:
    """Return whether a pooling of timm takes maps (n, h, w, channels)."""
    return tuple(getattr(getattr(pool, "pool", None), "dim", (2, 3))) == (1, 2)
