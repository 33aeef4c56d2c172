"""The grid of model x round x fold x seed: members, rounds, training runs and teachers."""

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from goldfold.planning.lessons import Lessons, lessons_of
from goldfold.planning.origins import Origin, origins_of
from goldfold.planning.runs import Cleaning, Labels, Lesson, Member, Round, Run, Start


@dataclass(frozen=True)
class Grid:
    """Models x rounds x folds x seeds; soups and some heads have one run per fold, under the first seed."""

    models: tuple[str, ...]
    rounds: tuple[Round, ...]
    n_folds: int
    seeds: tuple[int, ...]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    """Origins of the models that are not trained, by name."""

    @property
    def last(self) -> int:
        """Number of the last round, whose members form the ensemble."""
        return self.rounds[-1].number

    @property
    def members(self) -> list[Member]:
        """Models x their seeds."""
        return [Member(model, seed) for model in self.models for seed in self.seeds_of(model)]

    def seeds_of(self, model: str) -> tuple[int, ...]:
        """Seeds under which a model has runs: the first for a soup or a head without random numbers, all for any other."""
        origin = self.origins.get(model)
        return self.seeds[:1] if origin and origin.has_one_seed else self.seeds

    def sources(self, run: Run) -> tuple[Run, ...]:
        """Runs whose weights a soup or a snapshot is made from, of the same fold; empty for a run that is trained."""
        origin = self.origins.get(run.model, Origin())
        latest = [(model, self.latest(model, run.round)) for model in origin.of]
        return tuple(
            Run(model, number, run.fold, seed)
            for model, number in latest
            if number is not None
            for seed in (self.seeds_of(model) if origin.is_pooled else (run.seed,))
        )

    def runs(self, rounds: Iterable[int] | None = None, models: Iterable[str] | None = None) -> list[Run]:
        """Runs by model, round, fold and seed: all, or those of some rounds or models."""
        wanted = None if rounds is None else set(rounds)
        return [
            Run(model, stage.number, fold, seed)
            for model in (self.models if models is None else models)
            for stage in self.rounds
            if model in stage.models and (wanted is None or stage.number in wanted)
            for fold, seed in product(range(self.n_folds), self.seeds_of(model))
        ]

    def trained_runs(self) -> list[Run]:
        """Runs that are trained, in the order of `runs`."""
        return [run for run in self.runs() if run.model not in self.origins]

    def latest(self, model: str, number: int) -> int | None:
        """The last round up to ``number`` in which a model is trained; None if there is none."""
        found = [stage.number for stage in self.rounds if stage.number <= number and model in stage.models]
        return found[-1] if found else None

    def voting(self, number: int) -> list[Member]:
        """Members that are trained up to a round."""
        return [member for member in self.members if self.latest(member.model, number) is not None]

    def runs_of(self, member: Member, number: int) -> list[Run]:
        """The latest runs of a member after a round, one per fold."""
        latest = self.latest(member.model, number)
        if latest is None:
            raise ValueError(f"{member.name} is trained in no round up to {number}")
        return [Run(member.model, latest, fold, member.seed) for fold in range(self.n_folds)]

    def final_runs(self) -> list[Run]:
        """Runs whose predictions become the result: the latest runs of every member."""
        return [run for member in self.members for run in self.runs_of(member, self.last)]

    def start(self, run: Run) -> Start | None:
        """The start of a run; None if it starts from scratch."""
        origin = self.rounds[run.round].starts.get(run.model)
        return None if origin is None else Start(run, Run(origin[0], origin[1], run.fold, run.seed))

    def lesson(self, run: Run) -> Lesson | None:
        """The teachers of a run by distillation, with all their seeds; None if it has none."""
        teachers = self.rounds[run.round].lessons.get(run.model, ())
        found = tuple(Run(*place, run.fold, seed) for place in teachers for seed in self.seeds_of(place[0]))
        return Lesson(run, found) if found else None

    def ancestry(self, run: Run) -> Iterator[Run]:
        """A run, the runs whose weights it starts from or is made from, and so on back to the first."""
        yield run
        start = self.start(run)
        for parent in (*self.sources(run), *([start.parent] if start else ())):
            yield from self.ancestry(parent)

    def taught(self, run: Run) -> Iterator[Run]:
        """The teachers of a run and of those that it started from, with their own starts and teachers, each once."""
        teachers = {(labels.round, labels.fold): labels.teachers for labels in self.labels()}
        seen, rest = set[Run](), [run]
        while rest:
            for one in self.ancestry(rest.pop()):
                lesson = self.lesson(one)
                found = (*teachers.get((one.round, one.fold), ()), *(lesson.teachers if lesson else ()))
                new = [run for teacher in dict.fromkeys(found) for run in self.ancestry(teacher) if run not in seen]
                seen.update(new)
                rest += new
                yield from new

    def labels(self) -> Iterator[Labels]:
        """Pseudo labels of every round that has teachers, by round and fold."""
        for stage in self.rounds:
            for fold in range(self.n_folds if stage.teachers else 0):
                members = [Member(model, seed) for model in stage.teachers for seed in self.seeds_of(model)]
                teachers = tuple(self.runs_of(member, stage.taught_by)[fold] for member in members)
                yield Labels(stage.number, fold, teachers, stage.sources)


def grid(
    models: Iterable[str],
    seeds: Iterable[int],
    n_folds: int,
    rounds: int | Sequence[Sequence[str]],
    soups: Iterable[str] = (),
) -> Grid:
    """The grid without teachers and starts.

    Args:
        rounds: models that are trained in each round; a number if every round trains all models.
        soups: models with one run per fold.
    """
    names = tuple(models)
    trained = [names] * rounds if isinstance(rounds, int) else [tuple(of_round) for of_round in rounds]
    numbered = tuple(Round(number, of) for number, of in enumerate(trained))
    return Grid(names, numbered, n_folds, tuple(seeds), {name: Origin() for name in soups})


def rounds_of(settled: Sequence[Mapping[str, Any]], lessons: Lessons, made: Container[str] = ()) -> tuple[Round, ...]:
    """Rounds from plain builtins, see `goldfold.config.rounds.settled`, with the rounds that their models start from.

    Args:
        made: models that are not trained, and so start from no weights.
    """
    found: list[Round] = []
    for number, one in enumerate(settled):
        taught, models = one["teacher"] or {}, tuple(one["models"])
        teachers, sources = tuple(taught.get("models", ())), tuple(taught.get("sources", ()))
        starts = _starts(one["start"], [model for model in models if model not in made], found)
        learns = {name: of for name in models if (of := lessons.teachers((name, number)))}
        inner = _cleaning(one.get("clean")), _measuring(taught.get("adapt"))
        found.append(Round(number, models, teachers, taught.get("round", -1), sources, starts, learns, *inner))
    return tuple(found)


def _cleaning(clean: Mapping[str, Any] | None) -> Cleaning | None:
    return None if clean is None else Cleaning(tuple(clean["models"]), clean["round"], clean["folds"])


def _measuring(adapt: Mapping[str, Any] | None) -> Cleaning | None:
    """Inner trainings of thresholds that accuracy moves; those that counts move need none."""
    return _cleaning(adapt) if adapt and adapt["by"] == "accuracy" else None


def _starts(start: str, models: Iterable[str], earlier: Sequence[Round]) -> dict[str, tuple[str, int]]:
    """Model and round that each of a round's models starts from, see `Round`."""
    if start == "scratch":
        return {}
    origins = {model: model if start == "previous" else start for model in models}
    trained = {name: stage.number for stage in earlier for name in stage.models}
    return {model: (origin, trained[origin]) for model, origin in origins.items()}


def _weights(ensemble: Any) -> dict[str, float]:
    """Given weights of the models; those that are not given are 1."""
    first = ensemble[0] if isinstance(ensemble, list) else {"average": ensemble or {}}
    average = first.get("average") if isinstance(first, dict) else None
    return dict((average or {}).get("weights") or {})


def grid_of(settings: Mapping[str, Any]) -> Grid:
    """The grid from a job's settings: plain builtins, models in the config's order."""
    models, labels = [model["name"] for model in settings["models"]], settings["pseudo_labels"]
    weights = _weights(settings.get("ensemble"))
    teachers = sorted(model for model in models if weights.get(model, 1) > 0)
    teacher = {"models": teachers, "sources": labels.get("sources", ())}
    short = [
        {"models": models, "start": "scratch", "teacher": {**teacher, "round": number - 1} if number else None}
        for number in range(int(labels["rounds"]) + 1)
    ]
    written, origins = settings.get("rounds") or short, origins_of(settings["models"])
    lessons = lessons_of(settings["models"], written, teachers, origins)
    rounds = rounds_of(written, lessons, origins)
    return Grid(tuple(models), rounds, int(settings["folds"]["n_folds"]), tuple(settings["seeds"]), origins)
