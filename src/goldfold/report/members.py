"""Out-of-fold predictions of the members, from the folder of results."""

from pathlib import Path
from typing import Any

from goldfold import tasks
from goldfold.base.files import read_json
from goldfold.planning.grid import Grid
from goldfold.predictions.arrays import Arrays, load
from goldfold.report.outside import outside, silent_of


def by_member(
    root: Path, plan: Grid, task: tasks.Spec, classes: list[str], external: list[str], steps: list[Any]
) -> dict[str, dict[int, Arrays]]:
    """Out-of-fold predictions of the last round by fold, of each member with predictions of all folds.

    Those of external members are in one piece, under fold 0.
    """
    found: dict[str, dict[int, Arrays]] = {}
    for member in plan.members:
        paths = {run.fold: root / "predict" / run.folder / "oof.npz" for run in plan.runs_of(member, plan.last)}
        if all(path.exists() for path in paths.values()):
            found[member.name] = {fold: load(path) for fold, path in paths.items()}
    silent = silent_of(read_json(root / "ensemble" / "weights.json")["weights"], steps)
    return {**found, **outside(root, task, classes, external, found, silent)}
