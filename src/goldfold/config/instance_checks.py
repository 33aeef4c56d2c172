"""Checks of settings of instances in masks."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from goldfold.targets.class_files import BITS
from goldfold.tasks.facts import Facts

if TYPE_CHECKING:
    from goldfold.config.root import Config

FORMATS = ("auto", "instances")
"""Values of ``submission.format`` for masks."""


def problems(config: "Config", task: Facts) -> Iterator[str]:
    """Problems of the format of submissions, and of true instances that masks cannot list."""
    format = config.submission.format
    if task.target == "mask" and format not in FORMATS:
        yield f"submission.format = {format!r}: allowed with {config.task}: {', '.join(FORMATS)}"
    elif task.target != "mask" and format == "instances" and "format" in task.submission_keys:
        yield f"submission.format = {format!r}: task {config.task!r} predicts no instances; remove it"
    rule = config.data.target_settings.get("mask_values") if task.target == "mask" else None
    source, by_class = getattr(config.data.read_as, "source", ""), getattr(config.data.read_as, "by_class", False)
    lists_classes = (source in ("masks", "tiles") and rule != "nonzero") or (rule == BITS and source != "rle")
    if config.task_params.get("true_instances") == "given" and lists_classes and not by_class:
        yield (
            "task_params.true_instances = 'given': the values of these masks are classes, not instances; set data.mask_values: "
            "nonzero where each value is an object of the one class, or remove it"
        )
