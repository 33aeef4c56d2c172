"""Text files that name images, one per line, with or without class numbers after the name."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from goldfold.base.errors import DataError
from goldfold.base.regular import read_text
from goldfold.images.files import SUFFIXES, images_below, inside, without_suffix
from goldfold.images.nearest import nearest_name
from goldfold.images.stacks import MISSING

NUMBERS = re.compile(r"([,;\t ]+-?\d+)+$")
"""Class numbers after a name: ``a/1.jpg, 0, 4`` or ``a/1.jpg 0``."""


def listed(lists: str | Sequence[str], root: str, key: str) -> list[str]:
    """Paths relative to ``root`` of the images that text files name, in order; a missing image has the suffix ``.*``.

    Names are relative to ``root``, to the folder of the list, or to the parent of ``root``: where most are found.

    Raises:
        DataError: a list cannot be read, names nothing, or none of its images is below ``root``.
    """
    files = images_below(root, key.removesuffix("_list"))
    known = {without_suffix(name): name for name in reversed(files)} | {name: name for name in files}
    return [
        name for path in ([lists] if isinstance(lists, str) else lists) for name in _of_file(path, root, known, key)
    ]


def _of_file(path: str, root: str, known: Mapping[str, str], key: str) -> list[str]:
    lines = lines_of(path, key)
    above = os.path.dirname(os.path.abspath(root))
    starts = dict.fromkeys(_places(start, root) for start in (root, os.path.dirname(path) or ".", above))
    found = max(([_found(line, start, path, known) for line in lines] for start in starts), key=_n_there)
    if not _n_there(found):
        raise DataError(
            f"{key}: none of the {len(lines)} images that {path} names is below {root}, first {lines[0]!r}. "
            f"{nearest_name(NUMBERS.sub('', lines[0]), known)}Write paths relative to {root}, one per line."
        )
    return [name for name, _ in found]


def _places(start: str, root: str) -> tuple[str, str]:
    """``start`` relative to ``root``, and ``root`` relative to ``start``."""
    return Path(os.path.relpath(start, root)).as_posix(), Path(os.path.relpath(root, start)).as_posix()


def _n_there(found: Sequence[tuple[str, bool]]) -> int:
    return sum(is_there for _, is_there in found)


def lines_of(path: str, key: str) -> list[str]:
    """Lines of a text file that are not empty.

    Raises:
        DataError: it cannot be read, or is empty.
    """
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(
            f"{key}: cannot read {path}: {error}. Name a text file (UTF-8) with one image per line."
        ) from error
    if not any(lines):
        raise DataError(f"{key}: {path} names no images. Write one per line.")
    return [line for line in lines if line]


def _found(line: str, places: tuple[str, str], where: str, known: Mapping[str, str]) -> tuple[str, bool]:
    """The file that a line names, relative to the root, and whether it exists; see `_places`."""
    names = [name for written in _candidates(line) if (name := _relative(inside(written, where), *places))]
    for name in names:
        if name in known:
            return known[name], True
    name = next((name for name in names if PurePosixPath(name).suffix.lower() in SUFFIXES), (names or [line])[-1])
    return (name if PurePosixPath(name).suffix.lower() in SUFFIXES else f"{name}{MISSING}"), False


def _candidates(line: str) -> Iterator[str]:
    """The whole line, and the part before numbers, a comma or a tab, since a name may contain any of these."""
    yield from dict.fromkeys([line, NUMBERS.sub("", line), *(line.split(mark)[0].strip() for mark in ",\t")])


def _relative(name: str, start: str, root: str) -> str | None:
    """``name`` below ``start`` as a path relative to ``root``; None if it is outside."""
    if start == ".":
        return name
    if start != ".." and not start.startswith("../"):
        return f"{start}/{name}"
    return name.removeprefix(f"{root}/") if name.startswith(f"{root}/") else None
