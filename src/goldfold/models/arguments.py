"""Arguments of a network from an entry of the config's ``models``."""

from collections.abc import Mapping
from typing import Any

OUR_OWN = frozenset(
    {
        "backbone",
        "drop_path",
        "dropout",
        "head_settings",
        "image_size",
        "in_channels",
        "metadata_branch",
        "n_classes",
        "network",
        "pretrained",
        "statistics",
        "views",
    }
)
"""Arguments set by goldfold itself, not allowed in ``params``."""


def arguments(spec: Mapping[str, Any], starts: bool = False) -> dict[str, Any]:
    """Return the arguments of the network except classes, channels and image size.

    Args:
        spec: ``params``, ``backbone`` and ``head``; in training also ``dropout``, ``drop_path``, ``mean`` and ``std``, which
            weights of a trained network contain.
        starts: include ``pretrained`` and ``partly_pretrained``, to load the initial weights.

    >>> arguments({"backbone": "resnet18", "params": {"depth": 3}, "dropout": 0.1, "pretrained": True})
    {'depth': 3, 'backbone': 'resnet18', 'dropout': 0.1}
    """
    keys = ("backbone", "dropout", "drop_path", *(("pretrained", "partly_pretrained") if starts else ()))
    statistics = {key: spec[key] for key in ("mean", "std") if spec.get(key) is not None}
    more = {"head_settings": spec.get("head"), "statistics": statistics}
    given = {
        **{key: spec[key] for key in keys if spec.get(key)},
        **{key: value for key, value in more.items() if value},
    }
    return {**spec["params"], **given}
