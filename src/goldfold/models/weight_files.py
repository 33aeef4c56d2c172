"""Read local weight files of various tools, without running code that they may contain."""

import argparse
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from goldfold.base.errors import ConfigError, cause
from goldfold.base.regular import Unreadable, opened

INSIDE = ("state_dict_ema", "model_ema", "ema_state_dict", "state_dict", "model_state_dict", "model", "net")
"""Keys under which training tools store the weights, averages before those of the last step."""
WRAPPERS = ("module.", "_orig_mod.", "network.")
"""Name prefixes added by DDP, torch.compile and goldfold."""
WRAPPER_NAMES = frozenset({"mean", "std", "n_averaged"})
"""Names that goldfold's wrapper and torch's weight averaging add to those of the network."""
BESIDE = ("fusion.", "views.")
"""Name prefixes of goldfold's metadata branch and the head on top of it, and of the layers over the images of a case."""
AGAIN = "Copy or download it again."
LOOKS_LIKE: dict[bytes, str] = {
    b"version https://git-lfs": "is a Git LFS pointer, not the weights. Run git lfs pull in its repository.",
    b"<!doctype html": f"is a web page, not weights: the download returned a page, e.g. a login page. {AGAIN}",
    b"<html": f"is a web page, not weights: the download returned a page, e.g. a login page. {AGAIN}",
    b"<?xml": f"is an XML text, not weights, e.g. the error of a file server. {AGAIN}",
    b"\x89hdf": "is an HDF5 file (Keras). Use PyTorch weights.",
    b"\x1f\x8b": "is compressed by gzip. Decompress it first.",
}
"""First bytes, in lower case, of files often mistaken for weights, with the message."""


def read(path: str | Path) -> dict[str, Tensor]:
    """Read tensors by name from a .safetensors or torch.save file; prefixes of wrappers are removed.

    Raises:
        ConfigError: the file cannot be read, or has no tensors.
    """
    path = Path(path)
    state = _inside(_content(path))
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)} if state else {}
    if not tensors:
        held = f"the keys {', '.join(map(str, list(state)[:5]))}" if state else "no names"
        raise _unusable(
            path, f"contains no tensors by name ({held}). Use a file made by torch.save(model.state_dict(), ...)."
        )
    while wrapper := next((word for word in WRAPPERS if _is_wrapped(tensors, word)), None):
        tensors = {name.removeprefix(wrapper): tensors[name] for name in _inner(tensors, wrapper)}
    return tensors


def _is_wrapped(names: Iterable[str], wrapper: str) -> bool:
    inner = _inner(names, wrapper)
    return bool(inner) and all(name.startswith(wrapper) for name in inner)


def _inner(names: Iterable[str], wrapper: str) -> list[str]:
    """Names of the network itself."""
    beside = BESIDE if wrapper == "network." else ()
    return [name for name in names if name not in WRAPPER_NAMES and not name.startswith(beside)]


def _inside(content: Any) -> Mapping[Any, Any]:
    """Return the innermost dict of weights; empty if the content is not a dict."""
    while isinstance(content, Mapping):
        key = next((key for key in INSIDE if isinstance(content.get(key), Mapping)), None)
        if key is None:
            return content
        content = content[key]
    return {}


def _content(path: Path) -> Any:
    """Return the content of the file, whose format is detected from its first bytes, not from its name."""
    if path.is_dir():
        raise _unusable(path, "is a folder. Give the path of the file in it, e.g. model.safetensors.")
    try:
        with opened(path) as file:
            start = file.read(4096)
        size = path.stat().st_size
    except OSError as error:
        way = "Give a file" if isinstance(error, Unreadable) else "Give a file that can be read"
        raise _unusable(path, f"cannot be read: {error.strerror or error}. {way}.") from error
    if not size:
        raise _unusable(path, f"is empty (0 bytes). {AGAIN}")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginning, problem in LOOKS_LIKE.items():
        if text.startswith(beginning):
            raise _unusable(path, problem)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return _saved_by_torch(path)
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        return _safetensors(path, size)
    raise _unusable(path, f"cannot be read: it is neither a .safetensors nor a torch.save file. {AGAIN}")


def _safetensors(path: Path, size: int) -> Mapping[str, Tensor]:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:
        raise _unusable(
            path, f"cannot be read: its {size} bytes do not match its safetensors header ({cause(error)}). {AGAIN}"
        ) from error


def _saved_by_torch(path: Path) -> Any:
    try:
        with (
            torch.serialization.safe_globals([argparse.Namespace]),  # options stored in timm's checkpoints
            warnings.catch_warnings(action="ignore"),
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        objects = _objects(path)
        if any(name.startswith("ultralytics.") for name in objects):
            from goldfold.models.ultralytics_library import weights

            return weights(path)
        named = f" ({', '.join(objects[:3])})" if objects else ""
        raise _unusable(
            path,
            f"cannot be read as plain weights: it contains Python objects{named}, which could run code when loaded. "
            f"Load the model in a trusted environment and save only its weights: torch.save(model.state_dict(), "
            f"'weights.pth').",
        ) from error
    except Exception as error:  # torch's messages recommend loading with code, or end in a C++ trace
        raise _unusable(path, f"cannot be read: {_flaw(path)}") from error


def _objects(path: Path) -> list[str]:
    """Return the names of the objects, sorted, as far as torch can list them."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # a file in the legacy format
        return []


def _flaw(path: Path) -> str:
    """Describe why torch could not read a file that begins like a torch.save file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names, damaged = archive.namelist(), archive.testzip()
    except (OSError, zipfile.BadZipFile):
        return f"it is truncated, or not a torch.save file. {AGAIN}"
    if damaged is not None:
        return f"it is damaged: its part {damaged!r} cannot be read. {AGAIN}"
    if any(name.endswith("constants.pkl") for name in names):
        return (
            "it is a TorchScript program. Use its weights: torch.save(torch.jit.load(...).state_dict(), 'weights.pth')."
        )
    return f"it is an archive without torch weights ({', '.join(names[:3])}). Use the weight file itself."


def _unusable(path: Path, problem: str) -> ConfigError:
    return ConfigError(f"pretrained: {path} {problem}")
