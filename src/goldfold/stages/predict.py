"""Stage predict: trained network and cache -> predictions of its validation fold, test and unlabeled images."""

from typing import Any

from goldfold.predicting import predict
from goldfold.tables import read_table


def run(folder: str, fold_file: str, lists: dict[str, str], **member: Any) -> None:
    """Write ``oof.npz`` (validation images of the fold) and one file per split of ``lists`` into ``folder``.

    Args:
        lists: split (test, unlabeled) -> CSV of its images.
        member: the trained member, its images and views, see `goldfold.predicting.predict`.
    """
    table = read_table(fold_file)
    tables = {"oof": table[table["split"] == "val"].reset_index(drop=True)}
    tables |= {name: read_table(path) for name, path in lists.items()}
    predict(folder, tables, **member)
