"""Symbolic links that lead out of the folders of the data."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from goldfold.base.errors import DataError
from goldfold.images.files import SUFFIXES, files_below
from goldfold.images.stacks import files_of, is_stack


def refuse_outside(paths: Iterable[str], roots: Iterable[str]) -> None:
    """Let no file be read that lies elsewhere than it seems: what a copy of the data would lack, or nobody meant to show.

    Args:
        paths: files, stacks of files and folders of the data; those that are not there are passed over.
        roots: the folders that the config names, each of which may be a link itself.

    Raises:
        DataError: a link leads out of all of them.
    """
    folders = {os.path.realpath(root) for root in roots if os.path.isdir(root)}
    real = lru_cache(maxsize=None)(os.path.realpath)
    files = (file for path in paths for file in _files(path))
    outside = [file for file in files if _leaves(file, real(os.path.dirname(file)), folders)]
    if outside:
        raise DataError(
            f"{outside[0]} leads to {Path(outside[0]).resolve()}, which lies outside the folders of the data "
            f"({len(outside)} such files). Copy what is meant, name that folder in the config, or set data.outside_links: "
            f"follow."
        )


def _files(path: str) -> list[str]:
    """Files of an image or a mask, and the folder that a mask of several files is."""
    if is_stack(path):
        return files_of(path)
    is_folder = not os.path.splitext(path)[1] and os.path.isdir(path)
    return [path, *(os.path.join(path, name) for name in files_below(Path(path), SUFFIXES))] if is_folder else [path]


def _leaves(path: str, real_folder: str, roots: set[str]) -> bool:
    place = os.path.realpath(path) if os.path.islink(path) else real_folder
    return not any(place == root or place.startswith(root + os.sep) for root in roots) and os.path.exists(path)
