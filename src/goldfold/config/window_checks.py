"""Checks of windows of large images."""

from collections.abc import Iterator

from goldfold.catalog import TASKS
from goldfold.config.models import Model
from goldfold.config.root import Config
from goldfold.tasks import facts
from goldfold.tasks.facts import Facts

PARTS = ("sizes", "fixmatch", "distill", "generated", "auxiliary")
"""Training settings that need whole images at one size."""
WHY = {
    "sizes": "a window has one size, and scale changes that of the objects in it",
    "fixmatch": "unlabelled images would be shown whole",
    "distill": "a teacher's predictions would be of whole images",
    "generated": "generated images have the size of the network",
    "auxiliary": "a window does not show what the target says of the whole image",
}


def window_problems(model: Model, config: Config, task: Facts) -> Iterator[str]:
    """Problems of `windows` of a model with its task, and with how its images are prepared."""
    if model.windows is None:
        return
    if not task.in_windows:
        able = ", ".join(name for name in TASKS if facts(name).in_windows)
        yield f"windows: task {config.task!r} needs whole images; remove it (predicted in parts: {able})"
        return
    if model.resize != "squash":
        yield f"windows: images keep their shape, so resize: {model.resize} has no effect; remove it"
    if model.interpolation != "area":
        yield f"windows: scale averages areas, so interpolation: {model.interpolation} has no effect; remove it"
    if model.cache_image_size_px is not None:
        yield "windows: images are cached at their own size, so cache_image_size_px has no effect; remove it"
    if config.batch_norm == "adapted":
        yield "windows: batch_norm: adapted takes its statistics of whole images; set batch_norm: trained"


def window_training_problems(model: Model) -> Iterator[str]:
    """Problems of `windows` with training settings, also those of rounds."""
    if model.windows is None:
        return
    for key in PARTS:
        if getattr(model.train, key):
            yield f"train.{key}: does not work with windows ({WHY[key]}); remove one of the two"
