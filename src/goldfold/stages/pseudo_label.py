"""Stage pseudo_label: predictions of one fold, of earlier rounds -> pseudo labels for that fold."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import tasks
from goldfold.base.files import read_json, write_text
from goldfold.ensembling.members import of_folds
from goldfold.ensembling.voters import voters
from goldfold.judging import judged
from goldfold.planning.runs import WHOLE, run_of
from goldfold.predictions.arrays import Arrays, load
from goldfold.predictions.of_fold import load_of_fold
from goldfold.predictions.selection import Selection, Thresholds


def run(
    predictions: dict[str, list[str]],
    classes: str,
    out: str,
    task: dict[str, Any],
    threshold: float,
    fold: int,
    weights: dict[str, float],
    settings: dict[str, Any],
    workers: int,
    soft: Mapping[str, float] | None = None,
    class_thresholds: Mapping[str, float] | None = None,
    adapt: Mapping[str, Any] | None = None,
    top_k: float | None = None,
    ignore_band: Sequence[float] | None = None,
    least_decided: float | None = None,
    judges: Sequence[str] = (),
    lists: Sequence[str] = (),
) -> dict[str, Any]:
    """Write id, target, confidence and source of the images that the fold's ensemble is confident about; return facts.

    The teacher is the ensemble that is scored and submitted, with the same method and weights, of this fold's models alone.
    A model of another fold was trained on fold k's validation images: its predictions of other images would carry their
    labels into training, and invalidate the next out-of-fold score. Networks that are trained on all rows validate none:
    their teacher is the whole ensemble, with all folds.

    Args:
        predictions: source (test, unlabeled) -> prediction files .../<model>/round<r>/fold<k>/seed<s>/<source>.npz of
            the teachers.
        weights: weight of a model by name, 1 where not named; a model of weight 0 does not teach.
        settings: ``method`` of fusion and its parameters.
        fold: number of the fold, or `WHOLE`.
        workers: number of processes that fuse.
        soft: ``power`` and ``floor`` of soft labels; None for hard ones.
        class_thresholds: thresholds by class, see `goldfold.predictions.selection.Selection`; likewise ``adapt``, ``top_k``.
        ignore_band, least_decided: limits of the probabilities of ignored pixels, and the smallest share of other pixels.
        judges: predictions of inner trainings of the fold, if accuracy moves the thresholds.
        lists: CSVs of these inner trainings.

    Raises:
        DataError: a file holds predictions of another fold.
    """
    names = read_json(classes)
    output: Any = tasks.output(task, names)
    selection = Selection(threshold, class_thresholds or {}, adapt, top_k)
    rule = f"pseudo labels for fold {fold} must come from its own models"
    form = _form(soft=soft, ignore_band=ignore_band, least_decided=least_decided)
    sure, every, counts = [], [], {}
    for source, paths in predictions.items():
        files, shares = voters(paths, [weights.get(run_of(path).model, 1.0) for path in paths])
        if fold == WHOLE:
            teachers, shares = averaged(output, files, shares, settings, workers)
        else:
            teachers = [load_of_fold(path, fold, rule) for path in files]
        fused = output.fuse(teachers, shares, workers, **settings)
        counts[source] = len(fused["ids"])
        sure.append(output.pseudo_labels(fused, selection.lowest, **form).assign(source=source))
        if "label" in sure[-1] or top_k is not None:  # other rules do not read the images below the threshold
            every.append(output.pseudo_labels(fused, 0.0).assign(source=source))
    table, whole = pd.concat(sure, ignore_index=True), pd.concat(every or sure, ignore_index=True)
    accuracy: dict[str, float] = {}
    if judges:
        found, given = judged(judges, lists, fold, output, weights, settings, workers)
        accuracy = accuracies(output.pseudo_labels(found, 0.0), given, names)
    thresholds = selection.thresholds(whole, names, accuracy) if selection.is_by_class else {}
    chosen = selection.chosen(table, whole, thresholds)
    write_text(Path(out), chosen.round({"confidence": 6}).to_csv(index=False))
    made = facts(chosen, whole, counts, names, thresholds)
    _tell(made, threshold)
    return {"pseudo_labels": made}


def averaged(
    output: Any, paths: Sequence[str], weights: Sequence[float], settings: Mapping[str, Any], workers: int
) -> tuple[list[Arrays], list[float]]:
    """Average the fold networks of each member, as for the test images; return the members and their weights.

    Args:
        paths: predictions of the networks.
        weights: weight of the member of each.
    """
    shares = {run_of(path).member: weight for path, weight in zip(paths, weights, strict=True)}
    parts = {member: [load(path) for path in paths if run_of(path).member == member] for member in shares}
    return [of_folds(output, part, settings, workers) for part in parts.values()], [*shares.values()]


def _form(**settings: Any) -> dict[str, Any]:
    """Arguments of a task's `pseudo_labels` besides the threshold, those that are set."""
    return {name: value for name, value in settings.items() if value is not None}


def accuracies(predicted: pd.DataFrame, given: pd.DataFrame, classes: Sequence[str]) -> dict[str, float]:
    """Share of the rows of each class that are recognised; a class without rows has the largest one, and so stays.

    Args:
        predicted: id and most probable class.
        given: id and label of the rows that count.
    """
    is_right = given["id"].map(predicted.set_index("id")["label"]) == given["label"]
    known = is_right.groupby(given["label"]).mean().to_dict()
    return {name: round(float(known.get(name, max(known.values(), default=0.0))), 6) for name in classes}


def facts(
    chosen: pd.DataFrame, whole: pd.DataFrame, counts: Mapping[str, int], classes: Sequence[str], thresholds: Thresholds
) -> dict[str, Any]:
    """Collect facts for the record.

    Args:
        whole: predictions of all images, where these have one class.
        counts: number of images by source.
        thresholds: those of the classes; empty if all have the same.
    """
    taken = chosen["source"].value_counts()
    found: dict[str, Any] = {"images": dict(counts), "kept": {name: int(taken.get(name, 0)) for name in counts}}
    if "label" in whole:
        found["never_predicted"] = [name for name in classes if name not in set(whole["label"])]
    if thresholds:
        found["thresholds"] = {name: round(value, 6) for name, value in thresholds.items()}
    return found


def _tell(made: Mapping[str, Any], threshold: float) -> None:
    at = "their thresholds" if "thresholds" in made else f"{threshold}"
    for source, number in made["kept"].items():
        print(f"{source}: {number} of {made['images'][source]} images at {at} or more", flush=True)
    if "thresholds" in made:
        print("thresholds:", ", ".join(f"{name} {value:.3f}" for name, value in made["thresholds"].items()), flush=True)
    if made.get("never_predicted"):
        print(f"never predicted: {', '.join(made['never_predicted'])}", flush=True)
    if not sum(made["kept"].values()):
        print("No image gets a pseudo label: the round is trained on the true labels alone.", flush=True)
