"""Stage ensemble: predictions of all members -> one prediction, its out-of-fold score, and the scores of its members."""

import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goldfold import components, tasks
from goldfold.base.files import read_json, write_json, write_text
from goldfold.column_gain import gain_of_columns
from goldfold.embeddings import by_name
from goldfold.ensemble_scores import OPTIMISTIC, of_members, write_rounds, write_scores
from goldfold.ensembling.nested import Nested, applied, nested
from goldfold.ensembling.steps import Step, average, build, weights_of
from goldfold.ensembling.with_metadata import COMPONENTS, EMBEDDINGS, METADATA, without
from goldfold.every_metric import every_metric, scored_by
from goldfold.heads.of_cases import EmbeddedCases
from goldfold.members import Members
from goldfold.metadata.of_cases import read as read_metadata
from goldfold.metrics import Evidence, Metric
from goldfold.metrics.bootstrap import independent
from goldfold.metrics.resampling import score_and_draws
from goldfold.planning.full import full_of
from goldfold.planning.grid import grid
from goldfold.planning.outputs import HOLDOUT
from goldfold.predictions import resampled
from goldfold.predictions.arrays import Arrays, OneByOne, load, picked, save
from goldfold.round_gains import ENSEMBLE, Scored, gains
from goldfold.splits.scored import groups_of, scored, with_groups
from goldfold.tables import read_table
from goldfold.tasks.facts import Facts
from goldfold.tasks.protocol import Output, Score, Tables
from goldfold.tasks.steps import ForSteps

PLACES = ("group", "fold")
"""Columns for the group and the fold of an image."""


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
    embeddings: Mapping[str, str] | None = None,
    embedded: Sequence[str] = (),
    has_holdout: bool = False,
    full_data: Mapping[str, Any] | None = None,
    on_all_rows: str | None = None,
) -> None:
    """Write predictions, weights, fitted parameters, scores by round and resampled scores into ``folder``, and the score files.

    With a sealed holdout also ``holdout.*``, predicted as the test images are; nothing here reads its truth.

    A member is a model with a seed. Its out-of-fold prediction covers each validated training image exactly once; its test
    prediction is the mean over its folds, or over networks that are trained on all rows (`FullData.tested`). The ensemble of
    a round consists of the latest runs up to that round.

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
        embeddings: names of the embeddings that steps take, by model; None if no step takes any.
        embedded: files of these embeddings of all training and test cases.
        full_data: models that are trained on all rows, see `goldfold.planning.full.FullData`.
        on_all_rows: folder of <model>/round<r>/full/seed<s>/test.npz.

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
    silent = [name for name, weight in weights.items() if not weight and not fusion]
    full = full_of(full_data), Path(on_all_rows or "")
    members = Members(facets.output, read_by, Path(predictions), whole, settings, workers, folders, *full, silent)
    given = members.weights(weights)
    wanted = [fusion or average(settings, given), *postprocessing]
    columns = read_metadata(metadata_lists, metadata) if metadata else None
    features = EmbeddedCases(by_name(embeddings, embedded)) if embeddings else None
    of_cases = ForSteps(task, names, columns, features)
    steps = build(of_cases, wanted, workers)
    voters = {name for name, weight in given.items() if weight or fusion}
    rows, made, last = _scored_rounds(facets, members, voters, truth, chosen, steps, Path(folder))
    if not (metadata or embeddings):
        last.members.clear()  # gigabytes of many classes
    fused_test = _predict(facets, Path(folder), members, steps, made, has_test, has_holdout)
    if not has_test:  # files of an earlier run that had test images
        submitted = ("submission.csv", *facets.facts.every_submission_file)
        _remove_stale(Path(folder).glob("test.*"), [Path(leaderboard).parent / name for name in submitted])
    method, named = (fusion, weights_of(made.fitted[0], given)) if fusion else (settings.get("method"), given)
    write_json(Path(folder) / "weights.json", {"method": method, "weights": _shares(named)})
    write_json(Path(folder) / "fitted.json", _fitted([fusion or "average", *postprocessing], made))
    resampled.write(Path(folder), last.drawn)
    parts = {
        "oof": every_metric(facets.facts, facets.scores, last.evidence, truth, chosen, last.score),
        **_optimistic(facets, made, truth, chosen),
        **_of_answers(facets, fused_test, answers, test, chosen),
    }
    of_last = write_rounds(Path(folder), Path(leaderboard), rows, parts, chosen, whole.last)
    by_class = facets.scores.by_class(last.evidence).to_dict("index")
    more = {"members": of_members(of_last, chosen.name), "classes": by_class}
    if last.gains:
        more["rounds"] = last.gains
    for name, taken, keys in (
        (METADATA, metadata, (METADATA,)),
        (EMBEDDINGS, {"models": embeddings} if embeddings else None, (EMBEDDINGS, COMPONENTS)),
    ):
        if taken:
            plain = build(of_cases, [without(step, keys) for step in wanted], workers)
            of = last.evidence, last.drawn[ENSEMBLE]
            more[name] = {**taken, **gain_of_columns(facets.scores, plain, last.members, *of, truth, chosen)}
    about = {"task": task["name"], "metric": chosen.name}
    write_scores(Path(metrics), Path(headline or Path(metrics).with_name("headline.json")), about, parts, more)


def _predict(
    facets: "Facets",
    folder: Path,
    members: Members,
    steps: Sequence[Step],
    made: Nested,
    has_test: bool,
    has_holdout: bool,
) -> Arrays | None:
    """Write the predictions of the test images and of a holdout by steps fitted on all folds; return those of the test images."""
    if has_holdout:
        _keep(facets, folder, HOLDOUT, applied(steps, members.of_split(HOLDOUT), made.fitted))
    else:
        _remove_stale(folder.glob(f"{HOLDOUT}.*"))
    return _keep(facets, folder, "test", applied(steps, members.of_split("test"), made.fitted)) if has_test else None


def _of_answers(
    facets: "Facets", fused: Arrays | None, answers: str | None, test: str | None, metric: Metric
) -> dict[str, dict[str, Any]]:
    """Score the test images; empty if there are none, or their targets are not known."""
    if fused is None or answers is None:
        return {}
    known = with_groups(read_table(answers), read_table(test) if test else None)
    evidence = facets.scores.evidence(fused, known)
    return {"test": every_metric(facets.facts, facets.scores, evidence, known, metric)}


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


@dataclass(frozen=True)
class Last:
    """The last round: out-of-fold predictions of its members, and its ensemble."""

    members: dict[str, Arrays]
    evidence: Evidence
    """Of the ensemble."""
    score: dict[str, float]
    """Of the ensemble by the metric that counts, with its interval."""
    drawn: resampled.Drawn
    """Resampled scores of members and ensemble."""
    gains: list[dict[str, Any]]
    """Of each round over the one before, see `goldfold.round_gains`."""


def _scored_rounds(
    task: Facets,
    members: Members,
    voters: set[str],
    truth: pd.DataFrame,
    metric: Metric,
    steps: Sequence[Step],
    folder: Path,
) -> tuple[list[dict[str, Any]], Nested, Last]:
    """Score every member and ensemble of every round; return rows, the last ensemble, which is saved, and the last round.

    A round has no ensemble if no member with a weight was trained up to it.
    """
    folds = truth["fold"].astype(int).to_numpy() if "fold" in truth else np.zeros(len(truth), int)
    rows: list[dict[str, Any]] = []
    by_round: dict[int, Scored] = {}
    groups = groups_of(truth)
    for number in (stage.number for stage in members.grid.rounds):
        parts = members.oof(number, truth["id"].tolist())
        found = {
            name: score_and_draws(metric, task.scores.evidence(part, truth), groups) for name, part in parts.items()
        }
        if voters & {*parts}:
            made = nested(steps, parts, truth, folds, metric, picked, _held)
            if number == members.grid.last:
                made = replace(made, predictions=_keep(task, folder, "oof", made.predictions, truth))
            evidence = task.scores.evidence(made.predictions, truth)
            found[ENSEMBLE] = score_and_draws(metric, evidence, groups)
        rows += [{"member": name, "round": number, metric.name: one.value, "low": one.low, "high": one.high}
                 for name, (one, _) in found.items()]  # fmt: skip
        by_round[number] = Scored(
            {name: one.value for name, (one, _) in found.items()}, {name: own for name, (_, own) in found.items()}
        )
    compared = gains(members.grid, by_round, independent(len(truth), groups), metric.greater_is_better)
    last = Last(parts, evidence, found[ENSEMBLE][0].as_dict(), by_round[members.grid.last].drawn, compared)
    return sorted(rows, key=lambda row: row["member"] == ENSEMBLE), made, last


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
    return {OPTIMISTIC: {metric.name: scored_by(task.scores.evidence(made.optimistic, truth), truth, metric)}}


def _fitted(wanted: Sequence[components.Written], made: Nested) -> dict[str, Any]:
    """Collect the parameters of each step, fitted on all folds and without each fold."""
    steps = [{"step": step, "fitted": fitted} for step, fitted in zip(wanted, made.fitted, strict=True)]
    return {"steps": steps, "without_fold": {str(fold): fitted for fold, fitted in made.without.items()}}


def _keep(task: Facets, folder: Path, name: str, predictions: Arrays, truth: pd.DataFrame | None = None) -> Arrays:
    """Save predictions as .npz, and as .csv with known columns of the images; return what the .npz holds."""
    save(folder / f"{name}.npz", predictions.items())
    kept = predictions if isinstance(predictions, dict) else load(folder / f"{name}.npz")
    table = task.tables.table(kept)
    if truth is not None:
        table = table.merge(truth[["id", *(name for name in (*task.facts.shown, *PLACES) if name in truth)]], on="id")
    write_text(folder / f"{name}.csv", table.to_csv(index=False))
    return kept


def _remove_stale(*files: Iterable[Path]) -> None:
    """Remove files that an earlier run wrote, which had test images or a holdout."""
    for path in chain(*files):
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    return {name: weight / sum(weights.values()) for name, weight in weights.items()}
