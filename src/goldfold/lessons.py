"""Distillation: the teachers of each student, as models and rounds. Plain data, for the grid and the checks of a config."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ENSEMBLE = "ensemble"
"""Name of the teacher that is all models with a weight."""
Place = tuple[str, int]
"""A model, and a round that trains it."""


@dataclass(frozen=True)
class Lessons:
    """Who learns from whom.

    Args:
        wanted: student -> its teacher: the name of a model, or `ENSEMBLE`.
        trained: models that each round trains.
        weighted: models with a weight in the ensemble.
    """

    wanted: Mapping[Place, str]
    trained: Sequence[Collection[str]]
    weighted: Collection[str]

    def teachers(self, student: Place) -> tuple[Place, ...]:
        """Models and rounds whose weights teach a student, sorted; empty without a teacher.

        Another model teaches with its latest weights up to the student's round, the model itself with those of an earlier
        round. In an ensemble, models that learn from an ensemble in the same round teach with earlier weights too.
        """
        name, number = student
        wanted = self.wanted.get(student)
        if wanted is None:
            return ()
        if wanted != ENSEMBLE:
            return self._latest(wanted, number - (wanted == name))
        found = (self._latest(model, number - self._learns_from_ensemble((model, number))) for model in self.weighted)
        return tuple(sorted(place for places in found for place in places))

    def circles(self) -> Iterator[list[Place]]:
        """Students that learn from each other in a circle, each circle once, from its first name on."""
        for student in sorted(self.wanted):
            chain = [student]
            while (following := self._next(chain[-1])) is not None and following not in chain:
                chain.append(following)
            if following == student and student == min(chain):
                yield chain

    def _latest(self, name: str, number: int) -> tuple[Place, ...]:
        """The last round up to ``number`` that trains a model; empty if there is none."""
        rounds = [place for place in range(number + 1) if name in self.trained[place]]
        return ((name, rounds[-1]),) if rounds else ()

    def _next(self, student: Place) -> Place | None:
        """The named teacher of a student, if it is itself a student of the same round."""
        if self.wanted.get(student, ENSEMBLE) == ENSEMBLE:
            return None
        found = self.teachers(student)
        return found[0] if found and found[0][1] == student[1] and found[0] in self.wanted else None

    def _learns_from_ensemble(self, student: Place) -> bool:
        """Return whether a model learns from the ensemble in a round, directly or from one that does."""
        seen: list[Place] = []
        place: Place | None = student
        while place is not None and place not in seen:
            if self.wanted.get(place) == ENSEMBLE:
                return True
            seen.append(place)
            place = self._next(place)
        return False


def lessons_of(
    models: Sequence[Mapping[str, Any]], rounds: Sequence[Mapping[str, Any]], weighted: Collection[str]
) -> Lessons:
    """Lessons from plain builtins.

    Args:
        models: ``name`` and ``train`` of each model.
        rounds: ``models`` of each round, and ``train`` if it overrides that of the models.
    """
    own = {str(model["name"]): model.get("train") or {} for model in models}
    wanted: dict[Place, str] = {}
    for number, one in enumerate(rounds):
        for name in one["models"]:
            distill = {**own.get(name, {}), **(one.get("train") or {})}.get("distill")
            if distill:
                wanted[name, number] = str(distill["teacher"])
    return Lessons(wanted, [tuple(one["models"]) for one in rounds], sorted(weighted))
