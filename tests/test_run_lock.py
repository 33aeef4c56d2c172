"""One run at a time in a folder of results, where there are locks and where there are none."""

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

import pytest

from goldfold.base import run_lock
from goldfold.base.errors import GoldfoldError
from goldfold.base.files import read_json
from test_workflow import snakemake

RESULTS = "results/tiny"


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
    assert job.stdout.read() == "the run that started this job has ended; stopping\n"


def test_without_locks_a_second_run_is_refused_until_the_first_is_gone(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = begin(RUN)
    assert first.stdout is not None
    assert first.stdout.readline()
    monkeypatch.setattr(run_lock.fcntl, "flock", no_locks)
    monkeypatch.setenv(run_lock.VARIABLE, "")
    message = rf"another run is using .*results: process {first.pid} on {socket.gethostname()}, since 2.*nothing was"
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
    with pytest.raises(GoldfoldError, match="another run is using"):
        run_lock.take(tmp_path)
    (tmp_path / ".lock").write_text(json.dumps(read_json(tmp_path / ".lock") | change))
    run_lock.take(tmp_path)
