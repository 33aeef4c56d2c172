"""The detector of finished results in two stages: where it is, and boxes that it predicted or predicts."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import tasks
from goldfold.bundles.export import export
from goldfold.bundles.finished import ENSEMBLE, FOLDS, Finished
from goldfold.bundles.loading import load
from goldfold.crop.detector import OOF, of_table
from goldfold.ensembling.members import of_folds
from goldfold.planning.runs import Member
from goldfold.predictions.arrays import Arrays
from goldfold.predictions.arrays import load as load_arrays


def boxes_of(found: Finished, part: str, member: str | None) -> pd.DataFrame:
    """Boxes that a finished detector predicted for ``oof``, ``test`` or ``holdout``: `goldfold.crop.detector.COLUMNS`.

    Args:
        member: name of a member; None for the ensemble.

    Raises:
        DataError: the predictions are missing, or are not those that were fused.
    """
    if member is None:
        arrays = load_arrays(found.file(f"ensemble/{part}.npz", ENSEMBLE))
    else:
        arrays = _of_member(found, part, next(one for one in found.grid.members if one.name == member))
    return of_table(tasks.tables(found.settings["task"], _classes(found)).table(arrays))


def _of_member(found: Finished, part: str, member: Member) -> Arrays:
    """Predictions of a member: of each image by the network of its fold, or of a split by all its networks."""
    task, whole = tasks.output(found.settings["task"], _classes(found)), found.grid
    runs = whole.runs_of(member, whole.last) if part == OOF else found.full.tested(whole, member)
    parts = [load_arrays(found.predicted(run, part)) for run in runs]
    return task.join(parts) if part == OOF else of_folds(task, parts, found.settings["settings"], 1)


def _classes(found: Finished) -> list[str]:
    return list(found.json("folds/classes.json", FOLDS))


def predicted_by(found: Finished, paths: Sequence[str], member: str | None, **how: Any) -> pd.DataFrame:
    """Boxes that the networks of a finished detector predict in other images, see `goldfold.bundles.loading.Bundle.boxes`."""
    with tempfile.TemporaryDirectory(prefix="goldfold-") as folder:
        bundle = Path(folder) / "detector"
        trusted = [place.partition(":")[0] for place in export(found.root, bundle).own_code]
        return load(bundle, trusted).boxes(paths, member, **how)
