"""Layers and stages of a network by parameter name, counted from its input, as timm groups them (``group_matcher``)."""

import re
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from goldfold.engine.parts import backbone

OTHERS = "\0"
"""Stands for parameters that no layer of a matcher names."""
FIRST_DOT = re.compile(r"^([^.]+)\.")


def layers(network: nn.Module) -> tuple[dict[str, int], int]:
    """Return the layer of each parameter of a backbone, counted from 0, and the number of the last layer, the head's.

    Empty if the network does not say which layers it has.
    """
    found, last, _ = _grouped(network, coarse=False)
    return found, last


def stages(network: nn.Module) -> list[set[str]]:
    """Return the names of the parameters of each stage of the backbone, those of the stem with the first stage.

    Stages are the coarse layers of the network's ``group_matcher``: the stages of a convolutional network, the blocks of a
    plain transformer. What follows the last stage, and the head, is in none. Empty if the network does not say.
    """
    found, _, others = _grouped(network, coarse=True)
    body, by_number = backbone(network), dict[int, set[str]]()
    for name, number in found.items():
        if number != others and name in body:
            by_number.setdefault(max(number, 1), set()).add(name)
    return [by_number[number] for number in sorted(by_number)]


def _grouped(network: nn.Module, coarse: bool) -> tuple[dict[str, int], int, int]:
    """Return the group of each parameter of the first part that tells its groups, the last, and that of what none names."""
    for place, module in network.named_modules():
        names = [name for name, _ in module.named_parameters()]
        if callable(matcher := getattr(module, "group_matcher", None)):
            groups = _groups(names, matcher(coarse=coarse))
            last = max(groups[name] for name in names)
        elif groups := _of_whole(module, names, coarse):
            last = groups[OTHERS]
        else:
            continue
        prefix = f"{place}." if place else ""
        return {f"{prefix}{name}": groups[name] for name in names if name in groups}, last, groups[OTHERS]
    return {}, 0, 0


def _groups(names: Iterable[str], matcher: Any) -> dict[str, int]:
    """Return the number of the group of each name, and of `OTHERS`."""
    from timm.models import group_parameters

    named = SimpleNamespace(named_parameters=lambda: ((name, None) for name in (*names, OTHERS)))
    groups: dict[str, int] = group_parameters(named, matcher, reverse=True)
    return groups


def _of_whole(module: nn.Module, names: list[str], coarse: bool) -> dict[str, int]:
    """Groups of a timm backbone that returns features, whose names differ by an underscore, from those of the whole network."""
    settings: Any = getattr(module, "pretrained_cfg", None)
    architecture = settings.get("architecture") if isinstance(settings, Mapping) else None
    if not architecture:
        return {}
    import timm

    with torch.device("meta"):
        whole = timm.create_model(architecture, pretrained=False)
    if not callable(matcher := getattr(whole, "group_matcher", None)):
        return {}
    groups = _groups([name for name, _ in whole.named_parameters()], matcher(coarse=coarse))
    both = groups | {FIRST_DOT.sub(r"\1_", name): number for name, number in groups.items()}
    return {name: both[name] for name in (*names, OTHERS) if name in both}
