"""Write files atomically, and only when their content changes."""

import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from goldfold.base.errors import GoldfoldError
from goldfold.base.regular import read_text

SEAL = "digest"
"""Key of a JSON object for the digest of its other values."""

MADE = "made_by_goldfold"
"""Marker file in a folder of images that a user-defined source writes; without it, they are made again."""


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Path of a temporary file next to ``path`` that replaces it when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_if_changed(path: str | Path, text: str) -> bool:
    """Write ``text`` only if the file's content differs, so that nothing downstream reruns needlessly.

    Returns:
        True if the file was written.
    """
    path = Path(path)
    if path.exists() and path.read_bytes() == text.encode():
        return False
    write_text(path, text)
    return True


def write_json(path: str | Path, value: Any) -> None:
    """Write ``value`` as indented JSON with a final newline; non-finite numbers become null."""
    write_text(path, json.dumps(finite(value), indent=2, allow_nan=False) + "\n")


def sealed(value: dict[str, Any]) -> dict[str, Any]:
    """Add a digest of all other values to a JSON object."""
    read = json.loads(json.dumps(finite({name: part for name, part in value.items() if name != SEAL})))
    return {**value, SEAL: _digest(read)}


def is_intact(value: dict[str, Any]) -> bool:
    """True if a JSON object read from a file matches its digest, or has none."""
    return SEAL not in value or value[SEAL] == _digest({name: part for name, part in value.items() if name != SEAL})


def _digest(value: dict[str, Any]) -> str:
    """sha256 of an object read from JSON, independent of the order of its keys."""
    return sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def finite(value: Any) -> Any:
    """Replace NaN and infinity by None: JSON cannot represent them."""
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: str | Path) -> Any:
    """Read a JSON file.

    Raises:
        OSError: it is missing, cannot be read, or is not a regular file.
        ValueError: it is not JSON, or nested too deep.
    """
    try:
        return json.loads(read_text(path))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def refuse_unusable(folder: str | Path) -> None:
    """Check the path of a folder that is to be written into.

    Raises:
        GoldfoldError: part of it is a broken link, or a file.
    """
    for place in (*reversed(Path(folder).parents), Path(folder)):
        if place.is_symlink() and not place.exists():
            raise GoldfoldError(
                f"{place} is a link to {os.readlink(place)}, which does not exist. Make or mount that folder, or remove the link."
            )
        if place.exists() and not place.is_dir():
            raise GoldfoldError(f"{place} is a file, and results are written below it. Move it away.")


CONFIGURE = "Make it writable, or set another name: in the config."


def refuse_unwritable(folder: str | Path, way_out: str = CONFIGURE) -> None:
    """Check that a folder can be made and written into, by creating and removing a file in it.

    Args:
        way_out: advice in the error.

    Raises:
        GoldfoldError: the folder or a file cannot be made; the text says why.
    """
    refuse_unusable(folder)
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise GoldfoldError(cannot_write(folder, error, way_out)) from error


def cannot_write(folder: str | Path, error: OSError, way_out: str = CONFIGURE) -> str:
    """Message for a folder that cannot be written into."""
    why = error.strerror or error
    return f"cannot write below {folder}: {why}. {way_out}"


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
