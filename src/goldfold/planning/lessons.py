"""Distillation: the teachers of each student, as models and rounds. Plain data, for the grid and the checks of a config."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from goldfold.planning.origins import Origin

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
        made: models that are made from the weights of others, so that they know what these have learned.
    """

    wanted: Mapping[Place, str]
    trained: Sequence[Collection[str]]
    weighted: Collection[str]
    made: Mapping[str, Origin] = field(default_factory=dict)

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
        """Models that learn from, or are made of, each other in a circle, each circle once, from its first student on."""
        for student in sorted(self.wanted):
            chain = self._back_to(student, [student])
            if chain and student == min(place for place in chain if place in self.wanted):
                yield chain

    def _back_to(self, student: Place, chain: list[Place]) -> list[Place]:
        """A chain of teachers and sources from a student to itself; empty if there is none."""
        for following in self._above(chain[-1]):
            if following == student:
                return chain
            if following not in chain and (found := self._back_to(student, [*chain, following])):
                return found
        return []

    def _latest(self, name: str, number: int) -> tuple[Place, ...]:
        """The last round up to ``number`` that trains a model; empty if there is none."""
        rounds = [place for place in range(number + 1) if name in self.trained[place]]
        return ((name, rounds[-1]),) if rounds else ()

    def _above(self, place: Place) -> list[Place]:
        """Places of the same round that a model is made from, or learns from by name."""
        name, number = place
        if name in self.made:
            found = [one for source in self.made[name].of for one in self._latest(source, number)]
        else:
            found = [*self.teachers(place)] if self.wanted.get(place, ENSEMBLE) != ENSEMBLE else []
        return [one for one in found if one[1] == number]

    def _learns_from_ensemble(self, place: Place) -> bool:
        """Return whether a model learns from the ensemble in a round, directly or from one that does."""
        seen, rest = set[Place](), [place]
        while rest:
            one = rest.pop()
            if self.wanted.get(one) == ENSEMBLE:
                return True
            seen.add(one)
            rest += [other for other in self._above(one) if other not in seen]
        return False


def lessons_of(
    models: Sequence[Mapping[str, Any]],
    rounds: Sequence[Mapping[str, Any]],
    weighted: Collection[str],
    made: Mapping[str, Origin],
) -> Lessons:
    """Lessons from plain builtins.

    Args:
        models: ``name`` and ``train`` of each model.
        rounds: ``models`` of each round, and ``train`` if it overrides that of the models.
        made: models that are made from the weights of others, and so learn from nobody themselves.
    """
    own = {str(model["name"]): model.get("train") or {} for model in models}
    wanted: dict[Place, str] = {}
    for number, one in enumerate(rounds):
        for name in (name for name in one["models"] if name not in made):
            distill = {**own.get(name, {}), **(one.get("train") or {})}.get("distill")
            if distill:
                wanted[name, number] = str(distill["teacher"])
    return Lessons(wanted, [tuple(one["models"]) for one in rounds], sorted(weighted), made)
