"""The grid of model x round x fold x seed: members, rounds, training runs, and who teaches whom."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from goldfold.base.errors import ConfigError

RUN = "{model}/round{round}/fold{fold}/seed{seed}"
"""Folder of a training run below those of the stages that make it."""
RUN_FOLDER = re.compile(r"(?P<model>[^/]+)/round(?P<round>\d+)/fold(?P<fold>\d+)/seed(?P<seed>\d+)$")
LABELS = "round{round}/fold{fold}"
"""Pseudo labels of a fold in a round, below their folder."""


@dataclass(frozen=True, order=True)
class Member:
    """A model with a seed: what votes in the ensemble."""

    model: str
    seed: int

    @property
    def name(self) -> str:
        """Name in the tables of scores.

        >>> Member("unet", 1).name
        'unet-seed1'
        """
        return f"{self.model}-seed{self.seed}"


@dataclass(frozen=True, order=True)
class Run:
    """One training of a member, on one fold, in one round."""

    model: str
    round: int
    fold: int
    seed: int

    @property
    def folder(self) -> str:
        """Folder below that of a stage.

        >>> Run("unet", 0, 3, 1).folder
        'unet/round0/fold3/seed1'
        """
        return RUN.format(model=self.model, round=self.round, fold=self.fold, seed=self.seed)

    @property
    def member(self) -> Member:
        """The member that it trains."""
        return Member(self.model, self.seed)


def run_of(path: str | Path) -> Run:
    """Run to which a file belongs.

    >>> run_of("results/x/predict/unet/round0/fold1/seed0/test.npz")
    Run(model='unet', round=0, fold=1, seed=0)
    """
    found = RUN_FOLDER.search(Path(path).parent.as_posix())
    if found is None:
        raise ValueError(f"{path} is not in the folder of a run: .../{RUN}/<file>")
    return Run(found["model"], int(found["round"]), int(found["fold"]), int(found["seed"]))


def stage_folder(path: str | Path) -> str:
    """Folder of all runs of the stage that wrote a file.

    >>> stage_folder("results/x/predict/unet/round0/fold1/seed0/test.npz")
    'results/x/predict'
    """
    return Path(path).parent.as_posix().removesuffix(f"/{run_of(path).folder}")


@dataclass(frozen=True)
class Round:
    """A round of training.

    Args:
        models: names of the models that are trained in it.
        teachers: models of the round before whose predictions become its labels; none where it learns from labels alone.
    """

    number: int
    models: tuple[str, ...]
    teachers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Labels:
    """Pseudo labels of one fold in one round, and the runs whose predictions make them."""

    round: int
    fold: int
    teachers: tuple[Run, ...]

    @property
    def folder(self) -> str:
        """Their file below the folder of pseudo labels, without its suffix."""
        return LABELS.format(round=self.round, fold=self.fold)

    def __post_init__(self) -> None:
        """Refuse teachers of other folds: they were trained on the images that this fold validates."""
        for run in self.teachers:
            if run.fold != self.fold or run.round >= self.round:
                raise ConfigError(
                    f"round {self.round}, fold {self.fold}: {run.folder} cannot be a teacher. A teacher is of an earlier "
                    "round and of the same fold; any other has seen the labels of the images that this fold validates."
                )


@dataclass(frozen=True)
class Grid:
    """Models x rounds x folds x seeds."""

    models: tuple[str, ...]
    rounds: tuple[Round, ...]
    n_folds: int
    seeds: tuple[int, ...]

    @property
    def last(self) -> int:
        """Number of the last round, whose members are the ensemble."""
        return self.rounds[-1].number

    @property
    def members(self) -> list[Member]:
        """Models x seeds."""
        return [Member(model, seed) for model in self.models for seed in self.seeds]

    def runs(self, rounds: Iterable[int] | None = None, models: Iterable[str] | None = None) -> list[Run]:
        """Runs by model, round, fold and seed; all, or those of some rounds or models."""
        wanted = None if rounds is None else set(rounds)
        return [
            Run(model, stage.number, fold, seed)
            for model in (self.models if models is None else models)
            for stage in self.rounds
            if model in stage.models and (wanted is None or stage.number in wanted)
            for fold, seed in product(range(self.n_folds), self.seeds)
        ]

    def runs_of(self, member: Member, number: int) -> list[Run]:
        """Runs of a member in one round, one per fold."""
        return [Run(member.model, number, fold, member.seed) for fold in range(self.n_folds)]

    def labels(self) -> Iterator[Labels]:
        """Pseudo labels of every round that has teachers, by round and fold."""
        for stage in self.rounds:
            for fold in range(self.n_folds if stage.teachers else 0):
                places = product(stage.teachers, self.seeds)
                yield Labels(stage.number, fold, tuple(Run(m, stage.number - 1, fold, seed) for m, seed in places))


def grid(
    models: Iterable[str], seeds: Iterable[int], n_folds: int, n_rounds: int, teachers: Iterable[str] = ()
) -> Grid:
    """The grid of a config in which every model is trained in every round.

    Args:
        teachers: models that label images for the next round.
    """
    names, taught_by = tuple(models), tuple(teachers)
    rounds = (Round(number, names, taught_by if number else ()) for number in range(n_rounds))
    return Grid(names, tuple(rounds), n_folds, tuple(seeds))


def grid_of(settings: Mapping[str, Any]) -> Grid:
    """The grid of a config as a job has it: plain builtins, models in the config's order."""
    models = [model["name"] for model in settings["models"]]
    n_rounds = int(settings["pseudo_labels"]["rounds"]) + 1
    return grid(models, settings["seeds"], settings["folds"]["n_folds"], n_rounds, models)
