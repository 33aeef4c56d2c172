"""Fusion over the folds of a member and over members, shared by the stage ensemble and bundles."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from goldfold.ensembling.voters import voters


class Fuses(Protocol):
    """Task facet that fuses, see `goldfold.tasks.protocol.Output`."""

    def fuse(self, members: Sequence[Any], weights: Sequence[float], workers: int = 1, **settings: Any) -> Any:
        """Fuse several predictions for the same images into one."""


def of_folds(task: Fuses, parts: Sequence[Any], settings: Mapping[str, Any], workers: int) -> Any:
    """Average the fold networks of one member by the task's default method, whatever the method of the ensemble."""
    return task.fuse(
        parts, [1.0] * len(parts), workers, **{key: value for key, value in settings.items() if key != "method"}
    )


def of_members(
    task: Fuses, members: Sequence[Any], weights: Sequence[float], settings: Mapping[str, Any], workers: int
) -> Any:
    """Fuse the members with weight above 0 by ``settings``: ``method`` and its parameters."""
    return task.fuse(*voters(members, weights), workers, **settings)
