"""What differs between labels, masks and boxes. A task is one file here and one line in TASKS.

The files are named as text, so that a job of one task neither loads nor depends on the code of another.
"""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from goldfold.runtime.errors import ConfigError, GoldfoldError, cause, unknown
from goldfold.tasks.protocol import Task

__all__ = ["TASKS", "Task", "build", "find"]

TASKS: dict[str, str] = {
    "classification": "goldfold.tasks.classification:Classification",
    "multilabel": "goldfold.tasks.multilabel:MultiLabel",
    "regression": "goldfold.tasks.regression:Regression",
    "segmentation": "goldfold.tasks.segmentation:Segmentation",
    "detection": "goldfold.tasks.detection:Detection",
}
ASKED = sorted(key for key in {*vars(Task), *Task.__annotations__} if not key.startswith("_") and key != "classes")
"""All that a task's class must have."""


def find(name: str) -> type[Task]:
    """Class of a task by name, or the user's own as ``package.module:Class``.

    Raises:
        ConfigError: no such task.
    """
    place = TASKS.get(name, name)
    if ":" not in place:
        raise unknown("task", name, TASKS)
    module, kind = place.split(":", 1)
    try:
        found: type[Task] = getattr(importlib.import_module(module), kind)
    except GoldfoldError:
        raise
    except Exception as error:  # a user's own module raises whatever comes
        raise ConfigError(
            f"task {name!r}: {cause(error)}. The module must be importable where the job runs."
        ) from error
    if lacking := [key for key in ASKED if not hasattr(found, key)]:
        raise ConfigError(f"task {name!r} has no {', '.join(lacking)}; see goldfold.tasks.protocol for what each is.")
    return found


def build(spec: Mapping[str, Any], classes: Sequence[str]) -> Task:
    """Task for these classes.

    Args:
        spec: ``name``, and the task's own settings.
    """
    return find(spec["name"])(classes, **{key: value for key, value in spec.items() if key != "name"})
