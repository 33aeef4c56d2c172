"""Reading a local file of weights, whatever tool wrote it, without running code that it may hold."""

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
"""Keys under which training tools keep the weights, an average before those of the last step."""
WRAPPERS = ("module.", "_orig_mod.", "network.")
"""Beginnings of all names that DDP, torch.compile and goldfold add."""
BESIDE = frozenset({"mean", "std", "n_averaged"})
"""Names that wrappers of goldfold and of torch's averages add beside those of the network."""
FUSION = "fusion."
"""Beginning of the names of goldfold's branch of metadata, and of the head over it."""
AGAIN = "Copy or download it again."
LOOKS_LIKE: dict[bytes, str] = {
    b"version https://git-lfs": "is a git-LFS pointer, not the weights themselves. Run git lfs pull where it came from.",
    b"<!doctype html": f"is a web page, not weights: the download was answered by a page, e.g. one to log in. {AGAIN}",
    b"<html": f"is a web page, not weights: the download was answered by a page, e.g. one to log in. {AGAIN}",
    b"<?xml": f"is an XML text, not weights, e.g. the error of a file server. {AGAIN}",
    b"\x89hdf": "is an HDF5 file (Keras). Give PyTorch's weights.",
    b"\x1f\x8b": "is packed by gzip. Unpack it first.",
}
"""How files begin that are often taken for weights, in lower case."""


def read(path: str | Path) -> dict[str, Tensor]:
    """Tensors of a .safetensors file, or of one that torch.save wrote, by name; wrappers' beginnings of names are cut.

    Raises:
        ConfigError: the file cannot be read, or holds something else.
    """
    path = Path(path)
    state = _inside(_content(path))
    tensors = {str(name): value for name, value in state.items() if isinstance(value, Tensor)} if state else {}
    if not tensors:
        held = f"the keys {', '.join(map(str, list(state)[:5]))}" if state else "no names"
        raise _unusable(
            path, f"holds no tensors by name ({held}). Give a file made by torch.save(model.state_dict(), ...)."
        )
    while wrapper := next((word for word in WRAPPERS if _is_wrapped(tensors, word)), None):
        tensors = {name.removeprefix(wrapper): tensors[name] for name in _inner(tensors, wrapper)}
    return tensors


def _is_wrapped(names: Iterable[str], wrapper: str) -> bool:
    inner = _inner(names, wrapper)
    return bool(inner) and all(name.startswith(wrapper) for name in inner)


def _inner(names: Iterable[str], wrapper: str) -> list[str]:
    """Names of the network itself."""
    beside = FUSION if wrapper == "network." else "\0"
    return [name for name in names if name not in BESIDE and not name.startswith(beside)]


def _inside(content: Any) -> Mapping[Any, Any]:
    """The innermost dict of weights; empty where the content is no dict."""
    while isinstance(content, Mapping):
        key = next((key for key in INSIDE if isinstance(content.get(key), Mapping)), None)
        if key is None:
            return content
        content = content[key]
    return {}


def _content(path: Path) -> Any:
    """What the file holds, read by its first bytes rather than by its name."""
    if path.is_dir():
        raise _unusable(path, "is a folder. Give the file in it, e.g. model.safetensors.")
    try:
        with opened(path) as file:
            start = file.read(4096)
        size = path.stat().st_size
    except OSError as error:
        way = "Give a file" if isinstance(error, Unreadable) else "Give a file that this user may read"
        raise _unusable(path, f"cannot be read: {error.strerror or error}. {way}.") from error
    if not size:
        raise _unusable(path, f"is empty (0 bytes). {AGAIN}")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginning, said in LOOKS_LIKE.items():
        if text.startswith(beginning):
            raise _unusable(path, said)
    if start[:2] == b"PK" or start[:1] == b"\x80":
        return _saved_by_torch(path)
    if path.suffix == ".safetensors" or start[8:9] == b"{":
        return _safetensors(path, size)
    raise _unusable(path, f"cannot be read: it is neither a .safetensors file nor one of torch.save. {AGAIN}")


def _safetensors(path: Path, size: int) -> Mapping[str, Tensor]:
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except Exception as error:
        raise _unusable(
            path, f"cannot be read: its {size} bytes do not match a header of safetensors ({cause(error)}). {AGAIN}"
        ) from error


def _saved_by_torch(path: Path) -> Any:
    try:
        with (
            torch.serialization.safe_globals([argparse.Namespace]),  # the options in timm's own checkpoints
            warnings.catch_warnings(action="ignore"),
        ):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        raise _unusable(
            path,
            f"cannot be read as plain weights: it holds Python objects{_objects(path)}, which could run code when loaded. "
            f"Where the model can be loaded, save its weights alone: torch.save(model.state_dict(), 'weights.pth').",
        ) from error
    except Exception as error:  # torch's texts recommend loading with code, or end in a C++ trace
        raise _unusable(path, f"cannot be read: {_flaw(path)}") from error


def _objects(path: Path) -> str:
    """Names of the objects, as far as torch can tell them."""
    try:
        found = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # a file of the older kind
        return ""
    return f" ({', '.join(sorted(found)[:3])})" if found else ""


def _flaw(path: Path) -> str:
    """Why torch could not read a file that begins like one of its own."""
    try:
        with zipfile.ZipFile(path) as archive:
            names, torn = archive.namelist(), archive.testzip()
    except (OSError, zipfile.BadZipFile):
        return f"it is torn, or not a file of torch.save. {AGAIN}"
    if torn is not None:
        return f"it is torn: its part {torn!r} is damaged. {AGAIN}"
    if any(name.endswith("constants.pkl") for name in names):
        return "it is a TorchScript program. Give its weights: torch.save(torch.jit.load(...).state_dict(), 'weights.pth')."
    return f"it is an archive without weights of torch ({', '.join(names[:3])}). Give the weights themselves."


def _unusable(path: Path, said: str) -> ConfigError:
    return ConfigError(f"pretrained: {path} {said}")
