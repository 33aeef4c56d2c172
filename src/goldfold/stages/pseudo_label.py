"""predictions of the round before, of one fold -> pseudo labels for that fold."""

from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import tasks
from goldfold.data.predictions import Arrays, load
from goldfold.runtime.errors import DataError
from goldfold.runtime.files import read_json, write_text


def run(
    predictions: dict[str, list[str]], classes: str, out: str, task: dict[str, Any], threshold: float, fold: int
) -> None:
    """Write the images that the fold's models, averaged, are sure of: id, target, confidence, source.

    Labels for fold k come from models of fold k alone. A model of another fold has learnt from fold k's validation
    images; what it says of other images carries their labels into training, and the next out-of-fold score is a lie.

    Args:
        predictions: source (test, unlabeled) -> prediction files of the round before.

    Raises:
        DataError: a file is of another fold.
    """
    chosen_task = tasks.build(task, read_json(classes))
    tables = []
    for source, paths in predictions.items():
        members = [_of_fold(path, fold) for path in paths]
        fused = chosen_task.fuse(members, [1.0] * len(members))
        tables.append(chosen_task.pseudo_labels(fused, threshold).assign(source=source))
        print(f"{source}: {len(tables[-1])} of {len(fused['ids'])} images at {threshold} or more", flush=True)
    write_text(Path(out), pd.concat(tables, ignore_index=True).to_csv(index=False))


def _of_fold(path: str, fold: int) -> Arrays:
    predictions = load(path)
    if int(predictions["fold"]) != fold:
        raise DataError(
            f"{path} holds predictions of fold {int(predictions['fold'])}; pseudo labels for fold {fold} come from its "
            f"own models only, or the labels of its validation images leak into training."
        )
    return predictions
