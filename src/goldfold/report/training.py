"""Section on the training runs: their learning curves."""

from typing import Any

import pandas as pd

from goldfold.report.blocks import Section, Text
from goldfold.report.figures import learning_curves
from goldfold.report.results import Results
from goldfold.runtime.words import count


def curves(results: Results) -> Section:
    """Small multiples: a model a row."""
    section = Section("curves", "Learning curves")
    drawn = 0
    for model in results.models:
        runs = [(run.round, run.history) for run in results.runs if run.model == model]
        usable = [
            (number, history) for number, history in runs if {"epoch", "train_loss", results.metric} <= set(history)
        ]
        if usable:
            drawn += len(usable)
            figure = learning_curves(model, usable, results.metric)
            section.blocks += [_heading(results, model), figure]
    section.intro = (
        f"{count(drawn, 'training run')}, a thin line for each fold, seed and round. The first quarter of the epochs "
        f"does not set the range of the axes, so lines may enter from outside. Validation scores are of single "
        f"views, without test-time augmentation, at the network's resolution; each fold has its own validation images."
    )
    return section


def table(results: Results) -> pd.DataFrame:
    """A row an epoch of every run: member, round, fold, epoch, train_loss and score, whatever the metric's name."""
    tables = [
        run.history.rename(columns={results.metric: "score"})
        .reindex(columns=["epoch", "train_loss", "score"])
        .assign(member=f"{run.model}-seed{run.seed}", round=run.round, fold=run.fold)
        for run in results.runs
    ]
    return pd.concat(tables)[["member", "round", "fold", "epoch", "train_loss", "score"]] if tables else pd.DataFrame()


def _heading(results: Results, model: str) -> Text:
    settings = next(entry for entry in results.settings["models"] if entry["name"] == model)
    train = settings.get("train", {})
    record = next(run.record for run in results.runs if run.model == model)
    parts = [
        settings.get("backbone") or settings.get("network", ""),
        f"{record['parameters'] / 1e6:.2f} M parameters" if record.get("parameters") else "",
        _size(record, settings),
        f"{train.get('epochs')} epochs" if train.get("epochs") else "",
        f"peak learning rate {train['lr']:g}" if train.get("lr") else "",
    ]
    return Text(" · ".join(filter(None, parts)), heading=model)


def _size(record: dict[str, Any], settings: dict[str, Any]) -> str:
    """Height and width of the network's input."""
    size = record.get("recipe", {}).get("settings", {}).get("model", {}).get("size") or settings.get("image_size_px")
    if not size:
        return ""
    height, width = (size, size) if isinstance(size, int) else size
    return f"{height} × {width} px"
