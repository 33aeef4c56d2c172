"""Finished results, checked against the records of their jobs."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from goldfold.base.errors import DataError
from goldfold.base.files import read_json
from goldfold.ensembling.steps import weights_of
from goldfold.lineage import contents, records
from goldfold.planning import runs as planned
from goldfold.planning.full import FullData, full_of
from goldfold.planning.grid import Grid, grid
from goldfold.planning.outputs import SEALED
from goldfold.planning.runs import WHOLE, Member

ENSEMBLE, FOLDS, MANIFEST = "ensemble/run.json", "folds/run.json", "manifest/run.json"
SUBMIT = "submission.run.json"


@dataclass(frozen=True)
class Run:
    """One network of an ensemble, from the last round in which its model was trained."""

    member: Member
    """Member whose test prediction it is part of; the network itself may have another seed, if it is trained on all rows."""
    seed: int
    fold: int
    """Number of the fold; `WHOLE` if it is trained on all rows."""
    path: Path
    """Weight file."""
    settings: dict[str, Any]
    """Settings of its prediction job."""

    @property
    def model(self) -> str:
        """Name of its model."""
        return self.member.model

    @property
    def label(self) -> str:
        """Name of its weights in a bundle.

        >>> Run(Member("net", 0), 3, WHOLE, Path(), {}).label, Run(Member("net", 0), 0, 1, Path(), {}).label
        ('net-full-seed3', 'net-seed0-fold1')
        """
        return f"{self.model}-full-seed{self.seed}" if self.fold == WHOLE else f"{self.member.name}-fold{self.fold}"


@dataclass(frozen=True)
class Finished:
    """A results folder, possibly moved; each file is compared with its record when it is accessed."""

    root: Path

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Settings of the ensemble: task, metric, models, seeds, folds, rounds, weights."""
        return dict(self.record(ENSEMBLE)["recipe"]["settings"])

    @cached_property
    def grid(self) -> Grid:
        """Members, rounds and runs."""
        settings = self.settings
        soups = settings.get("soups", ())
        return grid(settings["models"], settings["seeds"], settings["n_folds"], settings["rounds"], soups)

    @cached_property
    def full(self) -> FullData:
        """Networks that are trained on all rows, which predict test images."""
        return full_of(self.settings.get("full_data"))

    @property
    def pseudo_labelled(self) -> list[int]:
        """Numbers of the rounds trained on pseudo labels; a later round without a record counts as one."""
        later = [self.grid.runs([stage.number]) for stage in self.grid.rounds if stage.number]
        return [runs[0].round for runs in later if any(self._is_pseudo_labelled(run.folder) for run in runs)]

    def _is_pseudo_labelled(self, place: str) -> bool:
        record = records.read(self.root / f"train/{place}/run.json")
        return record is None or any(path.startswith(f"{self.prefix}pseudo/") for path in record["inputs"])

    @cached_property
    def weights(self) -> dict[str, float]:
        """Weight of each member by name: from the config, or fitted by the fusion step."""
        settings, members = self.settings, self.grid.members
        given = {member.name: float(settings["weights"].get(member.model, 1)) for member in members}
        given |= {name: float(settings["weights"].get(name, 1)) for name in settings.get("external", ())}
        return given if settings.get("fusion") is None else weights_of(self.steps[0]["fitted"], given)

    @property
    def voting_external(self) -> list[str]:
        """Members of other tools with weight above 0."""
        return [name for name in self.settings.get("external", ()) if self.weights[name] > 0]

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """Steps of the ensemble with their fitted parameters, the fusion first."""
        has_steps = self.settings.get("fusion") is not None or self.settings.get("postprocessing")
        return list(self.json("ensemble/fitted.json", ENSEMBLE)["steps"]) if has_steps else [{"step": "average"}]

    @cached_property
    def prefix(self) -> str:
        """Path prefix of file names in the records: the folder in which the results were made."""
        made = next(path for path in self.record(ENSEMBLE)["outputs"] if path.endswith("ensemble/weights.json"))
        return made.removesuffix("ensemble/weights.json")

    @cached_property
    def name(self) -> str:
        """Name of the experiment."""
        return Path(self.prefix).name

    def record(self, name: str) -> records.Record:
        """Return the record of a job.

        Raises:
            DataError: the record is missing or cannot be read.
        """
        path = self.root / name
        if not self.root.is_dir():
            raise DataError(f"{self.root} is not a folder. Pass a results folder such as results/digits.")
        if not path.exists():
            raise DataError(f"{self.root} is not a finished run: {name} is missing. Run snakemake to completion first.")
        found = records.read(path)
        if found is None:
            raise DataError(f"{path} cannot be read as a record: truncated or edited. Run snakemake again.")
        return found

    def file(self, name: str, job: str) -> Path:
        """Return the path of a file that the job of the record ``job`` wrote.

        Raises:
            DataError: the file is missing or differs from the record.
        """
        self.digest(name, job)
        return self.root / name

    def json(self, name: str, job: str) -> Any:
        """Return the parsed content of such a file."""
        return read_json(self.file(name, job))

    def submission(self) -> str:
        """Return the digest of the submission, checked to be unedited and of the present ensemble and test images.

        Raises:
            DataError: there is none, it was edited, or ensemble or test images have changed.
        """
        if not self.settings["has_test"]:
            raise DataError(f"{self.root} has no submission: its config has no test images (data.test).")
        found = self.digest("submission.csv", SUBMIT)
        for name, made in (("ensemble/test.npz", ENSEMBLE), ("folds/test.csv", FOLDS)):
            self._same(name, self.digest(name, made), SUBMIT)
        return found

    def holdout(self) -> tuple[Path, Path]:
        """Return the ensemble's predictions of the sealed holdout, and the file of its truth.

        Raises:
            DataError: the run has no holdout, or its ensemble was made with other folds.
        """
        if not self.settings.get("has_holdout"):
            raise DataError(f"{self.root} has no holdout: its config sets none aside (holdout: {{share: 0.1}}).")
        self._same("folds/train.csv", self.digest("folds/train.csv", FOLDS), ENSEMBLE)
        return self.file("ensemble/holdout.npz", ENSEMBLE), self.file(f"folds/{SEALED}", FOLDS)

    def runs(self) -> Iterator[Run]:
        """Yield the latest networks of all trained models with weight above 0, each checked from training to fusion.

        Raises:
            DataError: a network is missing, or is not the one whose predictions were fused.
        """
        weights, whole, heads = self.weights, self.grid, self.heads
        for member in whole.members:
            for run in self.full.tested(whole, member) if weights[member.name] > 0 and member not in heads else []:
                yield Run(member, run.seed, run.fold, self._weights(run), self._predicted(run))

    @cached_property
    def heads(self) -> list[Member]:
        """Heads on frozen backbones with weight above 0."""
        return [
            member
            for member in self.grid.members
            if self.weights[member.name] > 0 and (self.root / "heads" / member.model / "run.json").exists()
        ]

    def fused(self, name: str, job: str) -> Path:
        """Return the path of predictions that the job of a record wrote, checked to be those that were fused."""
        self._same(name, self.digest(name, job), ENSEMBLE)
        return self.root / name

    def predicted(self, run: planned.Run, part: str) -> Path:
        """Return the path of the predictions of a run for ``oof`` or a split, checked to be those that were fused."""
        stage = _stages(run)[1]
        return self.fused(f"{stage}/{run.folder}/{part}.npz", f"{stage}/{run.folder}/run.json")

    def _weights(self, run: planned.Run) -> Path:
        """Return the weight file of a run, checked to be the one its predictions were made with."""
        train, predict = (f"{stage}/{run.folder}" for stage in _stages(run))
        name, made, used = f"{train}/model.safetensors", f"{train}/run.json", f"{predict}/run.json"
        self._same(name, self.digest(name, made), used)
        return self.root / name

    def _predicted(self, run: planned.Run) -> dict[str, Any]:
        """Return the prediction settings of a run, its out-of-fold predictions checked to be those that were fused; those of
        the test images, if it is trained on all rows."""
        folder, part = f"{_stages(run)[1]}/{run.folder}", "test" if run.fold == WHOLE else "oof"
        name, made = f"{folder}/{part}.npz", f"{folder}/run.json"
        self._same(name, self._recorded(name, made), ENSEMBLE)
        return dict(self.record(made)["recipe"]["settings"])

    def _recorded(self, name: str, job: str) -> str:
        """Return the digest of a file according to the record of the job that wrote it."""
        found: str | None = contents.written(self.record(job)).get(self.prefix + name)
        if found is None:
            raise DataError(f"{self.root / job} does not list {name}: it is from another run. Run snakemake again.")
        return found

    def digest(self, name: str, job: str) -> str:
        """Return the recorded digest, after checking that the file still matches it."""
        expected, path = self._recorded(name, job), self.root / name
        if not path.is_file():
            raise DataError(f"{path} is missing, though {job} lists it as written. Run snakemake again.")
        if contents.digest(path) != expected:
            raise DataError(
                f"{path} is not what its job wrote ({self.root / job}): edited, damaged, or from an unfinished run. Run "
                f"snakemake again; `goldfold verify {self.root}` lists all such files."
            )
        return expected

    def _same(self, name: str, digest: str, reader: str) -> None:
        """Refuse a file that changed after the job of ``reader`` read it."""
        if self.record(reader)["inputs"].get(self.prefix + name) != digest:
            raise DataError(
                f"{self.root} is not a finished run: {reader} was made from a version of {name} other than the present one. "
                "Run snakemake to completion first."
            )


def _stages(run: planned.Run) -> tuple[str, str]:
    """Stages that train a run and predict with it."""
    return ("full_train", "full_predict") if run.fold == WHOLE else ("train", "predict")


def finished(results: str | Path) -> Finished:
    """Open the results of a completed run.

    Raises:
        DataError: the folder has no completed run.
    """
    found = Finished(Path(os.fspath(results)))
    found.record(ENSEMBLE)
    return found
