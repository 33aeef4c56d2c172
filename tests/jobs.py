"""Trainings in processes of their own, as jobs are, for tests that kill them."""

import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from conftest import Tiny
from goldfold.base.fingerprint import sha256_of
from goldfold.stages import train


class Told:
    """Progress in a file, for another process to read."""

    def __init__(self, path: Path) -> None:
        self.path, self.done, self.total = path, 0, 0

    def __call__(self, total: int, unit: str) -> "Told":
        self.total = total
        return self

    def go_on_from(self, done: int) -> None:
        self.done = done

    def advance(self, n: int = 1, note: str = "") -> None:
        self.done += n
        self.path.write_text(str(self.done))

    def close(self) -> None:
        pass


def train_in_a_process(settings: dict[str, Any], log: Path, python: str = sys.executable) -> None:
    """One training, its prints in ``log``, its facts and steps beside it, signals as a job has them.

    Args:
        python: starts the processes of a group.
    """
    sys.executable = python
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    stream = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(stream, 1)
    os.dup2(stream, 2)
    torch.set_num_threads(1)
    facts = train.run(**settings, progress=Told(log.with_suffix(".step")))
    log.with_suffix(".json").write_text(json.dumps(facts))


class Jobs:
    """Starts trainings as forks of a process that has the libraries in memory: a try costs no import of torch."""

    def __init__(self, python: str = sys.executable) -> None:
        self.python = python
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["jobs", "timm.optim", "goldfold.metrics.classification", "albumentations"])
        self.started: list[Any] = []

    def start(self, settings: dict[str, Any], log: Path) -> Any:
        """A process group of one, which trains."""
        process = self.context.Process(target=train_in_a_process, args=(settings, log, self.python))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(Path(__file__).parent))  # for the first process, which starts all others
            process.start()
        self.started.append(process)
        return process

    def end(self) -> None:
        """Leave none behind."""
        for process in self.started:
            process.kill()
            process.join()


def settings_of_job(tiny: Tiny, folder: Path, **settings: Any) -> dict[str, Any]:
    """What Tiny.train runs the stage with."""
    given: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train, "run", lambda **settings: given.update(settings))
        tiny.train(folder, **settings)
    return given


def status_of(process: Any) -> int:
    """Status of a process that ends by itself."""
    process.join(120)
    assert process.exitcode is not None, "it hangs"
    return int(process.exitcode)


def until(there: Callable[[], Any], seconds: float = 120.0, what: str = "it", every: float = 0.002) -> None:
    """Wait for something that must come, looking ``every`` so many seconds."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, f"waited {seconds:g} s for {what}"
        time.sleep(every)


def is_alive(pid: int) -> bool:
    """Whether a process runs."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends meanwhile
        return False


def bytes_of(folder: Path) -> dict[str, str]:
    """Digests of all that a run leaves behind, hidden files included, but for a state: predictions take that away."""
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir()) if path.name != "state.pt"}
