"""Settings that only some tasks have, by the kind of target."""

from collections.abc import Container

from goldfold.catalog import TASKS
from goldfold.tasks import facts


def unless_known(key: str, name: str, targets: Container[str], lacks: str, do: str) -> str:
    """Return the problem of a key that a task does not have; empty if it does.

    >>> unless_known("train.fixmatch", "detection", {"label"}, "has no FixMatch yet", "have")
    "train.fixmatch: task 'detection' has no FixMatch yet; these tasks have: classification. Remove it"

    Args:
        name: name of the task.
        targets: kinds of target with an entry for the key.
        lacks: what is said of a task without it.
        do: verb for the tasks that have it.
    """
    able = [task for task in TASKS if facts(task).target in targets]
    return "" if name in able else f"{key}: task {name!r} {lacks}; these tasks {do}: {', '.join(able)}. Remove it"
