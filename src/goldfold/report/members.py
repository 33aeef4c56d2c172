"""Out-of-fold predictions of the members, from the folder of results."""

from pathlib import Path

from goldfold import tasks
from goldfold.members import completed
from goldfold.planning.grid import Grid
from goldfold.predictions.arrays import Arrays, load


def by_member(
    root: Path, plan: Grid, task: tasks.Spec, classes: list[str], external: list[str]
) -> dict[str, dict[int, Arrays]]:
    """Out-of-fold predictions of the last round by fold, of each member with predictions of all folds.

    Those of external members are in one piece, under fold 0.
    """
    found: dict[str, dict[int, Arrays]] = {}
    for member in plan.members:
        paths = {run.fold: root / "predict" / run.folder / "oof.npz" for run in plan.runs_of(member, plan.last)}
        if all(path.exists() for path in paths.values()):
            found[member.name] = {fold: load(path) for fold, path in paths.items()}
    others = {name: load(path) for name in external if (path := root / "external" / name / "oof.npz").exists()}
    if others:
        joined = {name: tasks.output(task, classes).join(list(parts.values())) for name, parts in found.items()}
        whole = completed(tasks.external(task, classes), joined, others)
        found |= {name: {0: whole[name]} for name in others}
    return found
