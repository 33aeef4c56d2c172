"""One training in several processes that compute together, a device each.

The first of them validates, writes and prints; the process that starts them only waits, and passes signals on. They are
started by ``python -m goldfold.engine.group``: a fork could not use a GPU, and multiprocessing's spawn would run the
main script (Snakemake's) once more in each.
"""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import Pipe
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, NoReturn

from goldfold.base.errors import GoldfoldError, Stopped, TrainingError, as_error
from goldfold.engine.parent import die_with

if TYPE_CHECKING:
    from goldfold.engine.stopping import Asked

PATIENCE = timedelta(days=7)
"""How long a process waits for another: the first validates alone. One that dies ends all the others at once."""
POLL_SECONDS = 0.1
LINGER_SECONDS = 5.0
"""How long a process that cannot go on waits to be ended with the others, before it tells of lost connections."""
HERE = "127.0.0.1"


@dataclass
class _Member:
    """A process of the group, and the pipe to it."""

    process: "subprocess.Popen[bytes]"
    pipe: Connection


def run_together(
    function: str, arguments: dict[str, Any], n: int, backend: str, progress: Callable[[int, str], Any]
) -> Any:
    """What ``function(**arguments, progress=...)`` returns in the first of ``n`` processes.

    Args:
        function: ``package.module:function``; arguments and result are plain builtins.
        backend: nccl for GPUs, gloo for the CPU.
        progress: (total, unit) -> what the first process's progress is told to.

    Raises:
        GoldfoldError: one of them failed.
        Stopped: a signal asked for the end.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    from goldfold.engine.stopping import signals_noted

    meeting = TCPStore(HERE, 0, is_master=True, wait_for_workers=False)  # on any free port
    with signals_noted() as asked:
        job = {"function": function, "arguments": arguments, "backend": backend, "n": n, "port": meeting.port}
        members: list[_Member] = []
        try:
            for rank in range(n):
                members.append(_start(rank, job))
            return _Watch(members, progress, asked).result()
        finally:
            for member in members:
                member.process.kill()
                member.process.wait()
                member.pipe.close()


def _start(rank: int, job: dict[str, Any]) -> _Member:
    ours, theirs = Pipe()
    n = str(job["n"])
    own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": n, "LOCAL_WORLD_SIZE": n}
    path = os.pathsep.join(place or os.getcwd() for place in sys.path)
    quiet = {"TORCH_CPP_LOG_LEVEL": "ERROR"}  # DDP warns of find_unused_parameters, which is there for its other effect
    defaults = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **quiet}  # threads are set again from the config
    command = [sys.executable, "-m", "goldfold.engine.group", str(theirs.fileno()), str(os.getpid())]
    process = subprocess.Popen(
        command, pass_fds=[theirs.fileno()], env={**defaults, **os.environ, **own, "PYTHONPATH": path}
    )
    theirs.close()
    with suppress(BrokenPipeError):  # it died already, which the watch finds
        ours.send({**job, "rank": rank})
    return _Member(process, ours)


class _Watch:
    """Waits for the members of a group, and tells their progress."""

    def __init__(self, members: list[_Member], progress: Callable[[int, str], Any], asked: "Asked") -> None:
        self.members, self.progress, self.asked = members, progress, asked
        self.shown: Any = None
        self.said: dict[str, Any] = {}
        """The first ``error``, ``stopped`` or ``result`` of any."""

    def result(self) -> Any:
        """What the first process returned, once all have ended well."""
        was_told = False
        while not self._ended():
            if self.asked.signal and not was_told:
                self.members[0].process.send_signal(self.asked.signal)
                was_told = True
            self._listen(POLL_SECONDS)
        self._listen(0)
        if self.shown is not None:
            self.shown.close()
        self._raise()
        return self.said["result"]

    def _ended(self) -> bool:
        codes = [member.process.poll() for member in self.members]
        return any(codes) or None not in codes or "error" in self.said or "stopped" in self.said

    def _listen(self, seconds: float) -> None:
        """Hear all that was told by now, waiting a little for the first word."""
        pipes = [member.pipe for member in self.members if not member.pipe.closed]
        if not wait(pipes, seconds) and not pipes:
            time.sleep(seconds)
        for pipe in pipes:
            try:
                while pipe.poll():
                    self._hear(*pipe.recv())
            except (EOFError, ConnectionError):
                pipe.close()

    def _hear(self, kind: str, value: Any) -> None:
        if kind not in ("go_on_from", "advance"):
            self.said.setdefault(kind, value)
            return
        total, unit, *told = value
        self.shown = self.shown or self.progress(total, unit)
        getattr(self.shown, kind)(*told)

    def _raise(self) -> None:
        failed = {rank: code for rank, member in enumerate(self.members) if (code := member.process.poll())}
        if "stopped" in self.said:
            raise Stopped(self.said["stopped"])
        if self.asked.signal and failed:  # before the first could save anything
            raise Stopped(128 + self.asked.signal)
        if "error" in self.said:
            raise GoldfoldError(self.said["error"])
        for rank, code in failed.items():
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            raise TrainingError(
                f"process {rank} of the {len(self.members)} that train together {how}. Its error stands above in the "
                f"log; SIGKILL without one is a lack of main memory: raise runtime.train_mem_mb."
            )


class Relay:
    """Progress of the first process, shown by the one that started it."""

    def __init__(self, send: Callable[[Any], None], total: int, unit: str) -> None:
        self.send, self.total, self.unit, self.done = send, total, unit, 0

    def go_on_from(self, done: int) -> None:
        """So many units were done by an earlier process."""
        self.done = done
        self.send(("go_on_from", (self.total, self.unit, done)))

    def advance(self, n: int = 1, note: str = "") -> None:
        """``n`` more units are done."""
        self.done += n
        self.send(("advance", (self.total, self.unit, n, note)))

    def close(self) -> None:
        """Nothing is drawn here."""


def _member(handle: int, parent: int) -> None:
    """Do one process's share."""
    die_with(parent)
    pipe = Connection(handle)
    job = pipe.recv()
    rank = job["rank"]
    if rank > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (until the process ends)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # the first is told, and its end ends all
    import torch
    from torch import distributed

    if job["backend"] == "nccl":
        torch.cuda.set_device(rank)
    meeting = distributed.TCPStore(HERE, job["port"])  # type: ignore[attr-defined]
    distributed.init_process_group(job["backend"], store=meeting, timeout=PATIENCE, world_size=job["n"], rank=rank)
    module, name = job["function"].split(":")
    function = getattr(importlib.import_module(module), name)

    def progress(total: int, unit: str) -> Relay:
        return Relay(pipe.send if rank == 0 else lambda message: None, total, unit)

    try:
        result = function(**job["arguments"], progress=progress)
    except GoldfoldError as error:
        _leave(pipe, "error", str(error))
    except Stopped as stop:
        _leave(pipe, "stopped", stop.code)
    except SystemExit as error:
        _leave(pipe, "error", str(as_error(error)))
    except RuntimeError:  # of a connection that another's end broke: then we are killed meanwhile, and say nothing
        time.sleep(LINGER_SECONDS)
        raise
    if rank == 0:
        pipe.send(("result", result))
    distributed.destroy_process_group()


def _leave(pipe: Connection, kind: str, value: Any) -> NoReturn:
    """Say why, and wait for the end of all: the others' connections to us hold until then."""
    pipe.send((kind, value))
    time.sleep(LINGER_SECONDS)
    raise SystemExit(1)


if __name__ == "__main__":
    _member(int(sys.argv[1]), int(sys.argv[2]))
