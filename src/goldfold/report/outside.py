"""Out-of-fold predictions of external members, as they are in the ensemble."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from goldfold import tasks
from goldfold.members import completed
from goldfold.predictions.arrays import Arrays, load


def outside(
    root: Path,
    task: tasks.Spec,
    classes: list[str],
    external: Sequence[str],
    trained: Mapping[str, Mapping[int, Arrays]],
    silent: Collection[str],
) -> dict[str, Mapping[int, Arrays]]:
    """Return the predictions of external members, all in one piece, under fold 0; classes they do not know are filled in.

    Args:
        root: folder of the results.
        trained: predictions of the other members by fold.
        silent: names of the members of weight 0, from which nothing is filled in.
    """
    others = {name: load(path) for name in external if (path := root / "external" / name / "oof.npz").exists()}
    if not others:
        return {}
    joined = {name: tasks.output(task, classes).join(list(parts.values())) for name, parts in trained.items()}
    whole = completed(tasks.external(task, classes), joined, others, silent)
    return {name: {0: whole[name]} for name in others}


def silent_of(weights: Mapping[str, float], steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the names of the members with a given weight of 0; none if the first step fitted the weights to all members.

    Args:
        weights: weight by member in the ensemble.
        steps: steps of the ensemble with what is ``fitted``, as in ``ensemble/fitted.json``.
    """
    is_fitted = bool(steps) and steps[0]["fitted"] is not None
    return [] if is_fitted else [name for name, weight in weights.items() if not weight]
