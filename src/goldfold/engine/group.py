"""Distributed training of one network in several processes, one device each.

Rank 0 validates, writes and prints; the launching process only waits and forwards signals. Processes are started by
``python -m goldfold.engine.group``: a fork could not use a GPU, and multiprocessing's spawn would run the main script
(Snakemake's) again in each.
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
    from goldfold.engine.stopping import StopRequest

PATIENCE = timedelta(days=7)
"""Timeout of collective operations, long because rank 0 validates alone; a process that dies ends the others at once."""
POLL_SECONDS = 0.1
LINGER_SECONDS = 5.0
"""Time that a failed process waits to be killed with the others, before it reports lost connections."""
HERE = "127.0.0.1"


@dataclass
class _Member:
    """A process of the group and the pipe to it."""

    process: "subprocess.Popen[bytes]"
    pipe: Connection


def run_together(
    function: str, arguments: dict[str, Any], n: int, backend: str, progress: Callable[[int, str], Any]
) -> Any:
    """Call ``function(**arguments, progress=...)`` in ``n`` processes; return the result of rank 0.

    Args:
        function: ``package.module:function``; arguments and result are plain builtins.
        backend: nccl for GPUs, gloo for the CPU.
        progress: (total, unit) -> progress bar that shows the progress of rank 0.

    Raises:
        GoldfoldError: a process failed.
        Stopped: a signal requested the stop.
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
    quiet = {"TORCH_CPP_LOG_LEVEL": "ERROR"}  # DDP warns of find_unused_parameters, set for reproducible sums
    defaults = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo", **quiet}  # threads are set again from the config
    command = [sys.executable, "-m", "goldfold.engine.group", str(theirs.fileno()), str(os.getpid())]
    process = subprocess.Popen(
        command, pass_fds=[theirs.fileno()], env={**defaults, **os.environ, **own, "PYTHONPATH": path}
    )
    theirs.close()
    with suppress(BrokenPipeError):  # the process has died, which _Watch reports
        ours.send({**job, "rank": rank})
    return _Member(process, ours)


class _Watch:
    """Waits for the processes of a group and shows their progress."""

    def __init__(self, members: list[_Member], progress: Callable[[int, str], Any], asked: "StopRequest") -> None:
        self.members, self.progress, self.asked = members, progress, asked
        self.shown: Any = None
        self.messages: dict[str, Any] = {}
        """First ``error``, ``stopped`` and ``result`` message of any process."""

    def result(self) -> Any:
        """Wait until all processes have ended successfully; return the result of rank 0."""
        is_forwarded = False
        while not self._ended():
            if self.asked.signal and not is_forwarded:
                self.members[0].process.send_signal(self.asked.signal)
                is_forwarded = True
            self._listen(POLL_SECONDS)
        self._listen(0)
        if self.shown is not None:
            self.shown.close()
        self._raise()
        return self.messages["result"]

    def _ended(self) -> bool:
        codes = [member.process.poll() for member in self.members]
        return any(codes) or None not in codes or "error" in self.messages or "stopped" in self.messages

    def _listen(self, seconds: float) -> None:
        """Read all messages that have arrived, waiting up to ``seconds`` for the first."""
        pipes = [member.pipe for member in self.members if not member.pipe.closed]
        if not wait(pipes, seconds) and not pipes:
            time.sleep(seconds)
        for pipe in pipes:
            try:
                while pipe.poll():
                    self._receive(*pipe.recv())
            except (EOFError, ConnectionError):
                pipe.close()

    def _receive(self, kind: str, value: Any) -> None:
        if kind not in ("go_on_from", "advance", "end_here"):
            self.messages.setdefault(kind, value)
            return
        total, unit, *arguments = value
        self.shown = self.shown or self.progress(total, unit)
        getattr(self.shown, kind)(*arguments)

    def _raise(self) -> None:
        failed = {rank: code for rank, member in enumerate(self.members) if (code := member.process.poll())}
        if "stopped" in self.messages:
            raise Stopped(self.messages["stopped"])
        if self.asked.signal and failed:  # before rank 0 could save anything
            raise Stopped(128 + self.asked.signal)
        if "error" in self.messages:
            raise GoldfoldError(self.messages["error"])
        for rank, code in failed.items():
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
            raise TrainingError(
                f"process {rank} of {len(self.members)} training processes {how}. See its error above in the log; SIGKILL "
                f"without an error usually means too little main memory: raise runtime.train_mem_mb."
            )


class Relay:
    """Progress bar of rank 0 that sends its updates to the launching process."""

    def __init__(self, send: Callable[[Any], None], total: int, unit: str) -> None:
        self.send, self.total, self.unit, self.done = send, total, unit, 0

    def go_on_from(self, done: int) -> None:
        """Report that ``done`` units were done before this run was resumed."""
        self.done = done
        self.send(("go_on_from", (self.total, self.unit, done)))

    def advance(self, n: int = 1, note: str = "") -> None:
        """Report ``n`` more units as done."""
        self.done += n
        self.send(("advance", (self.total, self.unit, n, note)))

    def end_here(self) -> None:
        """Report that no more units will follow."""
        self.total = self.done
        self.send(("end_here", (self.total, self.unit)))

    def close(self) -> None:
        """Do nothing: the launching process draws the bar."""


def _member(handle: int, parent: int) -> None:
    """Run one process of the group."""
    die_with(parent)
    pipe = Connection(handle)
    job = pipe.recv()
    rank = job["rank"]
    if rank > 0:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (until the process ends)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # rank 0 gets the signal, and its end ends all
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
    except RuntimeError:  # usually a connection lost to a dead process: then we are killed while waiting
        time.sleep(LINGER_SECONDS)
        raise
    if rank == 0:
        pipe.send(("result", result))
    distributed.destroy_process_group()


def _leave(pipe: Connection, kind: str, value: Any) -> NoReturn:
    """Report the reason, then wait to be killed, which keeps the connections of the others open until then."""
    pipe.send((kind, value))
    time.sleep(LINGER_SECONDS)
    raise SystemExit(1)


if __name__ == "__main__":
    _member(int(sys.argv[1]), int(sys.argv[2]))
