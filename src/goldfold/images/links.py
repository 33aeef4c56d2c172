"""Refuse symbolic links that lead out of the data folders."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.images.files import SUFFIXES, files_below
from goldfold.images.stacks import files_of, is_stack


def refuse_outside(paths: Iterable[str], roots: Iterable[str]) -> None:
    """Refuse files outside the data folders: a copy of the data would lack them, or they may be private.

    Args:
        paths: files, stacks of files and folders of the data; missing ones are skipped.
        roots: the folders that the config names; each may itself be a link.

    Raises:
        DataError: a link leads out of all ``roots``.
    """
    folders = {os.path.realpath(root) for root in roots if os.path.isdir(root)}
    real = lru_cache(maxsize=None)(os.path.realpath)
    files = (file for path in paths for file in _files(path))
    outside = [file for file in files if _leaves(file, real(os.path.dirname(file)), folders)]
    if outside:
        raise DataError(
            f"{outside[0]} leads to {Path(outside[0]).resolve()}, which lies outside the folders of the data "
            f"({len(outside)} such files). Copy the files, name that folder in the config, or set data.outside_links: "
            f"follow."
        )


def _files(path: str) -> list[str]:
    """Files of an image or a mask; for a mask folder, the folder and its files."""
    if is_stack(path):
        return files_of(path)
    is_folder = not os.path.splitext(path)[1] and os.path.isdir(path)
    return [path, *(os.path.join(path, name) for name in files_below(Path(path), SUFFIXES))] if is_folder else [path]


def _leaves(path: str, real_folder: str, roots: set[str]) -> bool:
    place = os.path.realpath(path) if os.path.islink(path) else real_folder
    return not any(place == root or place.startswith(root + os.sep) for root in roots) and os.path.exists(path)
