"""Stage clean: inner predictions of one fold's training rows -> rows whose label is probably wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from goldfold import tasks
from goldfold.audit import mislabelled
from goldfold.audit.mislabelled import Candidates
from goldfold.base.files import read_json, write_text
from goldfold.base.words import count
from goldfold.judging import judged

MOST = 0.5
"""Largest share of a class's rows that are dropped or relabelled; the most suspicious ones are."""
KEEP = "keep"
"""Action for candidates beyond that share, which are trained on as given."""


def run(
    predictions: list[str],
    lists: list[str],
    classes: str,
    out: str,
    task: dict[str, Any],
    action: str,
    fold: int,
    weights: dict[str, float],
    settings: dict[str, Any],
    workers: int,
) -> None:
    """Write id, given and suggested class, confidence, margin and action of the training rows whose label is probably wrong.

    Only models trained inside the training part of the fold judge, each on rows that it was not trained on, so the result
    does not depend on the labels of the fold's validation rows. Candidates are those of `goldfold.audit.mislabelled.find`,
    the most suspicious first. A row of a class that its judges were not trained on is none, and no class loses more than
    the share `MOST` of its rows.

    Args:
        predictions: files .../inner_predict/<model>/round<r>/fold<k>/part<i>of<n>/seed<s>/oof.npz, all parts of each judge.
        lists: CSVs of the inner trainings of the fold: id, split and label; each row is validated by at most one.
        action: ``drop`` or ``relabel``.
        weights: weight of a model by name, 1 where not named.
        settings: ``method`` of fusion and its parameters.
        workers: number of processes that fuse.

    Raises:
        DataError: a file holds predictions of another fold.
    """
    names = read_json(classes)
    output: Any = tasks.output(task, names)
    fused, given = judged(predictions, lists, fold, output, weights, settings, workers)
    evidence: Any = tasks.score(task, names).evidence(fused, given)
    values = evidence.probabilities / evidence.probabilities.sum(axis=1, keepdims=True)
    found = mislabelled.find(values, evidence.labels)
    table = _table(given, found, names).assign(action=_actions(evidence.labels, found, action))
    write_text(Path(out), table.to_csv(index=False))
    n_kept = int((table["action"] == KEEP).sum())
    kept = f"; {n_kept} of them are kept, so that each class keeps half of its rows" if n_kept else ""
    print(
        f"fold {fold}: {count(len(table), 'label')} of {len(given)} are probably wrong, action {action}{kept}",
        flush=True,
    )
    if len(table):
        print(table.groupby(["given", "suggested"]).size().to_string(), flush=True)


def _table(given: pd.DataFrame, found: Candidates, names: list[str]) -> pd.DataFrame:
    classes = np.array(names, dtype=object)
    return pd.DataFrame(
        {
            "id": given["id"].to_numpy()[found.rows],
            "given": given["label"].to_numpy()[found.rows],
            "suggested": classes[found.suggested],
            "confidence": found.confidence.round(6),
            "margin": found.margin.round(6),
        }
    )


def _actions(labels: Any, found: Candidates, action: str) -> list[str]:
    """Action for each candidate, the most suspicious first: ``action`` up to the share `MOST` of the rows of its class."""
    left = {label: int(MOST * number) for label, number in enumerate(np.bincount(labels))}
    actions = []
    for label in labels[found.rows]:
        actions.append(action if left[label] > 0 else KEEP)
        left[label] -= 1
    return actions
