"""Stage ensemble: predictions of all members -> one prediction, its out-of-fold score, and the scores of its members."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goldfold import components, tasks
from goldfold.base.files import read_json, write_json, write_text
from goldfold.ensembling.nested import Nested, applied, nested
from goldfold.ensembling.steps import Step, average, build, weights_of
from goldfold.ensembling.with_metadata import without
from goldfold.members import Members
from goldfold.metadata import of_cases
from goldfold.metadata_gain import gain_of_metadata
from goldfold.metrics import Evidence, Metric, score
from goldfold.planning.grid import grid
from goldfold.predictions.arrays import Arrays, OneByOne, load, picked, save
from goldfold.splits.scored import groups_of, scored, with_groups
from goldfold.tables import read_table
from goldfold.tasks.facts import Facts
from goldfold.tasks.protocol import Output, Score, Tables
from goldfold.tasks.steps import ForSteps

PLACES = ("group", "fold")
"""Columns for the group and the fold of an image."""
RESAMPLES_ASIDE = 200
"""Resamples for the intervals of metrics other than the one that counts: one of COCO's takes milliseconds."""
OPTIMISTIC = "optimistic"
"""Name of the score of steps that were fitted on the scored images."""


def run(
    predictions: str,
    train: str,
    classes: str,
    folder: str,
    leaderboard: str,
    metrics: str,
    task: dict[str, Any],
    metric: components.Written,
    models: list[str],
    seeds: list[int],
    n_folds: int,
    rounds: int | list[list[str]],
    has_test: bool,
    weights: dict[str, float],
    settings: dict[str, Any],
    workers: int,
    headline: str | None = None,
    answers: str | None = None,
    test: str | None = None,
    fusion: components.Written | None = None,
    postprocessing: Sequence[components.Written] = (),
    soups: Sequence[str] = (),
    external: Sequence[str] = (),
    outside: str | None = None,
    metadata: Mapping[str, Sequence[str]] | None = None,
    metadata_lists: Sequence[str] = (),
) -> None:
    """Write ``oof.*``, ``test.*``, ``weights.json``, ``fitted.json`` and ``rounds.csv`` into ``folder``, and the score files.

    A member is a model with a seed. Its out-of-fold prediction covers each validated training image exactly once; its test
    prediction is the mean over its folds. The ensemble of a round consists of the latest runs up to that round.

    Args:
        rounds: models trained in each round; the number of rounds where all models are trained in all.
        predictions: folder of <model>/round<r>/fold<k>/seed<s>/{oof,test}.npz.
        train: CSV of id, the target and, where there are groups, group.
        weights: weight of a model by name, 1 where not named.
        settings: ``method`` of fusion and its parameters.
        workers: number of processes that fuse.
        headline: JSON of the ensemble's score by the metric that counts, for `dvc metrics show`; by default beside
            ``metrics``.
        answers: CSV of id and target of test images with known truth; used for nothing but a score.
        test: CSV of id and, where there are groups, group of the test images.
        fusion: step that fuses the members; None for an average with ``weights`` and ``settings``.
        postprocessing: steps after fusion.
        soups: models with one network per fold, not one per seed.
        external: names of the members of other tools.
        outside: folder of <external member>/{oof,test}.npz.
        metadata: names of the metadata columns that steps take, by kind; None if no step takes any.
        metadata_lists: CSVs of id and metadata of all training and test cases.

    Raises:
        DataError: out-of-fold predictions do not cover the validated images exactly once.
    """
    names = read_json(classes)
    facets = _facets(task, names)
    chosen = facets.scores.metric(metric)
    truth = scored(read_table(train))
    whole = grid(models, seeds, n_folds, rounds, soups)
    folders = {name: Path(outside or "") / name for name in external}
    read_by = tasks.external(task, names) if external else None
    members = Members(facets.output, read_by, Path(predictions), whole, settings, workers, folders)
    given = members.weights(weights)
    wanted = [fusion or average(settings, given), *postprocessing]
    columns = of_cases.read(metadata_lists, metadata) if metadata else None
    steps = build(ForSteps(task, names, columns), wanted, workers)
    voters = {name for name, weight in given.items() if weight or fusion}
    rows, made, evidence = _scored_rounds(facets, members, voters, truth, chosen, steps, Path(folder))
    fused = applied(steps, members.test(), made.fitted) if has_test else None
    fused_test = None if fused is None else _keep(facets, Path(folder), "test", fused)
    if not has_test:  # files of an earlier run that had test images
        submitted = ("submission.csv", *facets.facts.submission_files)
        _remove_stale(Path(folder), [Path(leaderboard).parent / name for name in submitted])
    method, named = (fusion, weights_of(made.fitted[0], given)) if fusion else (settings.get("method"), given)
    write_json(Path(folder) / "weights.json", {"method": method, "weights": _shares(named)})
    write_json(Path(folder) / "fitted.json", _fitted([fusion or "average", *postprocessing], made))
    parts = {"oof": _every_metric(facets, evidence, truth, chosen), **_optimistic(facets, made, truth, chosen)}
    scores = _beside(pd.DataFrame(rows), parts, chosen.name)
    write_text(Path(folder) / "rounds.csv", scores.to_csv(index=False))
    last = scores[scores["round"] == whole.last]
    best_first = last.sort_values(chosen.name, ascending=not chosen.greater_is_better, kind="stable")
    write_text(leaderboard, best_first.to_csv(index=False))
    if fused_test is not None and answers is not None:
        known = with_groups(read_table(answers), read_table(test) if test else None)
        parts["test"] = _every_metric(facets, facets.scores.evidence(fused_test, known), known, chosen)
    more = {"members": _of_members(last, chosen.name), "classes": facets.scores.by_class(evidence).to_dict("index")}
    if metadata:
        plain = build(ForSteps(task, names), list(map(without, wanted)), workers)
        known = members.oof(whole.last, truth["id"].tolist())
        more["metadata"] = {**metadata, **gain_of_metadata(facets.scores, plain, known, evidence, truth, chosen)}
    about = {"task": task["name"], "metric": chosen.name}
    _write_scores(Path(metrics), Path(headline or Path(metrics).with_name("headline.json")), about, parts, more)
    print(best_first.to_string(index=False), flush=True)


@dataclass(frozen=True)
class Facets:
    """Facets of the task that this stage uses."""

    facts: Facts
    output: Output
    tables: Tables
    scores: Score


def _facets(task: dict[str, Any], classes: list[str]) -> Facets:
    made = tasks.output(task, classes), tasks.tables(task, classes), tasks.score(task, classes)
    return Facets(tasks.facts(task["name"]), *made)


def _write_scores(
    metrics: Path, headline: Path, about: dict[str, Any], parts: Mapping[str, dict[str, Any]], more: dict[str, Any]
) -> None:
    """Write all scores to ``metrics``, and those by the metric that counts to ``headline``.

    Args:
        about: ``task`` and ``metric``, the one that counts.
        parts: scores by metric for each part of the data.
        more: scores of members and classes.
    """
    write_json(metrics, {**about, **parts, **more})
    metric = about["metric"]
    write_json(headline, {**about, **{part: {metric: entries[metric]} for part, entries in parts.items()}})


def _scored_rounds(
    task: Facets,
    members: Members,
    voters: set[str],
    truth: pd.DataFrame,
    metric: Metric,
    steps: Sequence[Step],
    folder: Path,
) -> tuple[list[dict[str, Any]], Nested, Evidence]:
    """Score every member and ensemble of every round; return rows, the last ensemble (which is saved) and its evidence.

    A round has no ensemble if no member with a weight was trained up to it.
    """
    folds = truth["fold"].astype(int).to_numpy() if "fold" in truth else np.zeros(len(truth), int)
    scores: list[dict[str, Any]] = []
    wholes: list[dict[str, Any]] = []
    for number in (stage.number for stage in members.grid.rounds):
        parts = members.oof(number, truth["id"].tolist())
        fused: list[tuple[str, Arrays]] = []
        if voters & {*parts}:
            made = nested(steps, parts, truth, folds, metric, picked, _held)
            if number == members.grid.last:
                made = replace(made, predictions=_keep(task, folder, "oof", made.predictions, truth))
            fused = [("ensemble", made.predictions)]
        for name, part in [*parts.items(), *fused]:
            evidence = task.scores.evidence(part, truth)
            found = _score(evidence, truth, metric)
            row = {
                "member": name,
                "round": number,
                metric.name: found["value"],
                "low": found["low"],
                "high": found["high"],
            }
            (wholes if name == "ensemble" else scores).append(row)
    return scores + wholes, made, evidence


def _held(predictions: Arrays) -> Arrays:
    """Materialise predictions that are computed per image, since fitted steps read each many times."""
    if not isinstance(predictions, OneByOne):
        return predictions
    with tempfile.NamedTemporaryFile(prefix="goldfold-", suffix=".npz") as file:  # stays readable while it is open
        save(file.name, predictions.items())
        return load(file.name)


def _optimistic(task: Facets, made: Nested, truth: pd.DataFrame, metric: Metric) -> dict[str, dict[str, Any]]:
    """Score steps on the images that they were fitted on; empty if no step is fitted."""
    if made.optimistic is None:
        return {}
    return {OPTIMISTIC: {metric.name: _score(task.scores.evidence(made.optimistic, truth), truth, metric)}}


def _beside(scores: pd.DataFrame, parts: Mapping[str, Any], metric: str) -> pd.DataFrame:
    """Add the optimistic score to the row of the last round's ensemble, which is the last row."""
    if OPTIMISTIC not in parts:
        return scores
    return scores.assign(**{OPTIMISTIC: [np.nan] * (len(scores) - 1) + [parts[OPTIMISTIC][metric]["value"]]})


def _fitted(wanted: Sequence[components.Written], made: Nested) -> dict[str, Any]:
    """Collect the parameters of each step, fitted on all folds and without each fold."""
    steps = [{"step": step, "fitted": fitted} for step, fitted in zip(wanted, made.fitted, strict=True)]
    return {"steps": steps, "without_fold": {str(fold): fitted for fold, fitted in made.without.items()}}


def _score(evidence: Evidence, truth: pd.DataFrame, metric: Metric, n_resamples: int = 1000) -> dict[str, float]:
    return score(metric, evidence, groups_of(truth), n_resamples).as_dict()


def _keep(task: Facets, folder: Path, name: str, predictions: Arrays, truth: pd.DataFrame | None = None) -> Arrays:
    """Save predictions as .npz, and as .csv with known columns of the images; return what the .npz holds."""
    save(folder / f"{name}.npz", predictions.items())
    kept = load(folder / f"{name}.npz")
    table = task.tables.table(kept)
    if truth is not None:
        table = table.merge(truth[["id", *(name for name in (*task.facts.shown, *PLACES) if name in truth)]], on="id")
    write_text(folder / f"{name}.csv", table.to_csv(index=False))
    return kept


def _every_metric(task: Facets, evidence: Evidence, truth: pd.DataFrame, metric: Metric) -> dict[str, dict[str, float]]:
    """Score the ensemble by all metrics, the one that counts first.

    A metric of grades is left out unless it is the one that counts, which is how a config declares classes to be grades;
    numbers are grades where they are integers.
    """
    others = [task.scores.metric(name) for name in task.facts.reported if name != metric.name]
    return {
        metric.name: _score(evidence, truth, metric),
        **{
            one.name: _score(evidence, truth, one, RESAMPLES_ASIDE)
            for one in others
            if not _needs_grades(task, evidence, one)
        },
    }


def _needs_grades(task: Facets, evidence: Evidence, one: Metric) -> bool:
    return one.of_grades and (
        task.facts.target == "label" or not np.isfinite(one.value(evidence, np.arange(len(evidence))))
    )


def _of_members(last: pd.DataFrame, metric: str) -> dict[str, Any]:
    return {
        row["member"]: {metric: {"value": row[metric], "low": row["low"], "high": row["high"]}}
        for row in last.to_dict("records")
        if row["member"] != "ensemble"
    }


def _remove_stale(folder: Path, submitted: list[Path]) -> None:
    """Remove files that an earlier run with test images wrote."""
    for path in (*folder.glob("test.*"), *submitted):
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}
