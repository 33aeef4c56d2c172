"""The state of a training that is not done, in one file: whole or not there, and used by no other run."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Protocol

import torch
from safetensors import SafetensorError
from torch import nn

from goldfold.base.errors import GoldfoldError
from goldfold.base.files import atomic

MARK = b"\ngoldfold-state-1 "
"""Between torch's zip file and a line of JSON: what the state was made from, and the sha256 of the zip file."""
STATE = "state.pt"
LONGEST_TAIL = 4096
"""Bytes at the end of the file in which the mark is looked for."""


class Stateful(Protocol):
    """A network, an optimizer, an average of weights, a scaler of gradients."""

    def state_dict(self) -> dict[str, Any]:
        """All that changes in training."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Take over what `state_dict` gave."""


class StateFile:
    """A file of training state."""

    def __init__(self, path: Path, made_from: Mapping[str, str]) -> None:
        """``made_from`` names the kinds of things that decide the bytes of a run, each with a digest."""
        self.path, self.made_from, self.is_failing = path, dict(made_from), False

    def read(self) -> Any:
        """The state, or None where there is none, or none that this run may go on from: a line then says why."""
        try:
            end, tail = _tail(self.path)
            if others := [name for name, digest in self.made_from.items() if tail["made_from"].get(name) != digest]:
                raise ValueError(f"it is of a run with other {', '.join(others)}")
            if _sha256(self.path, end) != tail["sha256"]:
                raise ValueError("its checksum is wrong, so it was torn or changed")
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever torch, JSON and the disk say of a file that is not ours
            print(f"{self.path} is not used: {str(error) or repr(error)}. Training starts anew.", flush=True)
            return None

    def write(self, state: Any) -> bool:
        """Replace the file; where that fails (a full disk), what was there stays, and a line says so."""
        try:
            with atomic(self.path) as temporary, open(temporary, "wb") as stream:
                self._write(state, stream)
        except OSError as error:
            if not self.is_failing:
                print(f"the state is not saved: {told(error, self.path)}. Training goes on without.", flush=True)
            self.is_failing = True
            return False
        self.is_failing = False
        return True

    def _write(self, state: Any, stream: IO[bytes]) -> None:
        payload = _Hashing(stream)
        torch.save(state, payload)  # type: ignore[arg-type]  # it writes and flushes, no more
        if payload.error is not None:
            raise payload.error
        tail = {"made_from": self.made_from, "sha256": payload.digest.hexdigest()}
        stream.write(MARK + json.dumps(tail).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def weights_digest(model: nn.Module) -> str:
    """sha256 of all weights and buffers, names included."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def told(error: Exception, path: Path) -> str:
    """What went wrong with writing ``path``, and how much room there is."""
    free = shutil.disk_usage(path.parent).free / 1e6
    return f"{path}: {getattr(error, 'strerror', None) or error} ({free:,.1f} MB are free there)"


def write_all(folder: Path, writers: Mapping[str, Callable[[Path], Any]]) -> None:
    """Write files by name, all of them or none.

    Raises:
        GoldfoldError: one cannot be written.
    """
    name = ""
    try:
        with ExitStack() as stack:
            for name, write in writers.items():
                temporary = stack.enter_context(atomic(folder / name))
                write(temporary)
                with open(temporary, "rb") as stream:
                    os.fsync(stream.fileno())
    except (OSError, SafetensorError) as error:
        then = (
            "resumes from its last saved state" if (folder / STATE).exists() else "starts again, as no state was saved"
        )
        raise GoldfoldError(
            f"cannot write {told(error, folder / name)}. Make room there and run again: training {then}. What was in "
            f"{folder} before is untouched."
        ) from error


def sweep(folder: Path, names: Iterable[str]) -> None:
    """Remove what a killed process was writing to files of these names."""
    for name in names:
        for file in folder.glob(f".{name}.*"):
            file.unlink(missing_ok=True)


class _Hashing:
    """A stream with the sha256 of what went through it; the first error is kept, for torch would turn it into another."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.digest = stream, hashlib.sha256()
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        if self.error is None:
            self.digest.update(data)
            try:
                self.stream.write(data)
            except OSError as error:
                self.error = error
        return len(data)

    def flush(self) -> None:
        """The whole file is flushed at its end."""


def _tail(path: Path) -> tuple[int, dict[str, Any]]:
    """Where torch's part of the file ends, and what stands behind it."""
    with open(path, "rb") as stream:
        start = max(0, stream.seek(0, os.SEEK_END) - LONGEST_TAIL)
        stream.seek(start)
        tail = stream.read()
    place = tail.rfind(MARK)
    if place < 0:
        raise ValueError("it is torn, or no training state")
    return start + place, json.loads(tail[place + len(MARK) :])


def _sha256(path: Path, end: int) -> str:
    """Of the first ``end`` bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(min(1 << 20, end - stream.tell())):
            digest.update(chunk)
    return digest.hexdigest()
