"""Checks of models for masks: networks whose own loss does not fit."""

from collections.abc import Iterator

from goldfold.catalog import OWN_LOSS
from goldfold.components import name_of
from goldfold.config.models import Model
from goldfold.config.root import Config
from goldfold.targets.class_files import BITS
from goldfold.tasks.facts import Facts


def problems(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of the network of a model, also with training settings of rounds."""
    if task.target != "mask":
        return
    overlaps = config.data.target_settings.get("mask_values") == BITS
    network = name_of(model.network)
    if network in OWN_LOSS:
        if overlaps:
            yield f"network: {network} gives each pixel one class, and these classes may overlap; use another network"
        if model.train.class_weights is not None:
            yield f"train.class_weights: network {network!r} has a loss of its own; remove it"
