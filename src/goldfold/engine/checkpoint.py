"""State file of an unfinished training: written atomically, and refused by any other run."""

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
"""Separates torch's zip file from a line of JSON with ``made_from`` and the sha256 of the zip file."""
STATE = "state.pt"
LONGEST_TAIL = 4096
"""Number of bytes at the end of the file that are searched for the mark."""


class Stateful(Protocol):
    """Anything with a state to save: a network, an optimizer, an average of weights, a gradient scaler."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that changes during training."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Restore what `state_dict` returned."""


class StateFile:
    """A file of training state."""

    def __init__(self, path: Path, made_from: Mapping[str, str]) -> None:
        """``made_from``: digest per kind of input that determines the bytes of a run (data, code, settings)."""
        self.path, self.made_from, self.is_failing = path, dict(made_from), False

    def read(self) -> Any:
        """Return the state; None if there is none, or if this run cannot resume from it (the reason is printed)."""
        try:
            end, tail = _tail(self.path)
            if others := [name for name, digest in self.made_from.items() if tail["made_from"].get(name) != digest]:
                raise ValueError(f"it is from a run with other {', '.join(others)}")
            if _sha256(self.path, end) != tail["sha256"]:
                raise ValueError("its checksum is wrong, so it is incomplete or was changed")
            return torch.load(self.path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            return None
        except Exception as error:  # any error of torch, JSON or the disk on a foreign or damaged file
            print(f"{self.path} is not used: {str(error) or repr(error)}. Training starts from scratch.", flush=True)
            return None

    def write(self, state: Any) -> bool:
        """Replace the file; if that fails (disk full), print why, keep the previous file and return False."""
        try:
            with atomic(self.path) as temporary, open(temporary, "wb") as stream:
                self._write(state, stream)
        except OSError as error:
            if not self.is_failing:
                print(f"state not saved: {disk_error(error, self.path)}. Training continues without it.", flush=True)
            self.is_failing = True
            return False
        self.is_failing = False
        return True

    def _write(self, state: Any, stream: IO[bytes]) -> None:
        payload = _Hashing(stream)
        torch.save(state, payload)  # type: ignore[arg-type]  # torch.save only calls write and flush
        if payload.error is not None:
            raise payload.error
        tail = {"made_from": self.made_from, "sha256": payload.digest.hexdigest()}
        stream.write(MARK + json.dumps(tail).encode() + b"\n")
        stream.flush()
        os.fsync(stream.fileno())


def weights_digest(model: nn.Module) -> str:
    """Return the sha256 of all weights and buffers, including their names."""
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def disk_error(error: Exception, path: Path) -> str:
    """Describe a failed write to ``path``, with the free disk space."""
    free = shutil.disk_usage(path.parent).free / 1e6
    return f"{path}: {getattr(error, 'strerror', None) or error} ({free:,.1f} MB are free there)"


def write_all(folder: Path, writers: Mapping[str, Callable[[Path], Any]]) -> None:
    """Write all files, given by name, or none of them.

    Raises:
        GoldfoldError: a file cannot be written.
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
            f"cannot write {disk_error(error, folder / name)}. Free disk space and run again: training {then}. The earlier "
            f"content of {folder} is untouched."
        ) from error


def sweep(folder: Path, names: Iterable[str]) -> None:
    """Remove the temporary files that a killed process left for these file names."""
    for name in names:
        for file in folder.glob(f".{name}.*"):
            file.unlink(missing_ok=True)


class _Hashing:
    """Stream that hashes what is written; keeps the first error, since torch would replace it with another."""

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
        """Do nothing: the file is flushed once, at the end."""


def _tail(path: Path) -> tuple[int, dict[str, Any]]:
    """Return the offset at which torch's part of the file ends, and the parsed JSON after it."""
    with open(path, "rb") as stream:
        start = max(0, stream.seek(0, os.SEEK_END) - LONGEST_TAIL)
        stream.seek(start)
        tail = stream.read()
    place = tail.rfind(MARK)
    if place < 0:
        raise ValueError("it is incomplete or not a training state")
    return start + place, json.loads(tail[place + len(MARK) :])


def _sha256(path: Path, end: int) -> str:
    """Return the sha256 of the first ``end`` bytes."""
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while chunk := stream.read(min(1 << 20, end - stream.tell())):
            digest.update(chunk)
    return digest.hexdigest()
