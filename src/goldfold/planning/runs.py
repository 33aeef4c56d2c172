"""Runs and rounds: trainings, what they start from and learn from, and the folders of their files."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from goldfold.base.errors import ConfigError

RUN = "{model}/round{round}/fold{fold}/seed{seed}"
"""Folder of a training run, below the folder of a stage."""
FULL = "{model}/round{round}/full/seed{seed}"
"""Folder of a run on all labelled rows, see `goldfold.planning.full`."""
WHOLE = -1
"""Number that stands for the fold of a run on all labelled rows: it trains on the rows of every fold, and validates none."""
RUN_FOLDER = re.compile(r"(?P<model>[^/]+)/round(?P<round>\d+)/(?:fold(?P<fold>\d+)|full)/seed(?P<seed>\d+)$")
LABELS = "round{round}/fold{fold}"
"""Pseudo labels of a fold in a round, below the folder of pseudo labels; also the cleaned rows."""
IMAGES = "{model}/round{round}/fold{fold}"
"""Folder of generated training images, below the folder of the stage; all seeds of a model share them."""
INNER = "{model}/round{round}/fold{fold}/part{part}/seed{seed}"
"""Folder of an inner training, below the folder of a stage, see `goldfold.planning.inner`."""


@dataclass(frozen=True, order=True)
class Member:
    """A model with a seed: one voter of the ensemble."""

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
    """The network of a member on one fold, in one round."""

    model: str
    round: int
    fold: int
    seed: int

    @property
    def folder(self) -> str:
        """Folder, below the folder of a stage.

        >>> Run("unet", 0, 3, 1).folder
        'unet/round0/fold3/seed1'
        >>> Run("unet", 0, WHOLE, 1).folder
        'unet/round0/full/seed1'
        """
        pattern = FULL if self.fold == WHOLE else RUN
        return pattern.format(model=self.model, round=self.round, fold=self.fold, seed=self.seed)

    @property
    def member(self) -> Member:
        """The member that the run trains."""
        return Member(self.model, self.seed)


def run_of(path: str | Path) -> Run:
    """The run that a file belongs to.

    >>> run_of("results/x/predict/unet/round0/fold1/seed0/test.npz")
    Run(model='unet', round=0, fold=1, seed=0)
    """
    found = RUN_FOLDER.search(Path(path).parent.as_posix())
    if found is None:
        raise ValueError(f"{path} is not in the folder of a run: .../{RUN}/<file>")
    fold = WHOLE if found["fold"] is None else int(found["fold"])
    return Run(found["model"], int(found["round"]), fold, int(found["seed"]))


def stage_folder(path: str | Path) -> str:
    """The folder of the stage that wrote a file.

    >>> stage_folder("results/x/predict/unet/round0/fold1/seed0/test.npz")
    'results/x/predict'
    """
    return Path(path).parent.as_posix().removesuffix(f"/{run_of(path).folder}")


@dataclass(frozen=True)
class Cleaning:
    """Inner trainings that judge the training labels of a round, or measure how well its teacher knows each class.

    Args:
        models: names of the models that judge.
        judged_by: round whose training settings they have.
        folds: number of inner parts of the training part of each fold.
    """

    models: tuple[str, ...]
    judged_by: int
    folds: int


@dataclass(frozen=True)
class Round:
    """A round of training.

    Args:
        models: names of the models that are trained in the round.
        teachers: models whose predictions become its labels; empty if it trains on true labels only.
        taught_by: last round whose weights the teachers may use.
        sources: splits whose images are pseudo-labelled.
        starts: model -> model and round whose weights it starts from; a model that is not listed starts from scratch.
        lessons: student -> models and rounds that it learns from by distillation.
        cleaning: how its training labels are judged; None if all are trained on as given.
        measuring: inner trainings that move the thresholds of its pseudo labels; None for none.
    """

    number: int
    models: tuple[str, ...]
    teachers: tuple[str, ...] = ()
    taught_by: int = -1
    sources: tuple[str, ...] = ()
    starts: dict[str, tuple[str, int]] = field(default_factory=dict)
    lessons: dict[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    cleaning: Cleaning | None = None
    measuring: Cleaning | None = None


@dataclass(frozen=True)
class Labels:
    """Pseudo labels of one fold in one round, and the runs whose predictions make them.

    Those for runs on all rows (fold `WHOLE`) come from the runs of all folds: no row is validated.
    """

    round: int
    fold: int
    teachers: tuple[Run, ...]
    sources: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """The path of their file below the folder of pseudo labels, without suffix."""
        return LABELS.format(round=self.round, fold=self.fold)

    def __post_init__(self) -> None:
        """Refuse teachers of other folds: they were trained on the images that this fold validates."""
        for run in self.teachers:
            if self.fold not in (run.fold, WHOLE) or run.round >= self.round:
                raise ConfigError(
                    f"round {self.round}, fold {self.fold}: {run.folder} cannot be a teacher. A teacher must be of an earlier "
                    "round and of the same fold; any other was trained on the labels of the images that this fold validates."
                )


@dataclass(frozen=True)
class Start:
    """A run, and the run whose weights it starts from."""

    run: Run
    parent: Run

    def __post_init__(self) -> None:
        """Refuse weights of another fold: they were trained on the images that this fold validates."""
        run, parent = self.run, self.parent
        if (parent.fold, parent.seed) != (run.fold, run.seed) or parent.round >= run.round:
            raise ConfigError(
                f"{run.folder} cannot start from {parent.folder}. The starting run must be of an earlier round, of the same "
                "fold and seed; one of another fold was trained on the labels of the images that this fold validates."
            )


@dataclass(frozen=True)
class Lesson:
    """A run, and the runs that it learns from by distillation."""

    run: Run
    teachers: tuple[Run, ...]

    def __post_init__(self) -> None:
        """Refuse teachers of other folds: they were trained on the images that this fold validates."""
        for one in self.teachers:
            if one.fold != self.run.fold or one.round + (one.model == self.run.model) > self.run.round:
                raise ConfigError(
                    f"{self.run.folder} cannot learn from {one.folder}. A teacher must be of the same fold, and of an earlier "
                    "round or another model of this one; one of another fold was trained on the images that this fold validates."
                )
