"""What differs between labels, masks and boxes. A task is one file here and one line in the catalog."""

from collections.abc import Mapping, Sequence
from typing import Any

from goldfold import components
from goldfold.base.errors import ConfigError
from goldfold.catalog import TASKS
from goldfold.tasks.protocol import Task

__all__ = ["Task", "build", "find"]

ASKED = sorted(key for key in {*vars(Task), *Task.__annotations__} if not key.startswith("_") and key != "classes")
"""All that a task's class must have."""


def find(name: str) -> type[Task]:
    """Class of a task by name, or the user's own as ``package.module:Class``.

    Raises:
        ConfigError: no such task.
    """
    found: type[Task] = components.at(components.place(name, TASKS, "task"), f"task {name!r}")
    if lacking := [key for key in ASKED if not hasattr(found, key)]:
        raise ConfigError(f"task {name!r} has no {', '.join(lacking)}; see goldfold.tasks.protocol for what each is.")
    return found


def build(spec: Mapping[str, Any], classes: Sequence[str]) -> Task:
    """Task for these classes.

    Args:
        spec: ``name``, and the task's own settings.
    """
    return find(spec["name"])(classes, **{key: value for key, value in spec.items() if key != "name"})
