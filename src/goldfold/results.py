"""Reading a finished run: scores, leaderboard and predictions."""

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from goldfold import components
from goldfold.bundles.finished import ENSEMBLE, Finished, finished
from goldfold.metrics import Score
from goldfold.predictions.arrays import Arrays, load


@dataclass(frozen=True)
class Results:
    """The folder of a finished run; each file is checked against its record when it is first read."""

    folder: Path
    _found: Finished = field(repr=False)

    @property
    def name(self) -> str:
        """Name of the experiment."""
        return self._found.name

    @property
    def task(self) -> str:
        """``classification``, ``multilabel``, ``regression``, ``segmentation``, ``detection``, ``points``, or one of
        your own."""
        return str(self._found.settings["task"]["name"])

    @property
    def metric(self) -> str:
        """Name of the primary metric."""
        return components.label(self._found.settings["metric"])

    @property
    def score(self) -> Score:
        """Out-of-fold score of the ensemble by the primary metric: ``value``, ``low`` and ``high`` (95 % interval)."""
        return self.metrics[self.metric]

    @property
    def optimistic(self) -> Score | None:
        """The score with ensemble steps fitted on the very images that are scored; None if no step was fitted."""
        found = self._scores.get("optimistic")
        return None if found is None else _score(found[self.metric])

    @cached_property
    def metrics(self) -> dict[str, Score]:
        """Out-of-fold scores of the ensemble by every metric of the task."""
        return {name: _score(found) for name, found in self._scores["oof"].items()}

    @cached_property
    def test_metrics(self) -> dict[str, Score]:
        """Scores on the test images by every metric; empty if their targets are not known."""
        return {name: _score(found) for name, found in self._scores.get("test", {}).items()}

    @cached_property
    def members(self) -> dict[str, Score]:
        """Out-of-fold score of each member by the primary metric."""
        return {name: _score(found[self.metric]) for name, found in self._scores["members"].items()}

    @cached_property
    def leaderboard(self) -> pd.DataFrame:
        """Members and ensemble of the last round, best first: member, round, the metric, low, high."""
        return pd.read_csv(self._file("leaderboard.csv"))

    @cached_property
    def oof(self) -> pd.DataFrame:
        """Out-of-fold predictions of the ensemble with the true targets; one row per box or point for detection and points."""
        return pd.read_csv(self._file("ensemble/oof.csv"), dtype={"id": str})

    @cached_property
    def test(self) -> pd.DataFrame | None:
        """Predictions of the test images; None if there are no test images."""
        if not self._found.settings["has_test"]:
            return None
        return pd.read_csv(self._file("ensemble/test.csv"), dtype={"id": str})

    def arrays(self, part: str = "oof") -> Arrays:
        """Predictions of ``oof`` or ``test`` as arrays: ``ids``, ``classes`` and the task's own."""
        return load(self._file(f"ensemble/{part}.npz"))

    @cached_property
    def _scores(self) -> dict[str, Any]:
        return dict(self._found.json("metrics.json", ENSEMBLE))

    def _file(self, name: str) -> Path:
        return self._found.file(name, ENSEMBLE)


def open_results(folder: str | Path) -> Results:
    """Open the folder of a finished run.

    Raises:
        DataError: it is not the folder of a run, or the run has not finished.
    """
    return Results(Path(folder), finished(folder))


def _score(found: dict[str, float | None]) -> Score:
    """A score from metrics.json, where null means not available (NaN)."""
    values = {key: float("nan") if value is None else value for key, value in found.items()}
    return Score(values["value"], values["low"], values["high"])
