"""Checks of settings of cases: several images, and metadata."""

from collections.abc import Iterator

from goldfold.catalog import TASKS
from goldfold.config.root import Config
from goldfold.tasks import facts
from goldfold.tasks.facts import Facts


def check_cases(config: Config, task: Facts) -> Iterator[str]:
    """Problems of settings that do not work with cases of several images or with metadata."""
    yield from _cases(config, task)
    yield from _metadata(config, task)


def _cases(config: Config, task: Facts) -> Iterator[str]:
    """Problems of settings that do not work with cases of several images."""
    if not config.data.has_cases:
        return
    key = "data.case_column" if getattr(config.data, "case_column", None) else "data.view_columns"
    if not task.takes_cases:
        yield f"{key}: task {config.task!r} takes cases of one image each; remove it, and give each image its own row"
    if config.data.roi.method == "detector":
        yield (
            f"data.roi.method = 'detector': images are matched with those of the detector one by one, and a row is a case of "
            f"several; use contour or none, or remove {key}"
        )
    elif config.data.roi.method not in ("none", "contour"):
        yield (
            f"data.roi.method = {config.data.roi.method!r}: gives a box per row, and a row is a case of several images; use "
            f"contour or none, or remove {key}"
        )
    if config.data.duplicates == "drop":
        yield f"data.duplicates = 'drop': cases that share an image are not copies of each other; use group, or remove {key}"


def _metadata(config: Config, task: Facts) -> Iterator[str]:
    """Problems of models that take metadata."""
    for index, model in [(index, model) for index, model in enumerate(config.models) if not model.is_made]:
        if model.branch is None:
            continue
        key = f"models[{index}] ({model.name}).metadata"
        if not task.takes_metadata:
            takers = ", ".join(name for name in TASKS if facts(name).takes_metadata)
            yield f"{key}: networks of task {config.task!r} take no metadata; remove it (these tasks do: {takers})"
        elif not config.data.has_metadata:
            has_key = "metadata" in type(config.data).model_fields
            way = "" if has_key else " (source: csv and sources of your own have this key)"
            yield f"{key}: data.metadata names no column; list them there{way}, or remove it"
        elif config.data.has_unlabeled:
            yield f"{key}: the images of data.unlabeled have no metadata; remove one of the two"
