"""Predictions of the training rows of a fold by inner trainings, see `goldfold.planning.inner`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold.ensembling.voters import voters
from goldfold.predictions.arrays import Arrays
from goldfold.predictions.of_fold import load_of_fold
from goldfold.tables import read_table


def judged(
    predictions: Sequence[str],
    lists: Sequence[str],
    fold: int,
    output: Any,
    weights: Mapping[str, float],
    settings: Mapping[str, Any],
    workers: int,
) -> tuple[Arrays, pd.DataFrame]:
    """Fuse the predictions of inner trainings; return these and the rows that are judged, ordered by id.

    Rows of a class that their judges were not trained on are left out.

    Args:
        predictions: files .../inner_predict/<model>/round<r>/fold<k>/part<i>of<n>/seed<s>/oof.npz, all parts of each judge.
        lists: CSVs of the inner trainings of the fold: id, split and label; each row is validated by at most one.
        weights: weight of a model by name, 1 where not named.
        settings: ``method`` of fusion and its parameters.
        workers: number of processes that fuse.

    Raises:
        DataError: a file holds predictions of another fold.
    """
    by_model: dict[str, list[Arrays]] = {}
    rule = f"the training rows of fold {fold} must be judged by inner trainings of this fold"
    for path in predictions:
        by_model.setdefault(model_of(path), []).append(load_of_fold(path, fold, rule))
    judges, shares = voters(
        [output.join(parts) for parts in by_model.values()], [weights.get(name, 1.0) for name in by_model]
    )
    given = pd.concat(_validated(lists), ignore_index=True).sort_values("id", ignore_index=True)
    return output.fuse(judges, shares, workers, **settings), given


def _validated(lists: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yield the rows that each inner training validates, without those of classes that it was not trained on."""
    for path in lists:
        table = read_table(path)
        is_known = table["label"].isin(table["label"][table["split"] == "train"])
        yield table[(table["split"] == "val") & is_known]


def model_of(path: str) -> str:
    """Model of an inner prediction.

    >>> model_of("results/x/inner_predict/net/round0/fold1/part0of3/seed0/oof.npz")
    'net'
    """
    return Path(path).parts[-6]
