"""Find image files below a folder."""

import os
from pathlib import Path

from goldfold.runtime.errors import DataError

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})


def images_below(root: str | Path, key: str) -> list[str]:
    """Relative paths (``/`` between parts) of all images below ``root``, sorted; hidden files are passed over.

    Args:
        root: folder.
        key: the config key that names it, for the error.

    Raises:
        DataError: no such folder, or no image in it.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"{key}: {root} is not a folder. Correct the path (it is relative to where snakemake starts).")
    found = [
        (Path(folder) / name).relative_to(root).as_posix()
        for folder, folders, names in os.walk(root, followlinks=False)
        for name in names
        if Path(name).suffix.lower() in SUFFIXES and not name.startswith(".")
    ]
    if not found:
        raise DataError(f"{key}: no images below {root}. Looked for files ending in {', '.join(sorted(SUFFIXES))}.")
    return sorted(found)


def without_suffix(name: str) -> str:
    """``cats/1.jpg`` -> ``cats/1``, where the suffix is an image's."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


def pool_of(root: str | Path, key: str) -> "list[tuple[str, str]]":
    """(id, path) of every image below ``root``; the id is the relative path without suffix."""
    return [(without_suffix(name), str(Path(root) / name)) for name in images_below(root, key)]
