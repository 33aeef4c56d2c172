"""Trainings on all labelled rows: number of epochs from the trainings on the folds, and no validation.

The schedule is that of the folds, planned for the epochs of the config, and the training ends where those of the folds ended
in the median: up to there it has the learning rates that their chosen networks had. An epoch has more steps, since it has more
rows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd

from goldfold.engine.hooks.best import best_epoch
from goldfold.engine.hooks.last_epoch import LastEpoch

if TYPE_CHECKING:
    from torch import nn

    from goldfold.engine.loop import Pause
    from goldfold.metrics import Metric
    from goldfold.training.spec import Train

NAME = "full_data"
"""Name of what ends such a training, in ``training.stopped``."""


def no_scores(network: nn.Module, pause: Pause) -> Mapping[str, float]:
    """Validate nothing: no row is held out."""
    return {}


def epochs_of(history: pd.DataFrame, train: Train, metric: Metric) -> int:
    """Return the number of epochs after which the network of a training was kept.

    >>> from types import SimpleNamespace as Any
    >>> history = pd.DataFrame({"epoch": [0, 1, 2], "accuracy": [0.5, 0.7, 0.6]})
    >>> [epochs_of(history, Any(checkpoint=kept), Any(name="accuracy", greater_is_better=True)) for kept in ("best", "last")]
    [2, 3]
    """
    found = None
    if train.checkpoint == "best" and metric.name in history:
        validated = history[history[metric.name].notna()]
        place = best_epoch(validated[metric.name].tolist(), metric.greater_is_better)
        found = None if place is None else int(validated["epoch"].iloc[place]) + 1
    return len(history) if found is None else found


def median_of(numbers: Sequence[int]) -> int:
    """Return the median, halves rounded up.

    >>> median_of([7, 8]), median_of([3, 9, 4])
    (8, 4)
    """
    return math.floor(median(numbers) + 0.5)


def last_epoch(histories: Sequence[str], train: Train, metric: Metric) -> tuple[dict[str, LastEpoch], dict[str, Any]]:
    """Build the hook that ends a training on all rows, and facts for its record; both empty if the config decides alone.

    Args:
        histories: ``history.csv`` of the trainings on the folds.
        metric: score that chooses the best epoch.
    """
    if not histories:
        return {}, {}
    numbers = [epochs_of(pd.read_csv(path), train, metric) for path in histories]
    chosen, listed = median_of(numbers), ", ".join(map(str, numbers))
    print(f"{chosen} of {train.epochs} epochs: the median over the folds and seeds ({listed})", flush=True)
    why = f"the median of the epochs of folds and seeds ({listed}) is {chosen}"
    hooks = {NAME: LastEpoch(NAME, chosen, why)} if chosen < train.epochs else {}
    return hooks, {"epochs_of_folds": numbers}
