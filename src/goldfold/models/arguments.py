"""From an entry of the config's ``models`` to the arguments of its network."""

from collections.abc import Mapping
from typing import Any

OUR_OWN = frozenset(
    {
        "backbone",
        "drop_path",
        "dropout",
        "image_size",
        "in_channels",
        "metadata_branch",
        "n_classes",
        "network",
        "pretrained",
    }
)
"""Arguments that goldfold sets itself, so that ``params`` may not."""


def arguments(spec: Mapping[str, Any], starts: bool = False) -> dict[str, Any]:
    """Arguments of the network besides classes, channels and image size.

    Args:
        spec: ``params`` and ``backbone``; in training ``dropout`` and ``drop_path`` as well.
        starts: whether weights are loaded to start from, as ``pretrained`` and ``partly_pretrained`` say.

    >>> arguments({"backbone": "resnet18", "params": {"depth": 3}, "dropout": 0.1, "pretrained": True})
    {'depth': 3, 'backbone': 'resnet18', 'dropout': 0.1}
    """
    keys = ("backbone", "dropout", "drop_path", *(("pretrained", "partly_pretrained") if starts else ()))
    return {**spec["params"], **{key: spec[key] for key in keys if spec.get(key)}}
