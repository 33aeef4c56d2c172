"""Checks of the loss of a model and of the settings that change its targets and weights."""

from collections.abc import Iterator, Sequence
from typing import Any

from goldfold.base.errors import ConfigError
from goldfold.catalog import CLASS_WEIGHTS, TASKS
from goldfold.components import HARD_TARGET, label, name_of, place, summed
from goldfold.config import kinds
from goldfold.config.component_checks import as_written, component_problems
from goldfold.config.learning import Train
from goldfold.signatures import read
from goldfold.targets.class_weights import by_name, unknown
from goldfold.tasks.facts import Facts

OF_TASKS = ("loss", "class_weights", "loss_weights", "label_smoothing")
"""Keys of ``train`` that only some tasks use."""
INSTEAD = {
    ("class_weights", "multilabel"): "set task_params.positive_weights, or loss: class_balanced, instead",
    ("loss", "detection"): "detectors have losses of their own, whose parts loss_weights weighs; remove it",
    **{
        ("loss_weights", name): "it is for detectors; weigh parts in loss: {dice: 0.5, ce: 1}"
        for name in TASKS
        if name != "detection"
    },
}
"""Advice for a key that a task does not use."""


def check_loss(settings: Train, name: str, task: Facts, classes: Sequence[str] | None) -> Iterator[str]:
    """Problems of training keys that the task does not use, of the loss and of class weights.

    Args:
        name: name of the task.
        classes: names of the classes, where the config gives them.
    """
    unset = Train()
    for key in OF_TASKS:
        if key not in task.loss_keys and getattr(settings, key) != getattr(unset, key):
            yield f"train.{key}: task {name!r} does not use it; {INSTEAD.get((key, name), 'remove it')}"
    for part, _ in summed(settings.loss) if settings.loss is not None and "loss" in task.loss_keys else []:
        kind = kinds.LOSSES.get(task.target, kinds.OPEN) if name in TASKS else kinds.OPEN
        found = [*component_problems("train.loss", part, kind, task.losses, name)]
        yield from found or _soft_targets(settings, part, task)
    if "class_weights" in task.loss_keys and settings.class_weights is not None:
        yield from _class_weights(settings.class_weights, classes)


def _soft_targets(settings: Train, loss: Any, task: Facts) -> Iterator[str]:
    """Problems of settings that make soft targets, for a loss that takes none."""
    if not is_hard(place(name_of(loss), task.losses, "loss")):
        return
    soft = ", ".join(name for name, where in task.losses.items() if not is_hard(where))
    for written in _softening(settings, task):
        yield (
            f"train.{written}: makes soft targets, but the loss {label(loss)} takes hard ones; remove it, or use a loss "
            f"that takes soft targets: {soft}"
        )


def _softening(settings: Train, task: Facts) -> Iterator[str]:
    """Settings that make soft targets, as written."""
    if settings.label_smoothing:
        yield f"label_smoothing = {settings.label_smoothing:g}"
    if task.target in ("label", "labels"):
        yield from (as_written(mix, settings) for mix in settings.every_mix)


def is_hard(where: str) -> bool:
    """Return whether a loss at ``module:name`` takes no soft targets, as its second parameter says."""
    try:
        return [part.name for part in read(where).parameters[1:2]] == [HARD_TARGET]
    except ConfigError:
        return False


def _class_weights(wanted: Any, classes: Sequence[str] | None) -> Iterator[str]:
    if not by_name(wanted):
        yield from component_problems("train.class_weights", wanted, kinds.CLASS_WEIGHTS, CLASS_WEIGHTS)
    for problem in unknown(wanted, classes) if by_name(wanted) and classes else []:
        yield f"train.class_weights: {problem}"
