"""Comparison of two finished runs on the cases that both have predicted out of fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from goldfold import components, tasks
from goldfold.base.errors import ConfigError, DataError
from goldfold.bundles.finished import ENSEMBLE, FOLDS, Finished, finished
from goldfold.lineage import contents
from goldfold.members import completed
from goldfold.metrics.bootstrap import independent
from goldfold.metrics.paired import Gain, gain, resampled
from goldfold.planning.runs import Run
from goldfold.predictions.arrays import load
from goldfold.splits.scored import groups_of, scored
from goldfold.tables import read_table

if TYPE_CHECKING:
    import pandas as pd

    from goldfold.metrics import Evidence, Metric
    from goldfold.predictions.arrays import Arrays

N_RESAMPLES = 1000
WHOLE = "ensemble"


@dataclass(frozen=True)
class Row:
    """Scores of one prediction of both runs."""

    name: str
    """``ensemble``, a model that both runs have (the mean over its seeds), or an external member that both have."""
    before: float
    after: float
    gain: Gain
    """Gain of the second run; positive is better."""
    is_identical: bool = False
    """Whether the files of predictions are the same, byte by byte."""


@dataclass(frozen=True)
class Comparison:
    """Scores of two runs on the same cases."""

    before: str
    after: str
    metric: str
    n_cases: int
    """Cases that both runs validate."""
    n_other: tuple[int, int]
    """Cases that only the first, and only the second run validates."""
    n_independent: int
    """Groups of these cases, or these cases if there are no groups."""
    n_relabelled: int
    """Cases with another target in the second run; both runs are scored on the second's."""
    has_same_folds: bool
    """Whether each case is in the same fold of both runs."""
    rows: list[Row]
    """The ensemble first."""


def compare(before: str | Path, after: str | Path, metric: components.Written | None = None) -> Comparison:
    """Compare two finished runs by their out-of-fold predictions of the same cases.

    Args:
        before: results folder; ``after`` is the one whose gain is asked for.
        metric: default: that of ``after``.

    Raises:
        DataError: the runs are of different tasks or classes, or have no case in common.
    """
    runs = [finished(one) for one in (before, after)]
    _refuse_unlike(*runs)
    task, classes = runs[1].settings["task"], _classes(runs[1])
    tables = [scored(read_table(run.file("folds/train.csv", FOLDS))).set_index("id") for run in runs]
    common = [id for id in tables[1].index if id in tables[0].index]
    if not common:
        raise DataError(f"{before} and {after} have no case in common: their ids differ, e.g. {_example(tables)}.")
    truth = tables[1].loc[common].reset_index()
    scores = tasks.score(task, classes)
    chosen = scores.metric(metric or runs[1].settings["metric"])
    evidence = [_evidence(run, truth, lambda found: scores.evidence(found, truth)) for run in runs]
    columns = [name for name in tasks.facts(task["name"]).columns if name in tables[0] and name in tables[1]]
    same = [(tables[0].loc[common, name].to_numpy() == truth[name].to_numpy()) for name in columns]
    return Comparison(
        str(before),
        str(after),
        chosen.name,
        len(common),
        (len(tables[0]) - len(common), len(tables[1]) - len(common)),
        independent(len(truth), groups_of(truth)),
        len(common) - int(np.all(same, axis=0).sum()) if same else 0,
        "fold" in truth and bool((tables[0].loc[common, "fold"].to_numpy() == truth["fold"].to_numpy()).all()),
        [
            replace(row, is_identical=_digests(runs[0], row.name) == _digests(runs[1], row.name))
            for row in _rows(evidence[0], evidence[1], chosen, truth)
        ],
    )


def _refuse_unlike(one: Finished, other: Finished) -> None:
    names = [run.settings["task"]["name"] for run in (one, other)]
    if names[0] != names[1]:
        raise DataError(f"{one.root} is a run of {names[0]}, {other.root} of {names[1]}: they cannot be compared.")
    if (found := set(_classes(one)) ^ set(_classes(other))) or _classes(one) != _classes(other):
        which = f"only one has {min(found)!r}" if found else "their order differs"
        raise DataError(
            f"{one.root} and {other.root} have other classes: {which}. Runs of the same classes are compared."
        )


def _classes(run: Finished) -> list[str]:
    return list(run.json("folds/classes.json", FOLDS))


def _example(tables: Sequence[pd.DataFrame]) -> str:
    return " and ".join(repr(str(table.index[0])) for table in tables)


def _evidence(run: Finished, truth: pd.DataFrame, pair: Any) -> dict[str, dict[str, Evidence]]:
    """Predictions of the cases by model and seed; those of the ensemble and of external members are under one name."""
    found = {WHOLE: {WHOLE: pair(load(run.file("ensemble/oof.npz", ENSEMBLE)))}}
    models = {member.name: member.model for member in run.grid.members}
    for name, predictions in _members(run).items():
        found.setdefault(models.get(name, name), {})[name] = pair(predictions)
    return found


def _members(run: Finished) -> dict[str, Arrays]:
    """Out-of-fold predictions of the members whose files are there, external ones last."""
    task, classes, grid = run.settings["task"], _classes(run), run.grid
    output, found = tasks.output(task, classes), {}
    for member in grid.members:
        paths = [_predictions(run, one) for one in grid.runs_of(member, grid.last)]
        if all(path.exists() for path in paths):
            found[member.name] = output.join([load(path) for path in paths])
    others = {name: load(path) for name, path in _external(run).items() if path.exists()}
    silent = [] if run.settings.get("fusion") else [name for name, weight in run.weights.items() if not weight]
    return completed(tasks.external(task, classes), found, others, silent) if others else found


def _external(run: Finished) -> dict[str, Path]:
    """Predictions of each external member."""
    return {name: run.root / "external" / name / "oof.npz" for name in run.settings.get("external", ())}


def _digests(run: Finished, name: str) -> list[str | None]:
    """Digests of the files of predictions of the ensemble, of a model or of an external member."""
    if name == WHOLE:
        return [contents.digest(run.file("ensemble/oof.npz", ENSEMBLE))]
    if name in (others := _external(run)):
        return [contents.digest(others[name])]
    members = [member for member in run.grid.members if member.model == name]
    return [
        contents.digest(_predictions(run, one)) for member in members for one in run.grid.runs_of(member, run.grid.last)
    ]


def _predictions(run: Finished, one: Run) -> Path:
    return run.root / "predict" / one.folder / "oof.npz"


def _rows(
    before: Mapping[str, Mapping[str, Evidence]],
    after: Mapping[str, Mapping[str, Evidence]],
    metric: Metric,
    truth: pd.DataFrame,
) -> list[Row]:
    everything, groups = np.arange(len(truth)), groups_of(truth)
    rows = []
    for name in [name for name in after if name in before]:
        values, drawn = [], []
        for found in (before[name], after[name]):
            values.append([metric.value(one, everything) for one in found.values()])
            drawn.append([*resampled(metric, found, groups, N_RESAMPLES).values()])
        found_gain = gain(
            values[0], values[1], drawn[0], drawn[1], independent(len(truth), groups), metric.greater_is_better
        )
        rows.append(Row(name, float(np.mean(values[0])), float(np.mean(values[1])), found_gain))
    return rows


def metric_of(text: str) -> components.Written:
    """A metric from the command line: a name, or YAML such as ``{f_beta: {beta: 2}}``."""
    import yaml

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--metric {text!r}: cannot be read as YAML") from error
    return found if isinstance(found, str | dict) else text
