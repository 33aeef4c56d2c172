"""Checks of models for masks: losses and networks that do not fit classes that may overlap, or the number of classes."""

from collections.abc import Iterator

from goldfold.catalog import OWN_LOSS
from goldfold.components import name_of, summed
from goldfold.config.models import Model
from goldfold.config.root import Config
from goldfold.targets.class_files import BITS
from goldfold.tasks.facts import Facts


def problems(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of the network and of the loss of a model, also those of rounds."""
    if task.target != "mask":
        return
    overlaps = config.data.target_settings.get("mask_values") == BITS
    network, classes = name_of(model.network), config.data.named_classes
    if network in OWN_LOSS:
        if overlaps:
            yield f"network: {network} gives each pixel one class, and these classes may overlap; use another network"
        if model.train.class_weights is not None:
            yield f"train.class_weights: network {network!r} has a loss of its own; remove it"
    names = [name_of(part) for part, _ in summed(model.train.loss)] if model.train.loss is not None else []
    if "bce" in names and not overlaps and classes is not None and len(classes) > 1:
        yield "train.loss: bce is for one class, or for classes that may overlap; use ce, whose classes exclude each other"
