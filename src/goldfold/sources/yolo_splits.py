"""Images named by ``train``, ``val`` and ``test`` in YOLO's ``data.yaml``."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from goldfold.base.errors import DataError
from goldfold.base.regular import read_text
from goldfold.base.words import count
from goldfold.images.files import SUFFIXES, files_below
from goldfold.sources.located import ORIGIN, Folder
from goldfold.sources.yolo_names import read_yaml

TRAIN_KEYS = ("train", "val", "validation")
"""Keys of the training images; the fixed split is replaced by folds."""


@dataclass
class Named:
    """Images named by one or several keys."""

    images: dict[str, str] = field(default_factory=dict)
    """Path of each existing image, by its absolute path."""
    missing: list[str] = field(default_factory=list)
    """Paths of listed images that do not exist."""
    lists: list[str] = field(default_factory=list)
    """Text files that name images."""

    def add(self, other: "Named") -> None:
        """Add the images of ``other``."""
        self.images |= other.images
        self.missing += other.missing
        self.lists += other.lists


@dataclass
class Training:
    """Training images named by ``data.yaml``, None if it names none that can be used, and notes."""

    named: Named | None = None
    notes: list[str] = field(default_factory=list)


def training_images(names: str, train: str) -> Training:
    """The images below ``train`` that ``train`` and ``val`` in the YAML ``names`` name.

    If none of the folders that it names exists, as in files of another machine, all of ``train`` is read.

    Raises:
        DataError: only some of the paths that it names exist.
    """
    content = read_yaml(names) or {}
    entries = {key: _entries(content[key], names, key) for key in TRAIN_KEYS if content.get(key)}
    bases, is_guess = _bases(content, names, train)
    if not entries or (is_guess and len(entries) < 2):
        return Training()
    found = {(key, entry): _place(entry, bases) for key, own in entries.items() for entry in own}
    lost = [(key, entry) for (key, entry), place in found.items() if place is None]
    if len(lost) == len(found):
        return Training(notes=[f"{names}: {lost[0][0]}: {lost[0][1]!r} does not exist; all of {train} is read instead"])
    if lost:
        raise DataError(
            f"data.names: {names}: {lost[0][0]}: {lost[0][1]!r} does not exist ({len(lost)} of {len(found)} such). Correct the "
            f"path, or remove train and val from the file, to read all below data.train."
        )
    every = Named()
    for place in filter(None, found.values()):
        every.add(_named(place, bases))
    return _below(every, names, train, content, bases)


def _below(every: Named, names: str, train: str, content: dict[str, Any], bases: Sequence[Path]) -> Training:
    """The named images below ``train``."""
    root = os.path.abspath(train) + os.sep
    every.images = {path: name for path, name in every.images.items() if path.startswith(root)}
    if not every.images:
        return Training(notes=[f"{names}: train and val name no image below {train}; all of it is read instead"])
    tests = Named()
    for entry in _entries(content.get("test") or [], names, "test"):
        if (place := _place(entry, bases)) is not None:
            tests.add(_named(place, bases))
    rest = {root + name for name in files_below(Path(train), SUFFIXES)} - set(every.images) - set(tests.images)
    if not rest:
        return Training(every)
    n, first = count(len(rest), "image"), min(rest)[len(root) :]
    return Training(
        every, [f"{n} below {train} not among train, val and test of {names}: not trained on, first {first!r}"]
    )


def test_images(path: str, train: str) -> list[str] | str:
    """Paths of the test images named by a YAML file (key ``test``) or a text file with one path per line, or their folder.

    Raises:
        DataError: it names none, or one that does not exist.
    """
    if Path(path).suffix.lower() in (".yaml", ".yml"):
        content = read_yaml(path) or {}
        entries = _entries(content.get("test") or [], path, "test")
        bases, _ = _bases(content, path, train)
    else:
        entries, bases = [os.path.abspath(path)], [Path(path).parent, Path(train)]
    found, only = Named(), _place(entries[0], bases) if len(entries) == 1 else None
    if only is not None and os.path.isdir(only):
        return str(only)
    for entry in entries:
        if (place := _place(entry, bases)) is None:
            raise DataError(f"data.test: {path}: test: {entry!r} does not exist. Correct the path.")
        found.add(_named(place, bases))
    if found.missing:
        raise DataError(
            f"data.test: {path}: {len(found.missing)} images are missing, first {found.missing[0]}. Restore them."
        )
    if not found.images:
        raise DataError(f"data.test: {path} names no test images. Name a folder, or a file with one path per line.")
    return list(found.images.values())


def _entries(value: Any, names: str, key: str) -> list[str]:
    """The paths of a key: a text, or a list of texts."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(entry, str) and entry.strip() for entry in listed):
        raise DataError(
            f"data.names: {names}: {key} is {value!r}. Write a folder, a file with one path per line, or a list of these."
        )
    return [entry.strip() for entry in listed]


def _bases(content: dict[str, Any], names: str, train: str) -> tuple[list[Path], bool]:
    """Folders that paths may be relative to, and whether they are guessed since ``path`` of the YAML does not exist."""
    home, root = Path(names).parent, content.get("path")
    if not isinstance(root, str) or not root.strip():
        return [home, Path(train)], False
    found = [place for place in (home / root, Path(root)) if os.path.isdir(place)]
    return ([found[0], home] if found else [home, Path(train)]), not found


def _place(entry: str, bases: Sequence[Path]) -> Path | None:
    """The file or folder that a path refers to, on this machine, or by the end of a path of another machine."""
    plain = entry.replace("\\", "/").rstrip("/")
    if (ORIGIN.match(entry)) and os.path.exists(plain):
        return Path(plain)
    parts = ORIGIN.sub("", plain, count=1).split("/")
    is_elsewhere = bool(ORIGIN.match(entry))
    n_up = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    starts = range(len(parts)) if is_elsewhere else range(n_up + 1)
    return next(
        (
            place
            for start in starts
            for base in bases
            if parts[start:] and os.path.exists(place := base.joinpath(*parts[start:]))
        ),
        None,
    )


def _named(place: Path, bases: Sequence[Path]) -> Named:
    """Images in a folder or in a list, or a single image."""
    if os.path.isdir(place):
        return Named(_by_path(str(place / name) for name in files_below(place, SUFFIXES)))
    if place.suffix.lower() in SUFFIXES:
        return Named(_by_path([str(place)]))
    try:
        lines = read_text(place).splitlines()
    except (OSError, ValueError) as error:
        raise DataError(f"data.names: cannot read {place}: {error}. Write one path per line.") from error
    named = Named(lists=[str(place)])
    folder = Folder(str(bases[0]))
    for line in filter(None, map(str.strip, lines)):
        found = _listed(line, [place.parent, *bases], folder, bases[0])
        if found is None:
            named.missing.append(str(bases[0] / ORIGIN.sub("", line.replace("\\", "/"), count=1)))
        else:
            named.images |= _by_path([found])
    return named


def _listed(line: str, bases: Sequence[Path], folder: Folder, root: Path) -> str | None:
    """Path of the image that a line of a list refers to."""
    plain = line.replace("\\", "/")
    if not ORIGIN.match(line):
        found = next((str(base / plain) for base in bases if os.path.isfile(base / plain)), None)
        return os.path.normpath(found) if found else None
    if os.path.isfile(plain):
        return plain
    end = folder.find_end(ORIGIN.sub("", plain, count=1))
    return None if end is None else str(root / end)


def _by_path(paths: Iterator[str] | Sequence[str]) -> dict[str, str]:
    return {os.path.abspath(path): path for path in paths}
