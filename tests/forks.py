"""A Python that starts with the libraries in memory, for tests that start many processes.

A job of a test's run spends ten times longer on importing torch, timm and albumentations than on training. `folder` holds
executables that take ``-m MODULE ARGUMENTS`` and ``SCRIPT ARGUMENTS`` as Python does. They ask a server, which has imported
LIBRARIES but nothing of goldfold, to fork. The fork has the caller's arguments, environment, working folder and open files,
and takes the caller's parent for its own; signals sent to the caller reach it, and it dies with the caller. Any other call
starts the real Python.

Every job still is a process that imports goldfold from its own PYTHONPATH. What only a Python without the libraries can show
(imports, death with a parent, Slurm) is tested with ``sys.executable``.
"""

import atexit
import gc
import json
import os
import runpy
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

LIBRARIES = (
    "accelerate", "albumentations", "cv2", "dvc.cli", "dvc.repo", "jinja2", "matplotlib.backends.backend_svg",
    "matplotlib.figure", "multiprocessing.popen_fork", "pandas", "pydantic", "requests", "safetensors.torch", "scipy.stats",
    "segmentation_models_pytorch", "sklearn.ensemble", "sklearn.linear_model", "sklearn.model_selection", "snakemake.api",
    "snakemake.cli", "snakemake.report", "timm", "timm.optim", "timm.scheduler", "torch", "torch._dynamo", "torchvision",
)  # fmt: skip
COMMANDS = {"snakemake": "snakemake", "dvc": "dvc"}
"""By name of a command, what ``python -m`` takes for it."""
FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Python:
    """The server, and ``python`` in ``folder`` that asks it, with COMMANDS beside it.

    Args:
        folder: an empty folder, whose path needs no quotes and is short enough for a socket.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, here = folder, str(Path(__file__).resolve())
        address, own = str(folder / "socket"), str(folder / "python")
        self._write("python", f'exec {shlex.join([sys.executable, "-IS", here, address, sys.executable])} "$@"')
        for name, module in COMMANDS.items():
            self._write(name, f'exec {own} -m {module} "$@"')
        self.server = subprocess.Popen(
            [sys.executable, here, address, own], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.server.stdout
        assert self.server.stdout.readline() == b"ready\n", "the server did not start"

    def _write(self, name: str, line: str) -> None:
        (self.folder / name).write_text(f"#!/bin/sh\n{line}\n")
        (self.folder / name).chmod(0o755)

    def close(self) -> None:
        """End the server, and with it all forks that still run."""
        assert self.server.stdin
        self.server.stdin.close()
        self.server.wait()


@cache
def folder() -> Path:
    """Folder of the executables of this process's server, which starts when they are first asked for."""
    place = tempfile.TemporaryDirectory(prefix="forks-")
    python = Python(Path(place.name))
    atexit.register(place.cleanup)
    atexit.register(python.close)
    return python.folder


def ask(address: str, python: str, words: list[str]) -> None:
    """Run ``words`` in a fork of the server, or in ``python`` where they are neither a module nor a script."""
    if words[:1] != ["-m"] and not (words and words[0].endswith(".py")):
        os.execv(python, [python, *words])
    files = [int(name) for name in os.listdir("/proc/self/fd")]
    files = [number for number in files if os.path.exists(f"/proc/self/fd/{number}")]
    asked = {
        "words": words,
        "folder": os.getcwd(),
        "environment": dict(os.environ),
        "files": files,
        "parent": os.getppid(),
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.connect(address)
        text = json.dumps(asked).encode()
        socket.send_fds(server, [len(text).to_bytes(8, "big")], files)
        server.sendall(text)
        answers = server.makefile("r")
        fork = int(answers.readline())
        for number in FORWARDED:
            signal.signal(number, lambda number, _: os.kill(fork, number))
        status = int(answers.readline())
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    sys.exit(status)


class Server:
    """Forks for whoever asks, until its standard input is closed."""

    def __init__(self, address: str, executable: str) -> None:
        self.executable = executable
        self.paths = sys.path[1:]
        self.selector = selectors.DefaultSelector()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(address)
        self.listener.listen(64)
        self.callers: dict[int, tuple[int, socket.socket]] = {}
        """By file that says that a fork ended: its pid, and who asked for it."""
        for stream in (sys.stdin.fileno(), self.listener.fileno()):
            self.selector.register(stream, selectors.EVENT_READ)

    def serve(self) -> dict[str, Any] | None:
        """Serve; return in each fork, with what it is to run, and at the end."""
        while True:
            for key, _ in self.selector.select():
                if key.fd == self.listener.fileno():
                    asked = self._fork()
                    if asked:
                        return asked
                elif key.fd in self.callers:
                    self._ended(key.fd)
                elif isinstance(key.data, int):  # the caller is gone
                    with suppress(ProcessLookupError):
                        os.kill(key.data, signal.SIGKILL)
                    self.selector.unregister(key.fd)
                elif key.fd == sys.stdin.fileno():
                    for pid, _ in self.callers.values():
                        os.kill(pid, signal.SIGKILL)
                    return None

    def _fork(self) -> dict[str, Any] | None:
        caller, _ = self.listener.accept()
        size, files, _, _ = socket.recv_fds(caller, 8, 64)
        text, missing = b"", int.from_bytes(size, "big")
        while len(text) < missing:
            text += caller.recv(missing - len(text))
        asked: dict[str, Any] = json.loads(text)
        pid = os.fork()
        if pid == 0:
            self._take_the_place_of(caller, asked, files)
            return asked
        for number in files:
            os.close(number)
        ended = os.pidfd_open(pid)
        self.callers[ended] = pid, caller
        self.selector.register(ended, selectors.EVENT_READ)
        self.selector.register(caller, selectors.EVENT_READ, pid)
        caller.sendall(f"{pid}\n".encode())
        return None

    def _ended(self, ended: int) -> None:
        pid, caller = self.callers.pop(ended)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        self.selector.unregister(ended)
        os.close(ended)
        with suppress(KeyError):
            self.selector.unregister(caller)
        with suppress(OSError):
            caller.sendall(f"{status}\n".encode())
        caller.close()

    def _take_the_place_of(self, caller: socket.socket, asked: dict[str, Any], files: list[int]) -> None:
        """Be, in the fork, what the caller would be as a Python of its own."""
        self.selector.close()
        self.listener.close()
        caller.close()
        for other in [*self.callers]:
            os.close(other)
            self.callers.pop(other)[1].close()
        high = max([2, *files, *asked["files"]]) + 1
        spare = [os.dup2(number, high + place, inheritable=False) for place, number in enumerate(files)]
        for number, wanted in zip(spare, asked["files"], strict=True):
            os.dup2(number, wanted)
        for number in [*spare, *(number for number in files if number not in asked["files"])]:
            os.close(number)
        pid, parent_of_this = os.getpid(), os.getppid
        os.getppid = lambda: asked["parent"] if os.getpid() == pid else parent_of_this()  # not in its own children
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        sys.executable = self.executable
        own = [os.path.abspath(path) for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
        sys.path[:] = [*own, *(path for path in self.paths if path not in own)]


def status_of(words: list[str]) -> int:
    """Run ``python WORDS``; the exit status."""
    try:
        run(words)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def leave(status: int) -> None:
    """End as Python does, except that nothing is freed: that would copy the memory shared with the server."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def run(words: list[str]) -> None:
    """Do what ``python WORDS`` does."""
    if words[0] == "-m":
        sys.argv = words[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = words
        sys.path.insert(0, str(Path(words[0]).resolve().parent))
        runpy.run_path(words[0], run_name="__main__")


def main() -> None:
    """Be the server, or ask it."""
    if sys.flags.isolated:
        ask(sys.argv[1], sys.argv[2], sys.argv[3:])
    for name in LIBRARIES:
        __import__(name)
    server = Server(*sys.argv[1:])
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    asked = server.serve()
    if asked:
        leave(status_of(asked["words"]))


if __name__ == "__main__":
    main()
