"""Section on the training runs: learning curves."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from goldfold.base.words import count
from goldfold.drawing.blocks import Note, Section, Text
from goldfold.drawing.figures import learning_curves
from goldfold.drawing.words import listed, score
from goldfold.report import endings, fixmatch, lessons, rounds
from goldfold.report.results import Results, Run

VALIDATION_LOSS = (
    " The validation loss is computed on validation images without augmentation or mixing, with averaged weights if there "
    "are any; augmentation, mixing and dropout can make the training loss the higher of the two."
)
PSEUDO_LOSS = " The training loss also counts pseudo-labelled images, with their weight."
STUDENT_LOSS = " The training loss of a student is that on its labels, without the teacher's part."
TAUGHT_ALONE = " A student with weight: 1 learns from its teacher alone and has no training loss on its labels."
EPOCHS = (
    " Curves count epochs that are done: the first validation is at 1. In train.sizes, history.csv and curves.csv, the first "
    "epoch is number 0."
)
OF_TEACHER = ("train_loss_distill", "train_loss_features")
"""Parts of a student's training loss that compare it with its teacher."""
LATE_SHARE = 0.2
"""Share of the epochs, at the end, in which a converged training no longer gains."""
LARGE_GAIN = 0.03
"""Share of the whole gain above which a gain is more than the fluctuation of a converged score."""


def still_rising(results: Results) -> Iterator[Note]:
    """Note on models whose validation score was best, and still improving, in the last epoch of most runs.

    Models whose learning rate restarts are left out: their score rises to the end of each cycle, however long they train.
    """
    rising, metric = {}, results.watched_metric
    is_better = (
        results.greater_is_better if metric == results.metric else results.scores.metric(metric).greater_is_better
    )
    for model in results.models:
        own = [run for run in results.runs if run.model == model and metric in run.history]
        runs = [] if any(restarts(run) for run in own) else [run.history for run in own]
        found = late_gain([history.dropna(subset=[metric]) for history in runs], metric, is_better)
        if found is not None:
            rising[model] = found
    if rising:
        said = [
            f"{model}: {score(before)} after {count(epoch, 'epoch')}, {score(last)} after {n}"
            for model, (epoch, before, n, last) in rising.items()
        ]
        text = f"{listed(said)} (mean of its runs). More epochs (train.epochs) are likely to improve the score."
        yield Note("info", "The score was still improving in the last epoch", text)


def late_gain(
    histories: list[pd.DataFrame], metric: str, greater_is_better: bool
) -> tuple[int, float, int, float] | None:
    """Epochs done and mean score at the beginning of the last part of a training that still gained, and at its end.

    None if fewer than three quarters of the runs ended with their best score, or the gain is small.
    """
    sign = 1 if greater_is_better else -1
    runs = [history for history in histories if len(history) > 1]
    if not runs or len({tuple(history["epoch"]) for history in runs}) > 1:
        return None
    values = np.array([sign * history[metric].to_numpy(dtype=float) for history in runs])
    place = int((1 - LATE_SHARE) * (values.shape[1] - 1))
    is_best = values[:, -1] > values[:, :-1].max(axis=1)
    mean = values.mean(axis=0)
    gain, whole = mean[-1] - mean[place], mean[-1] - mean.min()
    if is_best.mean() < 0.75 or gain <= LARGE_GAIN * whole:
        return None
    epochs = runs[0]["epoch"].to_numpy(dtype=int) + 1
    return int(epochs[place]), sign * float(mean[place]), int(epochs[-1]), sign * float(mean[-1])


def restarts(run: Run) -> bool:
    """Whether the learning rate rises again after it has fallen: a schedule with cycles, or another one with restarts."""
    if not {"epoch", "lr"} <= set(run.history) and not run.record.get("lr_curve"):
        return False
    change = np.diff(lr_curve(run)["lr"].to_numpy(dtype=float))
    falls = np.flatnonzero(change < 0)
    return bool(len(falls)) and bool((change[falls[0] :] > 0).any())


def on_labels(results: Results, run: Run) -> pd.DataFrame:
    """History whose ``train_loss`` is comparable to ``val_loss``: that of a student without the part of its teacher.

    A student that learns from its teacher alone has none: NaN.
    """
    parts = [name for name in OF_TEACHER if name in run.history]
    if not parts:
        return run.history
    own = 1 - float(rounds.train_of(results.settings, run.model, run.round)["distill"]["weight"])
    left = run.history["train_loss"] - run.history[parts].sum(axis=1)
    return run.history.assign(train_loss=left / own if own > 0 else np.nan)


def curves(results: Results) -> Section | None:
    """Learning curves, one row per model; None if no network was trained."""
    section = Section("curves", "Learning curves")
    section.blocks += [*lessons.blocks(results), *fixmatch.blocks(results)]
    drawn, metric = 0, results.watched_metric
    for model in results.models:
        runs = [(run.round, on_labels(results, run)) for run in results.runs if run.model == model]
        usable = [(number, history) for number, history in runs if {"epoch", "train_loss", metric} <= set(history)]
        if usable:
            drawn += len(usable)
            rates = [(run.round, lr_curve(run)) for run in results.runs if run.model == model and "lr" in run.history]
            figure = learning_curves(model, usable, metric, rates)
            section.blocks += [_heading(results, model), figure]
    if not section.blocks:
        return None
    section.intro = (
        f"{count(drawn, 'training run')}, one thin line per fold, seed and round. The axes are scaled without the first "
        f"quarter of the epochs, so lines may start outside. Validation scores are without test-time augmentation, at the "
        f"network's resolution; each fold has its own validation images. The learning rate is that of parameters without a "
        f"factor of their own; runs with the same one share a line.{EPOCHS}{_about_losses(results)}"
    )
    return section


def _about_losses(results: Results) -> str:
    """Explain how the training loss and the validation loss differ."""
    students = [run for run in results.runs if set(OF_TEACHER) & set(run.history)]
    is_taught_alone = any(on_labels(results, run)["train_loss"].isna().all() for run in students)
    has_validation = any("val_loss" in run.history for run in results.runs)
    return (
        VALIDATION_LOSS * has_validation
        + STUDENT_LOSS * bool(students)
        + TAUGHT_ALONE * is_taught_alone
        + PSEUDO_LOSS * bool(results.taught)
    )


def lr_curve(run: Run) -> pd.DataFrame:
    """Learning rate of a run within its epochs, from its record; from its history, one rate per epoch, if that has none."""
    points = run.record.get("lr_curve")
    if points:
        return pd.DataFrame(points, columns=["epoch", "lr"])
    return pd.DataFrame({"epoch": run.history["epoch"] + 1, "lr": run.history["lr"]})


def table(results: Results) -> pd.DataFrame:
    """One row per epoch of every run: member, round, fold, epoch, losses and ``score``, whatever the metric's name.

    ``train_loss`` is that of `on_labels`; epochs count from 0, as in ``history.csv``.
    """
    tables = [
        on_labels(results, run)
        .rename(columns={results.watched_metric: "score"})
        .reindex(columns=["epoch", "train_loss", "val_loss", "score"])
        .assign(member=f"{run.model}-seed{run.seed}", round=run.round, fold=run.fold)
        for run in results.runs
    ]
    columns = ["member", "round", "fold", "epoch", "train_loss", "val_loss", "score"]
    return pd.concat(tables)[columns] if tables else pd.DataFrame()


def _heading(results: Results, model: str) -> Text:
    settings = next(entry for entry in results.settings["models"] if entry["name"] == model)
    record = next(run.record for run in results.runs if run.model == model)
    parts = [
        settings.get("backbone") or settings.get("network", ""),
        _parameters(record["parameters"]) if record.get("parameters") else "",
        _size(record, settings),
        _by_round(results, model, "epochs", lambda epochs: count(epochs, "epoch")),
        _ended(results, model),
        _by_round(results, model, "lr", lambda lr: f"peak learning rate {lr:g}"),
    ]
    return Text(" · ".join(filter(None, parts)), heading=model)


def _ended(results: Results, model: str) -> str:
    """Epochs of the runs of a model that ended early."""
    runs = [run for run in results.runs if run.model == model and run.record.get("stopped")]
    return f"{count(len(runs), 'run')} ended after {endings.epochs_of(runs)} epochs" if runs else ""


def _by_round(results: Results, model: str, key: str, say: Callable[[Any], str]) -> str:
    """Training setting of a model, with the rounds it applies to if they differ."""
    found: dict[str, list[str]] = {}
    for stage in results.grid.rounds:
        value = rounds.train_of(results.settings, model, stage.number).get(key) if model in stage.models else None
        if value:
            found.setdefault(say(value), []).append(str(stage.number))
    if len(found) < 2:
        return "".join(found)
    return ", ".join(f"{said} (round{'s' * (len(of) > 1)} {listed(of)})" for said, of in found.items())


def _parameters(number: int) -> str:
    """Number of parameters, in millions from 100,000."""
    return f"{number / 1e6:.2f} M parameters" if number >= 100_000 else count(number, "parameter")


def _size(record: dict[str, Any], settings: dict[str, Any]) -> str:
    """Height and width of the network's input."""
    size = record.get("recipe", {}).get("settings", {}).get("model", {}).get("size") or settings.get("image_size_px")
    if not size:
        return ""
    height, width = (size, size) if isinstance(size, int) else size
    return f"{height} × {width} px"
