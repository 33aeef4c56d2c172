"""Members of the ensemble: trained ones, whose predictions are joined from their folds, and external ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from goldfold.base.errors import DataError
from goldfold.ensembling.members import of_folds
from goldfold.planning.full import NOTHING, FullData
from goldfold.planning.grid import Grid
from goldfold.planning.runs import WHOLE, Member, Run
from goldfold.predictions.arrays import Arrays, odd_class, sharing_ids
from goldfold.predictions.finite import load
from goldfold.tasks import optional
from goldfold.tasks.given import is_partial, unknown_classes
from goldfold.tasks.protocol import External, Output

_REMEDY = "Their files are of different lists of images or classes: make those of one of them again."


@dataclass(frozen=True)
class Members:
    """Predictions of all members by name."""

    output: Output
    external: External | None
    """Facet of the task for predictions of other tools."""
    root: Path
    """Folder of <model>/round<r>/fold<k>/seed<s>/{oof,test}.npz."""
    grid: Grid
    settings: Mapping[str, Any]
    """``method`` of fusion and its parameters."""
    workers: int
    others: Mapping[str, Path]
    """Folder of ``oof.npz`` and ``test.npz`` of each external member."""
    full: FullData = NOTHING
    """Runs on all labelled rows, which predict the test images."""
    whole: Path = Path()
    """Folder of <model>/round<r>/full/seed<s>/test.npz of these."""
    silent: Collection[str] = ()
    """Names of the models and external members of weight 0, which are scored but are not in the ensemble."""

    @property
    def names(self) -> list[str]:
        """Names of the members, external ones last."""
        return [*(member.name for member in self.grid.members), *self.others]

    def weights(self, of_models: Mapping[str, float]) -> dict[str, float]:
        """Weight of each member by name, where ``of_models`` has those of models and external members that are not 1."""
        models = {member.name: member.model for member in self.grid.members}
        return {name: float(of_models.get(models.get(name, name), 1.0)) for name in self.names}

    def oof(self, number: int, ids: Sequence[str]) -> dict[str, Arrays]:
        """Out-of-fold predictions of the members after a round, each of exactly these images; external ones vote in all rounds.

        Before the last round, external members that know some of the classes only are left out where no member with a weight
        knows all of them yet.

        Raises:
            DataError: a member predicts other images.
        """
        found = sharing_ids((member.name, self._joined(member, number, ids)) for member in self.grid.voting(number))
        others, silent = self._others("oof"), self._silent
        if number != self.grid.last and not _knowing_all(found, others, silent):
            others = {name: arrays for name, arrays in others.items() if not is_partial(arrays)}
        return completed(self.external, found, others, silent)

    def of_split(self, split: str) -> dict[str, Arrays]:
        """Predictions of ``test`` or ``holdout`` after the last round: those of trained members are the mean over their folds, or
        over the networks that are trained on all rows, or over both."""
        found = sharing_ids((member.name, self._fused(member, split)) for member in self.grid.members)
        return completed(self.external, found, self._others(split), self._silent)

    @property
    def _silent(self) -> set[str]:
        """Names of the members of weight 0."""
        return {*self.silent} | {member.name for member in self.grid.members if member.model in self.silent}

    def _fused(self, member: Member, split: str) -> Arrays:
        parts = [load(self._folder(run) / f"{split}.npz") for run in self.full.tested(self.grid, member)]
        return of_folds(self.output, parts, self.settings, self.workers)

    def _joined(self, member: Member, number: int, ids: Sequence[str]) -> Arrays:
        joined = self.output.join(self._parts(member, number, "oof"))
        if odd := set(joined["ids"].tolist()) ^ set(ids):
            raise DataError(
                f"{member.model} seed {member.seed} round {number}: out-of-fold predictions and training images differ, "
                f"e.g. {min(odd)!r}"
            )
        return joined

    def _parts(self, member: Member, number: int, part: str) -> list[Arrays]:
        return [load(self._folder(run) / f"{part}.npz") for run in self.grid.runs_of(member, number)]

    def _folder(self, run: Run) -> Path:
        return (self.whole if run.fold == WHOLE else self.root) / run.folder

    def _others(self, part: str) -> dict[str, Arrays]:
        return {name: load(folder / f"{part}.npz") for name, folder in self.others.items()}


def completed(
    facet: External | None, found: Mapping[str, Arrays], others: Mapping[str, Arrays], silent: Collection[str] = ()
) -> dict[str, Arrays]:
    """Return trained and external members by name; classes that one of these does not know are filled in from the others.

    Args:
        facet: facet of the task for predictions of other tools.
        found: trained members.
        silent: names of members of weight 0, from which nothing is filled in: they are not in the ensemble.

    Raises:
        DataError: a member does not know all classes, and no other member with a weight does; or two members have other
            images or classes.
    """
    _refuse_unlike({**found, **others})
    partial = [name for name, arrays in others.items() if is_partial(arrays)]
    if not partial:
        return {**found, **others}
    whole = _knowing_all(found, others, silent)
    if facet is None or not whole:
        lacking = ", ".join(map(repr, unknown_classes(others[partial[0]])[:5]))
        raise DataError(
            f"external member {partial[0]} does not know all classes (not {lacking}), and no member with a weight above 0 does, "
            f"from which they could be filled in. Give a member that knows all classes a weight, or remove {partial[0]}."
        )
    return {**found, **others, **{name: optional.completed(facet, others[name], whole) for name in partial}}


def _knowing_all(found: Mapping[str, Arrays], others: Mapping[str, Arrays], silent: Collection[str]) -> list[Arrays]:
    """Return the predictions of the members with a weight that know all classes, as trained ones do."""
    whole = {**found, **{name: arrays for name, arrays in others.items() if not is_partial(arrays)}}
    return [arrays for name, arrays in whole.items() if name not in silent]


def _refuse_unlike(members: Mapping[str, Arrays]) -> None:
    """Refuse members that predict other images, or other classes, than the first."""
    first, ids, classes = "", np.zeros(0, str), np.zeros(0, str)
    for name, arrays in members.items():
        if not first:
            first, ids, classes = name, np.sort(arrays["ids"]), arrays["classes"]
        elif odd := odd_class(arrays["classes"].tolist(), classes.tolist()):
            raise DataError(f"members {first} and {name} predict other classes: {name} {odd}. {_REMEDY}")
        elif arrays["ids"] is not members[first]["ids"] and not np.array_equal(np.sort(arrays["ids"]), ids):
            odd = min(set(ids.tolist()) ^ set(arrays["ids"].tolist()), default="")
            raise DataError(f"members {first} and {name} predict other images, e.g. {odd!r}. {_REMEDY}")
