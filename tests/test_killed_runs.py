"""One run of the whole workflow at a time, and what becomes of runs whose Snakemake is killed, alone or with its jobs."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from goldfold.base import status
from goldfold.base.files import read_json
from goldfold.stages import train
from jobs import is_alive, until
from test_workflow import TINY, command, jobs_of, snakemake, write_config, write_images

RESULTS = "results/tiny"
N_EPOCHS = 40
LONG = {
    "train": {**TINY["train"], "epochs": N_EPOCHS},  # type: ignore[dict-item]
    "runtime": {"save_minutes": 1e-3},
    "models": TINY["models"][:1],  # type: ignore[index]
    "pseudo_labels": {"rounds": 0},
}
TRAININGS = tuple(f"{RESULTS}/train/wide/round0/fold{fold}/seed0/run.json" for fold in (0, 1))
"""What each run is asked for."""
OTHER_VIEWS = ("--config", "tta=[hflip]")


class Runs:
    """Runs in one folder, each with its output in a file."""

    def __init__(self, folder: Path, code: Path) -> None:
        self.folder, self.code = folder, code
        self.started: list[subprocess.Popen[str]] = []

    def start(self, python: str) -> "subprocess.Popen[str]":
        self.output = self.folder / f"output{len(self.started)}.txt"
        with open(self.output, "w") as stream:
            run = subprocess.Popen(
                **command(self.folder, *TRAININGS, code=self.code, python=python),
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        self.started.append(run)
        return run

    def start_and_wait_for_states(self, python: str = "") -> tuple["subprocess.Popen[str]", list[int]]:
        """A run, and its two trainings, each of which has saved a state in it and was paused then.

        Args:
            python: as of `command`; without one, the processes are not of the group of what is started.
        """
        before, run, paused = self.states(), self.start(python), dict[str, int]()

        def is_each_paused() -> bool:
            saved = {path.parent.relative_to(self.folder / RESULTS).as_posix() for path, _ in self.states() - before}
            for job, pid in self.trainings().items():
                if job not in paused and job in saved:
                    os.kill(pid, signal.SIGSTOP)
                    paused[job] = pid
            return len(paused) == 2

        until(lambda: run.poll() is not None or is_each_paused(), 120, "two states", every=0.02)
        assert run.poll() is None, self.output.read_text()
        return run, list(paused.values())

    def trainings(self) -> dict[str, int]:
        """By folder, the processes of trainings that are running."""
        entries = status.listing(self.folder / "results")
        words = {entry["pid"]: entry["job"].split() for entry in entries if entry["job"].startswith("train")}
        places = {pid: dict(word.split("=") for word in of[1:]) for pid, of in words.items()}
        return {"train/{model}/round{round}/fold{fold}/seed{seed}".format(**of): pid for pid, of in places.items()}

    def states(self) -> set[tuple[Path, int]]:
        found = (self.folder / RESULTS / "train").rglob("state.pt")
        return {(path, path.stat().st_mtime_ns) for path in found}

    def end(self) -> None:
        """Leave no process behind, whatever a test did."""
        for run in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()
        for pid in self.trainings().values():
            os.kill(pid, signal.SIGKILL)


def go_on(pids: list[int]) -> None:
    """Resume paused processes."""
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def runs(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("killed")
    write_images(folder)
    write_config(folder, **LONG)
    first = snakemake(folder, "--until", "cache", code=code)
    assert first.returncode == 0, first.stdout + first.stderr
    made = Runs(folder, code)
    yield made
    made.end()


@pytest.mark.parametrize("victims", ["both", "snakemake"])
def test_jobs_of_a_killed_run_leave_within_seconds_and_the_next_needs_no_unlock(runs: Runs, victims: str) -> None:
    run, pids = runs.start_and_wait_for_states()
    for pid in [run.pid, *(pids if victims == "both" else [])]:
        os.kill(pid, signal.SIGKILL)
    go_on(pids if victims == "snakemake" else [])
    assert run.wait(timeout=120) != 0
    until(lambda: not any(map(is_alive, pids)), 15, "the jobs to leave")
    assert not runs.trainings()
    assert not list((runs.folder / RESULTS / "train").rglob("run.json"))
    if victims == "snakemake":
        logs = [path.read_text() for path in (runs.folder / RESULTS / "logs/train").rglob("*.log")]
        assert "the run that started this job has ended; stopping" in "".join(logs)


def test_a_second_run_is_refused_and_a_dry_run_is_not(runs: Runs) -> None:
    """Neither changes what the run that goes on computes: see the next test."""
    first, pids = runs.start_and_wait_for_states(sys.executable)
    holder = read_json(runs.folder / RESULTS / ".lock")
    second = snakemake(runs.folder, *OTHER_VIEWS, code=runs.code)
    told = second.stdout + second.stderr
    said = f"another run is using {RESULTS}: process {first.pid} on {holder['host']}, since {holder['since']}."
    assert second.returncode != 0
    assert f"{said} Wait for it, or stop it; nothing was started." in told
    assert "Traceback" not in told
    assert "rule train" not in told
    assert jobs_of(snakemake(runs.folder, "-n", *OTHER_VIEWS, code=runs.code))["predict"] == 2
    go_on(pids)


def test_a_run_after_kills_and_beside_others_gives_the_very_bytes_of_one_in_peace(runs: Runs, tmp_path: Path) -> None:
    """In peace, its trainings are run here: one process, one go."""
    last = runs.started[-1]
    assert last.wait(timeout=600) == 0, runs.output.read_text()
    assert jobs_of(snakemake(runs.folder, "-n", *TRAININGS, code=runs.code)) == {}
    for fold in (0, 1):
        place = runs.folder / RESULTS / f"train/wide/round0/fold{fold}/seed0"
        record = read_json(place / "run.json")
        resumed = record["resumed_at_step"]
        assert len(resumed) == 2, "each run went on from what the one before had saved"
        assert resumed == sorted(resumed)
        peace = tmp_path / str(fold)
        peace.mkdir()
        train.run(
            folder=str(peace),
            fold_file=str(runs.folder / RESULTS / f"folds/fold{fold}.csv"),
            classes=str(runs.folder / RESULTS / "folds/classes.json"),
            caches=[str(path) for path in sorted((runs.folder / RESULTS / "cache/12x12-squash").glob("train-*"))],
            pseudo=None,
            **with_work_of_a_job(record["recipe"]["settings"]),
        )
        names = {path.name for path in peace.iterdir()}
        assert names >= {"model.safetensors", "best.safetensors", "history.csv"}
        assert {path.name for path in place.iterdir()} == names | {"run.json"}
        assert [name for name in names if (place / name).read_bytes() != (peace / name).read_bytes()] == []
        assert len(pd.read_csv(peace / "history.csv")) == N_EPOCHS


def with_work_of_a_job(settings: dict[str, Any]) -> dict[str, Any]:
    """With what Snakemake gives a training besides its recipe."""
    return {**settings, "runtime": {**settings["runtime"], "loader_workers": 0, "save_minutes": 5.0}}
