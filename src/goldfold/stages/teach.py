"""Stage teach: trained network and cache -> predictions of the images that it was trained on, for its students."""

from typing import Any

from goldfold.inference.features import with_features
from goldfold.predicting import predict
from goldfold.tables import read_table


def run(folder: str, fold_file: str, **member: Any) -> None:
    """Write ``train.npz``, predictions and features of the labelled training images of the fold, into ``folder``.

    Features are always written, so that a student that asks for them later reruns nothing but itself.

    Args:
        member: the trained member, its images and views, see `goldfold.predicting.predict`.
    """
    table = read_table(fold_file)
    predict(
        folder, {"train": table[table["split"] == "train"].reset_index(drop=True)}, observed=with_features, **member
    )
