"""What differs between labels, masks and boxes. A task is one file here and one line in TASKS."""

from collections.abc import Callable, Sequence

from goldfold.runtime.errors import unknown
from goldfold.tasks.classification import Classification
from goldfold.tasks.protocol import Task

__all__ = ["TASKS", "Task", "build"]

TASKS: dict[str, Callable[[Sequence[str]], Task]] = {
    "classification": Classification,
}


def build(name: str, classes: Sequence[str]) -> Task:
    """Task by name for these classes."""
    if name not in TASKS:
        raise unknown("task", name, TASKS)
    return TASKS[name](classes)
