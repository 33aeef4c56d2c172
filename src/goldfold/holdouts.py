"""Sealed holdout of a finished run: its state, and its score, which is computed here and nowhere else."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from goldfold import ledger, openings, tasks
from goldfold.base.errors import DataError
from goldfold.bundles.finished import ENSEMBLE, FOLDS, Finished, finished
from goldfold.every_metric import every_metric
from goldfold.lineage import contents
from goldfold.looks import noise, or_nan, out_of_fold, short
from goldfold.openings import Opening
from goldfold.predictions.arrays import load
from goldfold.tables import read_table

Scores = dict[str, dict[str, float | None]]
"""``value``, ``low`` and ``high`` by metric."""


@dataclass(frozen=True)
class State:
    """Holdout of a run, and who has looked at it."""

    results: str
    experiment: str
    holdout: str
    """First digits of the sha256 of the ids of its cases."""
    cases: int
    others: int
    """Cases that are trained on."""
    openings: list[Opening]
    """Openings of this holdout by all experiments, the first one first."""
    own: int | None
    """Number of the opening of these very predictions, from 1; None if they are sealed."""
    openings_of_others: int
    """Openings of other holdouts, of which cases may be in this one."""


@dataclass(frozen=True)
class Opened:
    """Scores of a holdout that has just been opened."""

    state: State
    scores: Scores
    oof: Scores
    is_new: bool
    """False if the same predictions were opened before."""


def state(results: str | Path) -> State:
    """State of the holdout of a finished run; its truth is not read.

    Raises:
        DataError: the run is unfinished, or has no holdout.
    """
    run = finished(results)
    predictions, truth = run.holdout()
    ids = list(read_table(run.file("folds/holdout.csv", FOLDS))["id"])
    known = openings.read()
    found = openings.of(known, name := ledger.test_set(ids))
    digests = contents.digest(predictions), contents.digest(truth)
    own = [number for number, one in enumerate(found, 1) if (one.predictions, one.truth) == digests]
    n_train = len(read_table(run.file("folds/train.csv", FOLDS)))
    return State(
        str(run.root), run.name, name, len(ids), n_train, found, own[0] if own else None, len(known) - len(found)
    )


def opened(results: str | Path, note: str = "") -> Opened:
    """Score the ensemble's predictions of the holdout by every metric, and record it.

    Raises:
        DataError: the run is unfinished, has no holdout, or cannot be scored.
    """
    before, run = state(results), finished(results)
    scores = _scores(run)
    oof: Scores = run.json("metrics.json", ENSEMBLE)["oof"]
    number, all_of_it = openings.add(_opening(run, before, scores, oof, note))
    after = State(**{**before.__dict__, "openings": all_of_it, "own": number})
    return Opened(after, scores, oof, before.own is None)


def _scores(run: Finished) -> Scores:
    predictions, sealed = run.holdout()
    truth, found = read_table(sealed), load(predictions)
    if odd := set(found["ids"].tolist()) ^ set(truth["id"]):
        raise DataError(
            f"{run.root} is not a finished run: its holdout and the predictions of it differ, e.g. {min(odd)!r}. Run snakemake "
            "to completion first."
        )
    task = run.settings["task"]
    scores = tasks.score(task, list(run.json("folds/classes.json", FOLDS)))
    metric = scores.metric(run.settings["metric"])
    by_metric: Any = every_metric(tasks.facts(task["name"]), scores, scores.evidence(found, truth), truth, metric)
    return {name: {end: _or_none(value) for end, value in ends.items()} for name, ends in by_metric.items()}


def _opening(run: Finished, before: State, scores: Scores, oof: Scores, note: str) -> Opening:
    metric, evidence, groups = out_of_fold(run)
    own, other = scores[metric.name], oof[metric.name]
    if own["value"] is None or other["value"] is None:
        raise DataError(f"{run.root} has no {metric.name} of its holdout: its cases cannot be scored.")
    expected = noise(metric, evidence, groups, before.cases)
    predictions, truth = run.holdout()
    return Opening(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        experiment=run.name,
        metric=metric.name,
        oof=other["value"],
        oof_low=or_nan(other["low"]),
        oof_high=or_nan(other["high"]),
        score=own["value"],
        low=or_nan(own["low"]),
        high=or_nan(own["high"]),
        noise=short(expected.sd),
        expected_low=short(other["value"] + expected.low),
        expected_high=short(other["value"] + expected.high),
        cases=before.cases,
        holdout=before.holdout,
        predictions=contents.digest(predictions),
        truth=contents.digest(truth),
        note=note,
    )


def _or_none(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
