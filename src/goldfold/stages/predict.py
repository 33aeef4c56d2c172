"""Stage predict: trained network and cache -> predictions of its validation fold, test and unlabeled images.

A network that is trained on all rows has no validation fold.
"""

from typing import Any

import pandas as pd

from goldfold.inference.features import with_features
from goldfold.inference.predictor import Predictor
from goldfold.inference.view_weights import with_view_weights
from goldfold.predicting import predict
from goldfold.tables import read_table


def run(folder: str, fold_file: str | None, lists: dict[str, str], **member: Any) -> None:
    """Write ``oof.npz`` (validation images of the fold) and one file per split of ``lists`` into ``folder``.

    The files of a member that predicts by neighbours also have the embeddings, as ``features``.

    Args:
        fold_file: CSV of id and split; None for a network without a validation fold, which writes no ``oof.npz``.
        lists: split (test, unlabeled) -> CSV of its images.
        member: the trained member, its images and views, see `goldfold.predicting.predict`.
    """
    tables: dict[str, pd.DataFrame] = {}
    if fold_file is not None:
        table = read_table(fold_file)
        tables["oof"] = table[table["split"] == "val"].reset_index(drop=True)
    tables |= {name: read_table(path) for name, path in lists.items()}
    predict(
        folder, tables, observed=_with_embeddings if member["model"].get("neighbours") else with_view_weights, **member
    )


def _with_embeddings(predictor: Predictor) -> Predictor:
    return with_features(with_view_weights(predictor))
