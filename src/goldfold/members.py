"""Members of the ensemble: trained ones, whose predictions are joined from their folds, and external ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from goldfold.base.errors import DataError
from goldfold.ensembling.members import of_folds
from goldfold.planning.grid import Grid
from goldfold.planning.runs import Member
from goldfold.predictions.arrays import Arrays, sharing_ids
from goldfold.predictions.finite import load
from goldfold.tasks import optional
from goldfold.tasks.given import is_partial
from goldfold.tasks.protocol import External, Output


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

        Raises:
            DataError: a member predicts other images.
        """
        found = sharing_ids((member.name, self._joined(member, number, ids)) for member in self.grid.voting(number))
        return completed(self.external, found, self._others("oof"))

    def test(self) -> dict[str, Arrays]:
        """Test predictions of the members after the last round: trained ones are the mean over their folds."""
        found = sharing_ids((member.name, self._fused(member)) for member in self.grid.members)
        return completed(self.external, found, self._others("test"))

    def _fused(self, member: Member) -> Arrays:
        return of_folds(self.output, self._parts(member, self.grid.last, "test"), self.settings, self.workers)

    def _joined(self, member: Member, number: int, ids: Sequence[str]) -> Arrays:
        joined = self.output.join(self._parts(member, number, "oof"))
        if odd := set(joined["ids"].tolist()) ^ set(ids):
            raise DataError(
                f"{member.model} seed {member.seed} round {number}: out-of-fold predictions and training images differ, "
                f"e.g. {min(odd)!r}"
            )
        return joined

    def _parts(self, member: Member, number: int, part: str) -> list[Arrays]:
        return [load(self.root / run.folder / f"{part}.npz") for run in self.grid.runs_of(member, number)]

    def _others(self, part: str) -> dict[str, Arrays]:
        return {name: load(folder / f"{part}.npz") for name, folder in self.others.items()}


def completed(facet: External | None, found: Mapping[str, Arrays], others: Mapping[str, Arrays]) -> dict[str, Arrays]:
    """Return trained and external members by name; classes that one of these does not know are filled in from the others.

    Args:
        facet: facet of the task for predictions of other tools.
        found: trained members.

    Raises:
        DataError: a member does not know all classes, and no other member does.
    """
    partial = [name for name, arrays in others.items() if is_partial(arrays)]
    whole = [*found.values(), *(arrays for name, arrays in others.items() if name not in partial)]
    if not partial:
        return {**found, **others}
    if facet is None or not whole:
        raise DataError(f"{partial[0]} does not know all classes, and no member does.")
    return {**found, **others, **{name: optional.completed(facet, others[name], whole) for name in partial}}
