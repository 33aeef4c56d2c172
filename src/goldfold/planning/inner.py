"""Inner trainings: cross-validation inside the training part of a fold, which judges its labels without its validation rows.

A cleaning round needs a prediction of each training row of fold k by a network that was trained on neither this row nor a
row that fold k validates. The training part is split into inner parts; for each, a judge is trained on the others
(`inner_train`) and predicts it (`inner_predict`); `clean` compares all predictions of a fold with its labels, and
`pseudo_label` measures the accuracy of each class by them. Judges do not vote and are no members of the grid.
"""

from itertools import chain

from goldfold.base.given import required
from goldfold.planning.grid import Grid
from goldfold.planning.jobs import Job
from goldfold.planning.runs import Cleaning

STAGES = ("inner_train", "inner_predict", "clean")


def parts(n_parts: int) -> list[str]:
    """Names of the inner parts of a fold.

    >>> parts(2)
    ['0of2', '1of2']
    """
    return [f"{number}of{n_parts}" for number in range(n_parts)]


def inner_list(fold: int, part: str) -> str:
    """Name of the list of an inner training: the training rows of the fold, of which one part is validated.

    >>> inner_list(0, "1of3")
    'inner/fold0-1of3.csv'
    """
    return f"inner/fold{fold}-{part}.csv"


def numbers_of_parts(grid: Grid) -> list[int]:
    """Numbers of inner parts that rounds ask for."""
    every = [*(stage.cleaning for stage in grid.rounds), *(stage.measuring for stage in grid.rounds)]
    return sorted({one.folds for one in every if one is not None})


def unused(grid: Grid) -> set[str]:
    """Those of `STAGES` without jobs."""
    has_parts, cleans = bool(numbers_of_parts(grid)), any(stage.cleaning is not None for stage in grid.rounds)
    return {stage for stage in STAGES if not (cleans if stage == "clean" else has_parts)}


def lists(grid: Grid) -> list[str]:
    """Names of the lists of all inner trainings."""
    numbers, folds = numbers_of_parts(grid), range(grid.n_folds)
    return [inner_list(fold, part) for number in numbers for fold in folds for part in parts(number)]


def jobs(grid: Grid, stage: str) -> list[Job]:
    """Jobs of one of `STAGES`; rounds with the same judges share theirs."""
    rounds = [stage.number for stage in grid.rounds if stage.cleaning is not None]
    cleans = [Job("clean", round=number, fold=fold) for number in rounds for fold in range(grid.n_folds)]
    if stage == "clean":
        return cleans
    measured = (measuring_of(grid, stage.number, fold) for stage in grid.rounds for fold in range(grid.n_folds))
    judges = dict.fromkeys(chain(*(above(grid, clean) for clean in cleans), *measured))
    return sorted(judge._replace(stage=stage) for judge in judges)


def above(grid: Grid, job: Job) -> list[Job]:
    """Jobs whose files a job of `STAGES` reads: a prediction that of its training, the cleaning of a fold all predictions of
    its judges, which are of the same fold and of the first seed."""
    if job.stage == "inner_train":
        return []
    if job.stage == "inner_predict":
        return [job._replace(stage="inner_train")]
    return _judges(grid, cleaning_at(grid, job.round), job.fold)


def measuring_of(grid: Grid, number: int, fold: int) -> list[Job]:
    """Jobs whose predictions move the thresholds of the pseudo labels of a round and fold; empty for other thresholds."""
    measuring = grid.rounds[number].measuring
    return [] if measuring is None else _judges(grid, measuring, fold)


def _judges(grid: Grid, cleaning: Cleaning, fold: int) -> list[Job]:
    return [
        Job("inner_predict", model, cleaning.judged_by, fold, grid.seeds[0], part=part)
        for model in cleaning.models
        for part in parts(cleaning.folds)
    ]


def cleaning_of(grid: Grid, train: Job) -> list[Job]:
    """The job that cleans the rows of a training; empty in a round that trains on all labels as given."""
    is_cleaned = grid.rounds[train.round].cleaning is not None
    return [Job("clean", round=train.round, fold=train.fold)] if is_cleaned else []


def cleaning_at(grid: Grid, number: int) -> Cleaning:
    """The cleaning of a round.

    Raises:
        ValueError: the round has none.
    """
    return required(grid.rounds[number].cleaning, f"round {number} has no clean")
