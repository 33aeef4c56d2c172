"""Results of a finished run, read from its folder."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import components, tasks
from goldfold.base.files import read_json
from goldfold.ensembling.sets import KEEP_SCORES
from goldfold.images import cases
from goldfold.metrics import Evidence, Metric, Score, score
from goldfold.planning.full import NOTHING, FullData
from goldfold.planning.grid import Grid, grid_of
from goldfold.predictions.arrays import Arrays, load
from goldfold.report import times
from goldfold.report.members import by_member, of_each
from goldfold.splits.checks import read_summary
from goldfold.splits.scored import groups_of, scored, with_groups
from goldfold.tables import read_table
from goldfold.tasks import protocol
from goldfold.tasks.facts import Facts

ENSEMBLE = "ensemble"
"""Name of the ensemble's prediction in the files of scores."""


@dataclass(frozen=True)
class Run:
    """One training run, or soup or snapshot: its place in the grid, its record, and its history by epoch (or its scores)."""

    model: str
    round: int
    fold: int
    seed: int
    record: dict[str, Any]
    history: pd.DataFrame


@dataclass
class Results:
    """Everything that the report is built from."""

    root: Path
    settings: dict[str, Any]
    task: tasks.Spec
    metric: str
    """Name of the metric in the tables."""
    classes: list[str]
    tables: dict[str, pd.DataFrame]
    """Tables of the manifest with folds, by split."""
    fold_summary: pd.DataFrame
    quarantine: pd.DataFrame
    leaderboard: pd.DataFrame
    rounds: pd.DataFrame
    metrics: dict[str, Any]
    ensemble: dict[str, Any]
    """Method and weights."""
    oof: Arrays
    test: Arrays | None
    answers: pd.DataFrame | None
    runs: list[Run]
    """Training runs."""
    pseudo: dict[tuple[int, int], pd.DataFrame]
    """Pseudo labels by round and fold."""
    members: Mapping[str, Mapping[int, Arrays]]
    """Out-of-fold predictions of the last round, by member and fold; empty if no longer on disk."""
    test_groups: dict[str, int] | None = None
    """Findings of `goldfold.splits.groups.compare_groups`; None if test images have no groups."""
    wanted_metric: components.Written | None = None
    """The metric as written in the config, which may have parameters or be user-defined."""
    steps: list[dict[str, Any]] = field(default_factory=list)
    """Steps of the ensemble with their fitted parameters."""
    without_fold: dict[int, list[Any]] = field(default_factory=dict)
    """By fold, the parameters of each step fitted on the other folds; empty if nothing was fitted."""
    made: list[Run] = field(default_factory=list)
    """Soups and snapshots."""
    benchmarks: pd.DataFrame = field(default_factory=pd.DataFrame)
    """One row per job: stage, model (empty for stages without one), seconds, mb."""
    full: FullData = NOTHING
    """Networks that are trained on all rows."""

    @cached_property
    def facts(self) -> Facts:
        """Facts of the task."""
        return tasks.facts(self.task["name"])

    @cached_property
    def target(self) -> protocol.Target:
        """Targets of the task."""
        return tasks.target(self.task, self.classes)

    @cached_property
    def output(self) -> protocol.Output:
        """Predictions of the task."""
        return tasks.output(self.task, self.classes)

    @cached_property
    def scores(self) -> protocol.Score:
        """Scores of the task."""
        return tasks.score(self.task, self.classes)

    @cached_property
    def show(self) -> protocol.Show:
        """Report pages of the task."""
        return tasks.show(self.task, self.classes)

    @cached_property
    def truth(self) -> pd.DataFrame:
        """Training images that are validated in a fold, with labels and folds."""
        return scored(self.tables["train"])

    @property
    def greater_is_better(self) -> bool:
        """A larger value of the metric is better."""
        return self.chosen_metric.greater_is_better

    @property
    def chosen_metric(self) -> Metric:
        """The metric that counts."""
        return self.scores.metric(self.metric if self.wanted_metric is None else self.wanted_metric)

    @property
    def watched_metric(self) -> str:
        """Metric of the validation curves: the metric that counts, or the task's first if trainings did not compute it."""
        return self.metric if all(self.metric in run.history for run in self.runs) else self.facts.reported[0]

    @cached_property
    def evidence(self) -> Evidence:
        """The ensemble's out-of-fold predictions and the truth, in the order of `truth`."""
        return self.scores.evidence(self.oof, self.truth)

    @cached_property
    def member_evidence(self) -> Mapping[str, Evidence]:
        """`evidence` of each member whose predictions are on disk; of many classes, made on each access."""
        return of_each(
            self.members, lambda name: self.scores.evidence(self.joined(name), self.truth), len(self.classes)
        )

    @cached_property
    def test_score(self) -> Score | None:
        """Score on test images with known targets, as in metrics.json; None without any."""
        if self.answers is None or self.test is None:
            return None
        truth = with_groups(self.answers, self.tables.get("test"))
        return score(self.chosen_metric, self.scores.evidence(self.test, truth), groups_of(truth))

    @property
    def optimistic(self) -> dict[str, Any] | None:
        """Score with steps of the ensemble fitted and scored on the same images; None if nothing was fitted."""
        return self.metrics.get("optimistic", {}).get(self.metric)

    @property
    def voters(self) -> list[str]:
        """Members with a weight above 0."""
        return [name for name, weight in self.ensemble["weights"].items() if weight > 0]

    @property
    def is_fitted(self) -> bool:
        """The members are combined by a fitted step, so that those with a weight differ between folds."""
        return bool(self.steps) and self.steps[0]["fitted"] is not None and len(self.ensemble["weights"]) > 1

    @property
    def is_ensemble(self) -> bool:
        """Several members have a weight above 0, or could have one."""
        return len(self.voters) > 1 or self.is_fitted

    @property
    def whole(self) -> str:
        """Noun for what makes the prediction that is scored and submitted."""
        return "ensemble" if self.is_ensemble else "model"

    @property
    def whole_name(self) -> str:
        """Name under which that prediction is listed with the members."""
        if self.is_ensemble or not self.voters:
            return ENSEMBLE
        steps = [one["step"] for one in self.steps[1:]]
        after = " and ".join(components.label(step) for step in steps if components.name_of(step) not in KEEP_SCORES)
        return f"{self.voters[0]} after {after}" if after else self.voters[0]

    def named(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Rows of members and ensemble; an ensemble of one member is listed under that member's name."""
        rows = scores[(scores["member"] != self.whole_name) | (self.whole_name == ENSEMBLE)]
        return rows.replace({"member": {ENSEMBLE: self.whole_name}}).reset_index(drop=True)

    @property
    def left_out(self) -> pd.DataFrame:
        """Rows of the quarantine that are whole images, not single boxes."""
        return self.quarantine[self.quarantine["part"] == "image"] if "part" in self.quarantine else self.quarantine

    @property
    def has_cases(self) -> bool:
        """Rows of the tables are cases, which may have several images."""
        return cases.are_in(self.tables["train"])

    @property
    def row(self) -> str:
        """Noun for one row of the tables: image or case."""
        return cases.word(self.tables["train"])

    @property
    def unit(self) -> str:
        """Plural noun for what `Target.content` counts: images, cases, objects, pixels."""
        return f"{self.row}s" if self.facts.unit == "images" else self.facts.unit

    @cached_property
    def grid(self) -> Grid:
        """Members, rounds and runs."""
        return grid_of(self.settings)

    @property
    def n_rounds(self) -> int:
        """Rounds after the first."""
        return self.grid.last

    @property
    def taught(self) -> list[int]:
        """Numbers of the rounds that train on pseudo labels."""
        return [stage.number for stage in self.grid.rounds if stage.teachers]

    @property
    def models(self) -> list[str]:
        """Names of the models."""
        return [model["name"] for model in self.settings["models"]]

    def joined(self, member: str) -> Arrays:
        """A member's out-of-fold predictions of all training images."""
        return self.output.join(list(self.members[member].values()))


def read(
    root: Path, task: dict[str, Any], metric: components.Written, settings: dict[str, Any], full: FullData = NOTHING
) -> Results:
    """Read the folder of results.

    Only files of models named in the settings are read: those of models removed from the config may still be there.
    """
    plan = grid_of(settings)
    folds, classes = root / "folds", read_json(root / "folds" / "classes.json")
    splits = [split for split in ("train", "test", "unlabeled", "holdout") if (folds / f"{split}.csv").exists()]
    tables = {split: read_table(folds / f"{split}.csv") for split in splits}
    fitted = read_json(path) if (path := root / "ensemble" / "fitted.json").exists() else {}
    steps = fitted.get("steps", [])
    has_test, found = (root / "ensemble" / "test.npz").exists() and "test" in tables, list(_runs(root, plan))
    return Results(
        root=root,
        settings=settings,
        task=task,
        metric=components.label(metric),
        wanted_metric=metric,
        classes=classes,
        tables=tables,
        fold_summary=read_summary(folds / "summary.csv"),
        quarantine=read_table(folds / "quarantine.csv"),
        leaderboard=pd.read_csv(root / "leaderboard.csv"),
        rounds=pd.read_csv(root / "ensemble" / "rounds.csv"),
        metrics=read_json(root / "metrics.json"),
        ensemble=read_json(root / "ensemble" / "weights.json"),
        steps=steps,
        without_fold={int(fold): found for fold, found in fitted.get("without_fold", {}).items()},
        oof=load(root / "ensemble" / "oof.npz"),
        test=load(root / "ensemble" / "test.npz") if has_test else None,
        answers=read_table(folds / "answers.csv") if has_test and (folds / "answers.csv").exists() else None,
        runs=[run for run in found if run.model not in plan.origins],
        made=[run for run in found if run.model in plan.origins],
        pseudo={
            (labels.round, labels.fold): read_table(path)
            for labels in plan.labels()
            if (path := root / "pseudo" / f"{labels.folder}.csv").exists()
        },
        members=by_member(root, plan, task, classes, [one["name"] for one in settings.get("external", ())], steps),
        test_groups=read_json(folds / "test_groups.json") if (folds / "test_groups.json").exists() else None,
        benchmarks=times.read(root / "benchmarks", plan, full),
        full=full,
    )


def _runs(root: Path, plan: Grid) -> Iterator[Run]:
    for run in plan.runs():
        folder = root / "train" / run.folder
        if (folder / "run.json").exists() and (folder / "history.csv").exists():
            history = pd.read_csv(folder / "history.csv")
            yield Run(run.model, run.round, run.fold, run.seed, read_json(folder / "run.json"), history)
