"""Allow one run at a time per results folder, by OS file locks that the kernel frees when their holder dies.

On a file system without locks (Lustre mounted without ``flock``), the run's process is checked instead, which works on
its own host only.
"""

import fcntl
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from goldfold.base.errors import GoldfoldError
from goldfold.base.files import read_json
from goldfold.base.processes import born, lives

VARIABLE = "GOLDFOLD_RUN"
"""Environment variable that identifies the run to its jobs: the lock's path, the host and the run's token."""
FOLDER = Path(".goldfold/locks")
"""Locks of jobs, by the path of their record."""
POLL_SECONDS = 1.0
GRACE_SECONDS = 60.0
"""Time that a job has to save its state before it is killed."""

_kept: list[TextIO] = []


def take(results: str | Path) -> None:
    """Hold the lock of a results folder until this process ends.

    Raises:
        GoldfoldError: another run is using the folder.
    """
    path = Path(results) / ".lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = open(path, "a+", encoding="utf-8")  # noqa: SIM115 (held until the process ends)
    other, free = _content(path), _locked(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    if free is False or (free is None and lives(other)):
        raise GoldfoldError(
            f"another run is using {results}: process {other.get('pid', '?')} on {other.get('host', '?')}, "
            f"since {other.get('since', '?')}. Wait for it, or stop it; nothing was started."
        )
    host, token = socket.gethostname(), uuid.uuid4().hex
    own = {"pid": str(os.getpid()), "host": host, "since": time.strftime("%Y-%m-%d %H:%M:%S"), "token": token}
    own["born"] = born(own["pid"])
    stream.seek(0)
    stream.truncate()
    stream.write(json.dumps(own))
    stream.flush()
    _kept.append(stream)
    os.environ[VARIABLE] = json.dumps([os.path.abspath(path), host, token])


def is_held(results: str | Path) -> bool:
    """True if a run is using a results folder."""
    path = Path(results) / ".lock"
    try:
        with open(path, encoding="utf-8") as stream:
            free = _locked(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    return free is False or (free is None and lives(_content(path)))


def holders(root: str | Path) -> list[dict[str, str]]:
    """Active runs below ``root``: experiment, pid, host, since."""
    folders = sorted(path.parent for path in Path(root).glob("*/.lock"))
    return [{"experiment": folder.name, **_content(folder / ".lock")} for folder in folders if is_held(folder)]


def _locked(stream: TextIO, mode: int) -> bool | None:
    """True if the lock was acquired; None on a file system without locks."""
    try:
        fcntl.flock(stream, mode)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _content(path: Path) -> dict[str, str]:
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


@contextmanager
def held(record: Path, other: str = "the same job of an earlier run") -> Iterator[bool]:
    """Be the only job that works on ``record``; wait for a job left over from a killed run.

    Args:
        other: description of the other holder, for the log.

    Yields:
        True if the lock is held; False on a file system without locks.
    """
    path = FOLDER / f"{record}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        got = _locked(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if got is False:
            print(f"waiting for {other} to end", flush=True)
            got = _locked(stream, fcntl.LOCK_EX)
        yield got is True


def leave_with_the_run() -> None:
    """End this process soon after the run that started it has been killed.

    SIGTERM comes first, so that a training saves its state. Jobs of a cluster's scheduler are left alone.
    """
    if VARIABLE not in os.environ or "SLURM_JOB_ID" in os.environ:
        return
    path, host, token = json.loads(os.environ[VARIABLE])
    if host == socket.gethostname():
        threading.Thread(target=_watch, args=(Path(path), token), daemon=True).start()


def _watch(path: Path, token: str) -> None:
    while _runs(path, token):
        time.sleep(POLL_SECONDS)
    print("the run that started this job has ended; stopping", flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_SECONDS)
    os.kill(os.getpid(), signal.SIGKILL)


def _runs(path: Path, token: str) -> bool:
    """True if the lock's holder is alive and still the run with this token."""
    try:
        with open(path, encoding="utf-8") as stream:
            free, run = _locked(stream, fcntl.LOCK_SH | fcntl.LOCK_NB), _content(path)
            return run.get("token") == token and (lives(run) if free is None else not free)
    except OSError:
        return False
