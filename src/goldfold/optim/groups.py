"""Parameter groups: which parameters decay, and the scale of each one's learning rate."""

import math
from collections.abc import Mapping
from typing import Any

from torch import nn

from goldfold.base.errors import ConfigError
from goldfold.engine.depth import layers
from goldfold.engine.parts import backbone
from goldfold.optim.freezing import Freeze, first_epochs

NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
Groups = list[dict[str, Any]]


def parameter_groups(
    network: nn.Module,
    weight_decay: float,
    layer_decay: float | None = None,
    lr_scale: Mapping[str, float] | None = None,
    freeze: Freeze = (),
    biases: bool = False,
) -> Groups:
    """Return timm's parameter groups, split by the scale of the learning rate, if there are any, as ``lr_scale``.

    With ``freeze`` they are split by the epoch from which they are trained too, as ``trained_from``, with ``biases`` into
    biases (``is_bias``) and others.

    Norms, biases and what a network names in ``no_weight_decay()`` do not decay, as in timm.

    Args:
        layer_decay: factor of the rate from each layer to the one before it; the last layers have the full rate.
        lr_scale: factor of the rate of the ``backbone``, of its normalisation layers (``norm``) and of the ``head``.
        freeze: what is frozen from which epoch on.

    Raises:
        ConfigError: the network does not say which layers it has, or where its head begins; or it cannot be frozen so.
    """
    from timm.optim import param_groups_weight_decay

    groups: Groups = param_groups_weight_decay(network, weight_decay, no_weight_decay_list=undecayed(network))
    if layer_decay is None and not lr_scale and not freeze and not biases:
        return groups
    names = {id(value): name for name, value in network.named_parameters()}
    scales = dict.fromkeys(names.values(), 1.0)
    for found in (_by_layer(network, layer_decay), _by_part(network, lr_scale)):
        scales |= {name: scales[name] * scale for name, scale in found.items()}
    begins = first_epochs(network, freeze)
    made = [part for group in groups for part in _split(group, names, scales, begins)]
    return [part for group in made for part in _by_bias(group, names)] if biases else made


def undecayed(network: nn.Module) -> set[str]:
    """Return the patterns of the parameters that a network, or a part of it, exempts from weight decay."""
    found = set[str]()
    for place, module in network.named_modules():
        named: Any = getattr(module, "no_weight_decay", None)
        if callable(named):
            found |= {f"{place}.{name}" if place else name for name in named()}
    return found


def _split(
    group: dict[str, Any], names: Mapping[int, str], scales: Mapping[str, float], begins: Mapping[str, int]
) -> Groups:
    """Split a group by scale, smallest first, then by the epoch from which it is trained, if some parameters are frozen."""
    parts: dict[tuple[float, int], list[nn.Parameter]] = {}
    for value in group["params"]:
        name = names[id(value)]
        parts.setdefault((scales[name], begins.get(name, 0)), []).append(value)
    return [
        {**group, "params": parts[scale, epoch], "lr_scale": scale} | ({"trained_from": epoch} if begins else {})
        for scale, epoch in sorted(parts)
    ]


def _by_bias(group: dict[str, Any], names: Mapping[int, str]) -> Groups:
    """Split a group into parameters named ``bias``, those of norms too, and others."""
    found = [(value, names[id(value)].rpartition(".")[2] == "bias") for value in group["params"]]
    parts = {is_bias: [value for value, own in found if own == is_bias] for is_bias in (False, True)}
    return [{**group, "params": params, "is_bias": is_bias} for is_bias, params in parts.items() if params]


def _by_layer(network: nn.Module, decay: float | None) -> dict[str, float]:
    """Scales of the layers of a timm network (BEiT, Bao et al. 2021), which counts them from its input."""
    if decay is None:
        return {}
    found, last = layers(network)
    if found:
        return {name: math.pow(decay, last - layer) for name, layer in found.items()}
    raise ConfigError(
        f"layer_decay = {decay:g}: the network does not say which layers it has; a network of timm does, by group_matcher(). "
        f"Set lr_scale: {{backbone: 0.1}} instead"
    )


def _by_part(network: nn.Module, lr_scale: Mapping[str, float] | None) -> dict[str, float]:
    """Scales of backbone and head."""
    if not lr_scale:
        return {}
    body = backbone(network)
    if not body:
        raise ConfigError(
            "lr_scale: it is not known where the head of this network begins; give it get_classifier(), which returns its "
            "last layer, as in networks of timm"
        )
    parts = {name: "backbone" if name in body else "head" for name, _ in network.named_parameters()}
    if "norm" in lr_scale:
        parts |= dict.fromkeys(body & _norms(network), "norm")
    return {name: lr_scale.get(part, 1.0) for name, part in parts.items()}


def _norms(network: nn.Module) -> set[str]:
    """Names of the parameters of normalisation layers."""
    layers = [place for place, module in network.named_modules() if isinstance(module, NORMS)]
    return {f"{place}.{name}" for place in layers for name, _ in network.get_submodule(place).named_parameters()}
