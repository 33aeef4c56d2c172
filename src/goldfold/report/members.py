"""Out-of-fold predictions of the members, from the folder of results."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from goldfold import tasks
from goldfold.base.files import read_json
from goldfold.base.many import are_many
from goldfold.planning.grid import Grid
from goldfold.predictions.arrays import Arrays, load
from goldfold.report.outside import outside, silent_of

Key = TypeVar("Key")
Value = TypeVar("Value")


class OnAccess(Mapping[Key, Value]):
    """Mapping whose values are made when they are accessed and not kept: tables of many classes take gigabytes together."""

    def __init__(self, keys: Iterable[Key], make: Callable[[Key], Value]) -> None:
        self.keys_held, self.make = list(keys), make

    def __getitem__(self, key: Key) -> Value:
        if key not in self.keys_held:
            raise KeyError(key)
        return self.make(key)

    def __iter__(self) -> Iterator[Key]:
        return iter(self.keys_held)

    def __len__(self) -> int:
        return len(self.keys_held)


def of_each(keys: Iterable[Key], make: Callable[[Key], Value], n_classes: int) -> Mapping[Key, Value]:
    """Make the value of each key; of many classes on access."""
    return OnAccess(keys, make) if are_many(n_classes) else {key: make(key) for key in keys}


def by_member(
    root: Path, plan: Grid, task: tasks.Spec, classes: list[str], external: list[str], steps: list[Any]
) -> dict[str, Mapping[int, Arrays]]:
    """Out-of-fold predictions of the last round by fold, of each member with predictions of all folds.

    Those of external members are in one piece, under fold 0.
    """
    found: dict[str, Mapping[int, Arrays]] = {}
    for member in plan.members:
        paths = {run.fold: root / "predict" / run.folder / "oof.npz" for run in plan.runs_of(member, plan.last)}
        if all(path.exists() for path in paths.values()):
            found[member.name] = of_each(paths, partial(_load, paths), len(classes))
    silent = silent_of(read_json(root / "ensemble" / "weights.json")["weights"], steps)
    return {**found, **outside(root, task, classes, external, found, silent)}


def _load(paths: Mapping[int, Path], fold: int) -> Arrays:
    return load(paths[fold])
