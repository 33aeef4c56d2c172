"""Runs on all labelled rows, with what the folds have decided: their predictions of the test images are submitted.

Such a run is a `Run` of the fold `WHOLE`. It is no run of the grid: it validates no rows, so that it has no out-of-fold
prediction and no score. It starts from such a run of an earlier round (`full_train`), and its pseudo labels come from the
networks of all folds (`full_label`). Steps after prediction are fitted on the out-of-fold predictions of the fold networks,
and applied to the mean of the networks that `FullData.tested` lists.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from goldfold.planning.grid import Grid
from goldfold.planning.jobs import FULL_WORK, Job, job_of
from goldfold.planning.runs import WHOLE, Labels, Member, Run

STAGES = tuple(FULL_WORK)
JOIN = "join"
"""Way of testing by the fold networks and those of all rows; otherwise the latter replace the former."""


@dataclass(frozen=True)
class FullData:
    """Models that are trained on all labelled rows.

    Args:
        rounds: model -> round whose training is repeated, the last one that trains it.
        seeds: seeds of these runs.
        test: replace or join: whether they predict the test images instead of the fold networks, or with them.
        frozen: models and rounds that are trained for the number of epochs that the folds have chosen.
    """

    rounds: Mapping[str, int]
    seeds: tuple[int, ...]
    test: str = "replace"
    frozen: tuple[tuple[str, int], ...] = ()

    @property
    def runs(self) -> list[Run]:
        """Runs whose networks predict the test images."""
        return [Run(model, self.rounds[model], WHOLE, seed) for model, seed in product(self.rounds, self.seeds)]

    def of(self, member: Member, seeds: Sequence[int]) -> list[Run]:
        """Runs that predict the test images for one of the members of a model.

        They are dealt to the members, each an equal number of them, so that each network predicts once and the mean over the
        members is that of all networks; if that is not possible, each member gets all.

        Args:
            seeds: seeds of the members of the model.

        >>> full = FullData({"a": 0}, (0, 1, 2, 3))
        >>> [run.seed for run in full.of(Member("a", 7), [5, 7])], [run.seed for run in full.of(Member("a", 5), [5, 6, 7])]
        ([1, 3], [0, 1, 2, 3])
        """
        found = [run for run in self.runs if run.model == member.model]
        return found[seeds.index(member.seed) :: len(seeds)] if len(found) % len(seeds) == 0 else found

    def tested(self, grid: Grid, member: Member) -> list[Run]:
        """Runs over whose networks the test prediction of a member is averaged, each with the same weight."""
        folds, full = grid.runs_of(member, grid.last), self.of(member, grid.seeds_of(member.model))
        return folds if not full else [*folds, *full] if self.test == JOIN else full


NOTHING = FullData({}, ())
"""No runs on all rows."""


def full_of(settings: Mapping[str, Any] | None) -> FullData:
    """Read the runs on all rows from the settings of a job; None: there are none."""
    if settings is None:
        return NOTHING
    return FullData(settings["rounds"], tuple(settings["seeds"]), settings["test"])


def every_run(grid: Grid, full: FullData) -> list[Run]:
    """All runs on all rows, those first whose weights others start from."""
    chains = ([*grid.ancestry(run)][::-1] for run in full.runs)
    return list(dict.fromkeys(run for chain in chains for run in chain))


def labels_of(grid: Grid, number: int) -> Labels | None:
    """Pseudo labels of the runs on all rows in a round, by the teachers of all folds; None in a round without a teacher."""
    of_folds = [labels for labels in grid.labels() if labels.round == number]
    teachers = tuple(run for labels in of_folds for run in labels.teachers)
    return Labels(number, WHOLE, teachers, of_folds[0].sources) if of_folds else None


def jobs(grid: Grid, full: FullData, stage: str) -> list[Job]:
    """Jobs of one of `STAGES`."""
    every = every_run(grid, full)
    if stage == "full_label":
        rounds = sorted({run.round for run in every})
        return [Job(stage, round=number, fold=WHOLE) for number in rounds if labels_of(grid, number)]
    return [job_of(stage, run) for run in (full.runs if stage == "full_predict" else every)]


def above(grid: Grid, full: FullData, job: Job, predicting: Callable[[Iterable[Run]], list[Job]]) -> list[Job]:
    """Jobs whose files a job of `STAGES` reads.

    Args:
        predicting: returns the jobs that predict with some runs.
    """
    labels = labels_of(grid, job.round)
    if job.stage == "full_label":
        return predicting(labels.teachers if labels else ())
    if job.stage == "full_predict":
        return [job._replace(stage="full_train")]
    start = grid.start(job.run)
    return [
        *([Job("full_label", round=job.round, fold=WHOLE)] if labels else []),
        *([job_of("full_train", start.parent)] if start else []),
        *(job_of("train", run) for run in decided_by(grid, full, job)),
    ]


def decided_by(grid: Grid, full: FullData, job: Job) -> list[Run]:
    """Runs whose numbers of epochs decide that of a training on all rows: all folds and seeds of its model and round; empty if
    the config decides it."""
    is_frozen = job.stage == "full_train" and (job.model, job.round) in full.frozen
    return grid.runs([job.round], [job.model]) if is_frozen else []
