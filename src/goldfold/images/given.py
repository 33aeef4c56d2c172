"""Table of ids and paths of the image files and folders that a user names."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import pandas as pd

from goldfold.base.errors import DataError
from goldfold.images import stacks
from goldfold.images.files import images_below, is_text, without_suffix


def given(paths: Sequence[str | Path], stack: Sequence[str] = (), pattern: str = "") -> pd.DataFrame:
    """id and path of every image, in the order given, each path once; folders are searched recursively.

    An id is the path below the named folder, or the file's name, without suffix; if two images would share an id, all
    keep their suffixes, or their whole paths.

    Args:
        stack: channels stored in separate files, see `goldfold.images.stacks.gathered`; ``pattern`` is that of their
            names.

    Raises:
        DataError: nothing is named, or a folder has no image.
    """
    found = dict[str, str]()
    for path in paths:
        for name, file in _images(os.fspath(path), stack, pattern):
            found.setdefault(file, name)
    if not found:
        raise DataError("no image is named. Name files, or folders of images.")
    if odd := [file for file in found if not is_text(file)]:
        raise DataError(f"the name {odd[0]!a} is not UTF-8, so tables cannot hold it. Rename the file.")
    return pd.DataFrame({"id": _ids(found), "path": list(found)})


def _images(path: str, stack: Sequence[str], pattern: str) -> Iterator[tuple[str, str]]:
    """Yield name below the named folder, and path."""
    if not os.path.isdir(path):
        if stack:
            raise DataError(
                f"{path}: these networks take images of {len(stack)} files ({', '.join(stack)}). Name the folder with them."
            )
        yield os.path.basename(path), _plain(path)
        return
    names = images_below(path, "predict")
    if not stack:
        yield from ((name, _plain(os.path.join(path, name))) for name in names)
        return
    for id, files in stacks.gathered(names, stack, pattern).items():
        yield id, stacks.joined([os.path.join(path, file) for file in files])


def _plain(path: str) -> str:
    """Path that cannot be mistaken for a stack of files."""
    return os.path.join(os.curdir, path) if path.startswith('["') else path


def _ids(found: dict[str, str]) -> list[str]:
    """Shortest names that are all different."""
    wholes = ["/".join(part for part in PurePath(file).parts if part not in ("/", "..", ".")) for file in found]
    short = list(found.values())
    for names in ([*map(without_suffix, short)], short, [*map(without_suffix, wholes)], wholes):
        if len(set(names)) == len(names):
            return names
    return list(found)
