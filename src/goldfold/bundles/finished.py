"""Results that are finished and still what the records of their jobs say."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from goldfold.base.errors import DataError
from goldfold.base.files import read_json
from goldfold.ensembling.steps import weights_of
from goldfold.grid import Grid, grid
from goldfold.lineage import contents, records

ENSEMBLE, FOLDS, MANIFEST = "ensemble/run.json", "folds/run.json", "manifest/run.json"


@dataclass(frozen=True)
class Run:
    """One network of an ensemble, of the last round in which its model was trained."""

    model: str
    seed: int
    fold: int
    path: Path
    """Its weights."""
    settings: dict[str, Any]
    """Those that it was predicted with."""


@dataclass(frozen=True)
class Finished:
    """A folder of results, wherever it lies now; every file is compared with its record when it is asked for."""

    root: Path

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Settings of the ensemble: task, metric, models, seeds, folds, rounds, weights."""
        return dict(self.record(ENSEMBLE)["recipe"]["settings"])

    @cached_property
    def grid(self) -> Grid:
        """Members, rounds and runs."""
        settings = self.settings
        return grid(settings["models"], settings["seeds"], settings["n_folds"], settings["rounds"])

    @property
    def taught(self) -> list[int]:
        """Numbers of the rounds that learned from pseudo labels, as far as their records are there."""
        first = (self.grid.runs([stage.number])[0] for stage in self.grid.rounds if stage.number)
        return [run.round for run in first if self._is_taught(run.folder)]

    def _is_taught(self, place: str) -> bool:
        record = records.read(self.root / f"train/{place}/run.json")
        return record is None or any(path.startswith(f"{self.prefix}pseudo/") for path in record["inputs"])

    @cached_property
    def weights(self) -> dict[str, float]:
        """Weight of each member by name: the one that was given, or that its fusion was fitted to."""
        settings, members = self.settings, self.grid.members
        given = {member.name: float(settings["weights"].get(member.model, 1)) for member in members}
        return given if settings.get("fusion") is None else weights_of(self.steps[0]["fitted"], given)

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """Each step of the ensemble with what it was fitted to, the fusion first."""
        has_steps = self.settings.get("fusion") is not None or self.settings.get("postprocessing")
        return list(self.json("ensemble/fitted.json", ENSEMBLE)["steps"]) if has_steps else [{"step": "average"}]

    @cached_property
    def prefix(self) -> str:
        """What stands before names in the records: the folder that the results were made in."""
        made = next(path for path in self.record(ENSEMBLE)["outputs"] if path.endswith("ensemble/weights.json"))
        return made.removesuffix("ensemble/weights.json")

    @cached_property
    def name(self) -> str:
        """Name of the experiment."""
        return Path(self.prefix).name

    def record(self, name: str) -> records.Record:
        """The record of a job.

        Raises:
            DataError: there is none, or it cannot be read.
        """
        path = self.root / name
        if not self.root.is_dir():
            raise DataError(f"{self.root} is not a folder. Name a folder of results such as results/digits.")
        if not path.exists():
            raise DataError(
                f"{self.root} is not a finished run: {name} is missing. Run snakemake to its end, then export."
            )
        found = records.read(path)
        if found is None:
            raise DataError(f"{path} cannot be read as a record: torn or edited. Run snakemake again.")
        return found

    def file(self, name: str, job: str) -> Path:
        """Path of a file that the job of the record ``job`` wrote.

        Raises:
            DataError: it is missing, or not what the record says.
        """
        self._digest(name, job)
        return self.root / name

    def json(self, name: str, job: str) -> Any:
        """Content of such a file."""
        return read_json(self.file(name, job))

    def runs(self) -> Iterator[Run]:
        """Latest networks of all models with a weight above 0, each checked: trained, predicted, fused.

        Raises:
            DataError: one is missing, or another than the one whose predictions were fused.
        """
        weights, whole = self.weights, self.grid
        for member in whole.members:
            for run in whole.runs_of(member, whole.last) if weights[member.name] > 0 else []:
                yield Run(run.model, run.seed, run.fold, self._weights(run.folder), self._predicted(run.folder))

    def _weights(self, place: str) -> Path:
        """Weights of a run, those that its predictions were made with."""
        name, made, used = f"train/{place}/model.safetensors", f"train/{place}/run.json", f"predict/{place}/run.json"
        self._same(name, self._digest(name, made), used)
        return self.root / name

    def _predicted(self, place: str) -> dict[str, Any]:
        """Settings of the prediction of a run, whose out-of-fold predictions are those that were fused."""
        name, made = f"predict/{place}/oof.npz", f"predict/{place}/run.json"
        self._same(name, self._recorded(name, made), ENSEMBLE)
        return dict(self.record(made)["recipe"]["settings"])

    def _recorded(self, name: str, job: str) -> str:
        """Digest of a file as the record of the job that wrote it has it."""
        found: str | None = contents.written(self.record(job)).get(self.prefix + name)
        if found is None:
            raise DataError(f"{self.root / job} does not know {name}: it is of another run. Run snakemake again.")
        return found

    def _digest(self, name: str, job: str) -> str:
        """The same, where the file is still so."""
        expected, path = self._recorded(name, job), self.root / name
        if not path.is_file():
            raise DataError(f"{path} is missing, of which {job} says that it was written. Run snakemake again.")
        if contents.digest(path) != expected:
            raise DataError(
                f"{path} is not what its job wrote ({self.root / job}): edited, damaged, or of a run that has not ended. Run "
                f"snakemake again; `goldfold verify {self.root}` names all such files."
            )
        return expected

    def _same(self, name: str, digest: str, reader: str) -> None:
        """Refuse a file that was made again since the job of ``reader`` read it."""
        if self.record(reader)["inputs"].get(self.prefix + name) != digest:
            raise DataError(
                f"{self.root} is not a finished run: {reader} was made from another {name} than the one that is there. Run "
                "snakemake to its end, then export."
            )


def finished(results: str | Path) -> Finished:
    """Results of a run that has come to its end.

    Raises:
        DataError: there are none.
    """
    found = Finished(Path(os.fspath(results)))
    found.record(ENSEMBLE)
    return found
