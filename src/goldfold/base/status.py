"""Running jobs and their progress: one small file per job, shown by ``goldfold status`` and as a progress bar."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from goldfold.base.files import read_json, write_json
from goldfold.base.processes import born, lives

FOLDER = ".status"
MIN_SECONDS_BETWEEN_WRITES = 1.0
DAY_SECONDS = 86400

terminal: TextIO | None = None
"""The stderr that the job was started with, where a progress bar may be drawn."""
_current: dict[str, Any] = {}
_path: Path | None = None


@contextmanager
def running(results: Path, name: str) -> Iterator[None]:
    """List this process as a running job during the block."""
    global _path
    _path = results / FOLDER / f"{socket.gethostname()}-{os.getpid()}.json"
    _current.update(
        job=name, host=socket.gethostname(), pid=os.getpid(), born=born(os.getpid()), started=time.time(), done=0, total=0,
        note="", written=0.0,
    )  # fmt: skip
    _write()
    try:
        yield
    finally:
        _path.unlink(missing_ok=True)
        _path = None


def first_step_at() -> float | None:
    """Time at which this job had completed its first unit of work (training step, batch); None before."""
    return _current.get("first_step_at")


def _write() -> None:
    if _path is not None:
        _current["written"] = time.time()
        with suppress(OSError):  # a full disk costs the entry, not the job
            write_json(_path, _current)


class Progress:
    """Progress of a job: a bar in a terminal, lines with an ETA in a log, the job's entry in the status list."""

    def __init__(self, total: int, unit: str, seconds_between_lines: float = 20.0) -> None:
        from tqdm import tqdm

        self.total, self.unit, self.every = total, unit, seconds_between_lines
        self.done, self.before, self.start, self.last_line = 0, 0, time.monotonic(), time.monotonic()
        screen = terminal if terminal is not None else sys.stderr
        self.bar = tqdm(total=total, desc=str(_current.get("job", "")), unit=unit, file=screen, leave=False,
                        disable=not screen.isatty(), dynamic_ncols=True)  # fmt: skip

    def go_on_from(self, done: int) -> None:
        """Start from ``done`` units completed by an earlier process."""
        self.done = self.before = done
        self.bar.initial = self.bar.n = done
        _current.update(before=done)

    def advance(self, n: int = 1, note: str = "") -> None:
        """Add ``n`` completed units; ``note`` is shown next to the count."""
        self.done += n
        _current.setdefault("first_step_at", time.time())
        self.bar.update(n)
        if note:
            self.bar.set_postfix_str(note, refresh=False)
        _current.update(done=self.done, total=self.total, note=note or _current.get("note", ""))
        if time.time() - _current.get("written", 0.0) > MIN_SECONDS_BETWEEN_WRITES:
            _write()
        if time.monotonic() - self.last_line > self.every:
            self.last_line = time.monotonic()
            print(
                f"{self.done}/{self.total} {self.unit}, {_clock(self.eta_seconds())} left {note}".rstrip(), flush=True
            )

    def end_here(self) -> None:
        """Count the completed units as all that there are: the work ended early."""
        self.total = self.bar.total = self.done
        _current.update(done=self.done, total=self.total)
        _write()

    def eta_seconds(self) -> float:
        """Seconds left at the pace so far."""
        return (time.monotonic() - self.start) / max(self.done - self.before, 1) * (self.total - self.done)

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()


def listing(root: Path) -> list[dict[str, Any]]:
    """Running jobs of all experiments below ``root``; entries of this host's dead processes are removed."""
    return [{"experiment": folder.name, **entry} for folder in sorted(root.glob("*")) for _, entry in _alive(folder)]


def forget_dead(results: str | Path) -> None:
    """Remove entries of killed jobs from a results folder that no other run is using.

    Entries of other hosts are removed after a day without an update: a cluster job may outlive the run that started it.
    """
    for file, entry in _alive(Path(results)):
        if entry["host"] != socket.gethostname() and entry.get("written", 0) < time.time() - DAY_SECONDS:
            file.unlink(missing_ok=True)


def _alive(results: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield entries of a results folder by file; remove those of dead processes of this host."""
    for file in sorted((results / FOLDER).glob("*.json")):
        try:
            entry = read_json(file)
        except (OSError, ValueError):
            continue
        if not isinstance(entry, dict) or not entry.keys() >= {
            "job",
            "host",
            "pid",
            "started",
            "done",
            "total",
            "note",
        }:
            continue
        if entry["host"] == socket.gethostname() and not lives(entry):
            file.unlink(missing_ok=True)
        else:
            yield file, entry


def describe(entry: dict[str, Any]) -> str:
    """One line: job, bar, ETA, note."""
    seconds, share = time.time() - entry["started"], entry["done"] / max(entry["total"], 1)
    bar = "#" * round(20 * share) + "." * (20 - round(20 * share))
    own = entry["done"] - entry.get("before", 0)
    eta = f"{_clock(seconds / own * (entry['total'] - entry['done']))} left" if own > 0 else "starting"
    head = f"{entry['experiment']}  {entry['job']}  [{bar}] {share:4.0%}"
    return f"{head}  {_clock(seconds)} run, {eta}  {entry['note']}".rstrip()


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
