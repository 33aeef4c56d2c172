"""One prediction of a member's folds, and of members: what the stage ensemble and a bundle do alike."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from goldfold.ensembling.voters import voters


class Fuses(Protocol):
    """The part of a task that fuses, see `goldfold.tasks.protocol.Output`."""

    def fuse(self, members: Sequence[Any], weights: Sequence[float], workers: int = 1, **settings: Any) -> Any:
        """One prediction of several of the same images."""


def of_folds(task: Fuses, parts: Sequence[Any], settings: Mapping[str, Any], workers: int) -> Any:
    """Mean over the folds' networks of one member: by the task's plain way, whatever the method of the ensemble."""
    return task.fuse(
        parts, [1.0] * len(parts), workers, **{key: value for key, value in settings.items() if key != "method"}
    )


def of_members(
    task: Fuses, members: Sequence[Any], weights: Sequence[float], settings: Mapping[str, Any], workers: int
) -> Any:
    """One prediction of the members that have a weight, by ``settings``: ``method`` and its parameters."""
    return task.fuse(*voters(members, weights), workers, **settings)
