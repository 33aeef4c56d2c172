"""Stage pseudo_label: predictions of one fold, of earlier rounds -> pseudo labels for that fold."""

from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import tasks
from goldfold.base.files import read_json, write_text
from goldfold.ensembling.voters import voters
from goldfold.planning.runs import run_of
from goldfold.predictions.of_fold import load_of_fold


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
) -> None:
    """Write id, target, confidence and source of the images that the fold's ensemble is confident about.

    The teacher is the ensemble that is scored and submitted, with the same method and weights, of this fold's models alone.
    A model of another fold was trained on fold k's validation images: its predictions of other images would carry their
    labels into training, and invalidate the next out-of-fold score.

    Args:
        predictions: source (test, unlabeled) -> prediction files .../<model>/round<r>/fold<k>/seed<s>/<source>.npz of
            the teachers.
        weights: weight of a model by name, 1 where not named; a model of weight 0 does not teach.
        settings: ``method`` of fusion and its parameters.
        workers: number of processes that fuse.

    Raises:
        DataError: a file holds predictions of another fold.
    """
    output: Any = tasks.output(task, read_json(classes))
    tables, rule = [], f"pseudo labels for fold {fold} must come from its own models"
    for source, paths in predictions.items():
        teachers, shares = voters(paths, [weights.get(run_of(path).model, 1.0) for path in paths])
        fused = output.fuse([load_of_fold(path, fold, rule) for path in teachers], shares, workers, **settings)
        tables.append(output.pseudo_labels(fused, threshold).assign(source=source))
        print(f"{source}: {len(tables[-1])} of {len(fused['ids'])} images at {threshold} or more", flush=True)
    write_text(Path(out), pd.concat(tables, ignore_index=True).to_csv(index=False))
