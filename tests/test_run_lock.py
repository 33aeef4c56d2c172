"""One run at a time in a folder of results, and what becomes of runs that are killed."""

import contextlib
import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from goldfold.base import run_lock, status
from goldfold.base.errors import GoldfoldError
from goldfold.base.files import read_json
from test_workflow import command, jobs_of, snakemake, write_config, write_images

RESULTS = "results/tiny"
SLOW = {"train": {"epochs": 100_000, "batch_size": 8, "warmup_epochs": 0}, "pseudo_labels": {"rounds": 0}}
"""Changes of TINY with which a training does not end by itself."""


def wait_for(condition: Callable[[], Any], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(0.1)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


class Runs:
    """Runs in one folder, each with its output in a file."""

    def __init__(self, folder: Path, code: Path) -> None:
        self.folder, self.code = folder, code
        self.started: list[subprocess.Popen[str]] = []

    def start(self) -> subprocess.Popen[str]:
        self.output = self.folder / f"output{len(self.started)}.txt"
        with open(self.output, "w") as stream:
            run = subprocess.Popen(
                **command(self.folder, code=self.code), stdout=stream, stderr=stream, start_new_session=True
            )
        self.started.append(run)
        return run

    def trainings(self) -> list[int]:
        """Processes that have made a step."""
        entries = status.listing(self.folder / "results")
        return [entry["pid"] for entry in entries if entry["job"].startswith("train") and entry.get("done")]

    def wait_for_training(self, run: subprocess.Popen[str]) -> list[int]:
        wait_for(lambda: self.trainings() or run.poll() is not None, 180, "a training")
        assert run.poll() is None, self.output.read_text()
        return self.trainings()

    def end(self) -> None:
        """Leave no process behind, whatever a test did."""
        for run in self.started:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(run.pid, signal.SIGKILL)
            run.wait()


@pytest.fixture(scope="module")
def runs(code: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("killed")
    write_images(folder)
    write_config(folder, **SLOW)
    made = Runs(folder, code)
    yield made
    made.end()


def test_a_second_run_is_refused_and_a_dry_run_is_not(runs: Runs) -> None:
    first = runs.start()
    runs.wait_for_training(first)
    holder = read_json(runs.folder / RESULTS / ".lock")
    second = snakemake(runs.folder, code=runs.code)
    said = f"another run works in {RESULTS}: process {first.pid} on {holder['host']}, since {holder['since']}."
    assert second.returncode != 0
    assert f"{said} Wait for it, or stop it; nothing was started." in second.stdout + second.stderr
    assert "Traceback" not in second.stdout + second.stderr
    assert "rule train" not in second.stdout + second.stderr
    assert jobs_of(snakemake(runs.folder, "-n", code=runs.code))["train"] == 4
    assert first.poll() is None


def test_jobs_of_a_killed_run_leave_within_seconds(runs: Runs) -> None:
    first = runs.started[0]
    pids = runs.trainings()
    assert pids
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    wait_for(lambda: not any(map(is_alive, pids)), 15, "the jobs to leave")
    assert runs.trainings() == []
    logs = [path.read_text() for path in (runs.folder / RESULTS / "logs/train").rglob("*.log")]
    assert "the run that started this job is gone; leaving" in "".join(logs)
    assert not list((runs.folder / RESULTS / "train").rglob("run.json"))


def test_the_next_run_needs_no_unlock_even_after_the_whole_group_was_killed(runs: Runs) -> None:
    for _ in range(2):
        run = runs.start()
        pids = runs.wait_for_training(run)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        wait_for(lambda pids=pids: not any(map(is_alive, pids)), 15, "the jobs to leave")


def test_states_stay_until_snakemake_knows_that_a_training_is_done_and_no_longer(
    tiny_run: Path, code: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(tiny_run, folder, symlinks=True)
    done, again = (folder / RESULTS / "train" / name / "round0/fold0/seed0" for name in ("slim", "wide"))
    before = (again / "model.safetensors").read_bytes()
    shutil.rmtree(again)
    (done / "state.pt").write_text("of a job that was killed before its record was known to Snakemake")
    last = str((again / "run.json").relative_to(folder))
    run = snakemake(folder, last, "--config", "runtime={save_minutes: 1e-5}", code=code)
    assert run.returncode == 0, run.stdout + run.stderr
    assert (again / "model.safetensors").read_bytes() == before
    assert not list(folder.rglob("state.pt"))


def outputs_of(folder: Path) -> dict[str, bytes]:
    results = folder / RESULTS
    names = ("train/**/*.safetensors", "train/**/*.csv", "predict/**/*.npz", "pseudo/**/*.csv", "ensemble/*.npz")
    files = [path for name in names for path in results.glob(name)]
    files += [results / name for name in ("submission.csv", "metrics.json", "leaderboard.csv")]
    return {str(path.relative_to(results)): path.read_bytes() for path in files}


def test_a_run_after_kills_and_beside_others_gives_the_very_bytes_of_one_in_peace(runs: Runs, tiny_run: Path) -> None:
    write_config(runs.folder)
    run = runs.start()
    runs.wait_for_training(run)
    for words in ([], ["-n"]):  # neither may change what the run that goes on computes
        other = snakemake(runs.folder, *words, "--config", "tta=[hflip]", code=runs.code)
        assert bool(other.returncode) == (not words), other.stdout + other.stderr
    assert run.wait(timeout=600) == 0, runs.output.read_text()
    made, expected = outputs_of(runs.folder), outputs_of(tiny_run)
    assert len(expected) > 8 * 4
    assert set(made) == set(expected)
    assert {path for path in expected if made[path] != expected[path]} == set()
    assert jobs_of(snakemake(runs.folder, "-n", code=runs.code)) == {}


# --- a file system without locks

NO_LOCKS = """
import errno, os, sys, time
from goldfold.base import run_lock
def flock(*_):
    raise OSError(errno.{name}, "no locks")
run_lock.fcntl.flock = flock
run_lock.POLL_SECONDS = 0.05
"""
RUN = f"{NO_LOCKS}\nrun_lock.take(sys.argv[1])\nprint(os.environ[run_lock.VARIABLE], flush=True)\ntime.sleep(60)"
JOB = f"{NO_LOCKS}\nrun_lock.leave_with_the_run()\nprint('works', flush=True)\ntime.sleep(60)"


def no_locks(*_: object) -> None:
    raise OSError(errno.ENOSYS, "Function not implemented")


Begin = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    """Start a run in tmp_path/results, or a job, where there are no locks."""
    for name in (run_lock.VARIABLE, "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    started = []

    def start(code: str, error: str = "ENOSYS", **environment: str) -> "subprocess.Popen[str]":
        words = [sys.executable, "-c", code.replace("{name}", error), str(tmp_path / "results")]
        pipe, variables = subprocess.PIPE, {**os.environ, **environment}
        started.append(subprocess.Popen(words, stdout=pipe, text=True, env=variables))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("error", ["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def test_without_locks_a_job_stays_while_its_run_lives_and_leaves_when_it_was_killed(begin: Begin, error: str) -> None:
    run = begin(RUN, error)
    assert run.stdout is not None
    variable = run.stdout.readline().strip()
    job = begin(JOB, error, GOLDFOLD_RUN=variable)
    assert job.stdout is not None
    assert job.stdout.readline() == "works\n"
    time.sleep(0.5)
    assert job.poll() is None
    run.kill()  # a zombie, until it is waited for
    assert job.wait(timeout=20) == -signal.SIGTERM
    assert job.stdout.read() == "the run that started this job is gone; leaving\n"


def test_without_locks_a_second_run_is_refused_until_the_first_is_gone(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin(RUN)
    assert first.stdout is not None
    assert first.stdout.readline()
    monkeypatch.setattr(run_lock.fcntl, "flock", no_locks)
    monkeypatch.setenv(run_lock.VARIABLE, "")
    message = rf"another run works in .*results: process {first.pid} on {socket.gethostname()}, since 2.*nothing was"
    with pytest.raises(GoldfoldError, match=message):
        run_lock.take(tmp_path / "results")
    first.kill()
    first.wait()
    run_lock.take(tmp_path / "results")
    assert read_json(tmp_path / "results/.lock")["pid"] == str(os.getpid())


@pytest.mark.parametrize("change", [{"born": "1"}, {"host": "another"}, {"pid": "?"}])
def test_without_locks_a_later_process_of_the_same_number_is_not_taken_for_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, str]
) -> None:
    monkeypatch.setattr(run_lock.fcntl, "flock", no_locks)
    monkeypatch.setenv(run_lock.VARIABLE, "")
    run_lock.take(tmp_path)
    with pytest.raises(GoldfoldError, match="another run works in"):
        run_lock.take(tmp_path)
    (tmp_path / ".lock").write_text(json.dumps(read_json(tmp_path / ".lock") | change))
    run_lock.take(tmp_path)
