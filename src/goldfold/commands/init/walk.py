"""Walk once over a folder as downloaded."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from goldfold.base.errors import DataError
from goldfold.base.regular import NOT_REGULAR, fault
from goldfold.images.files import SUFFIXES, is_hidden, without_suffix


@dataclass
class Folder:
    """Names of the direct contents of a folder, sorted; files and folders of tools are skipped."""

    images: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Tree:
    """All folders below a root, by name relative to it (``""`` is the root itself)."""

    root: Path
    folders: dict[str, Folder]
    unreadable: list[str]
    special: list[str] = field(default_factory=list)
    """Pipes, sockets and devices, which are skipped; relative to the root."""

    @cached_property
    def n_images(self) -> dict[str, int]:
        """Number of images in and below each folder."""
        counts = {name: len(folder.images) for name, folder in self.folders.items()}
        for name in sorted(self.folders, key=lambda name: name.count("/"), reverse=True):
            if name:
                counts[parent(name)] += counts[name] if name.count("/") else 0
        counts[""] += sum(counts[name] for name in self.folders[""].folders if name in counts)
        return counts

    @cached_property
    def stems(self) -> dict[str, list[str]]:
        """Images by name without folder and suffix."""
        found: dict[str, list[str]] = {}
        for image in self.images():
            found.setdefault(without_suffix(base(image)), []).append(image)
        return found

    @cached_property
    def known_images(self) -> frozenset[str]:
        """All images, relative to the root."""
        return frozenset(self.images())

    @cached_property
    def known_files(self) -> frozenset[str]:
        """All files that are not images, relative to the root."""
        return frozenset(self.files(""))

    def below(self, name: str = "") -> Iterator[str]:
        """Yield ``name`` and all folders below it."""
        yield name
        for child in self.folders[name].folders:
            if (inner := join(name, child)) in self.folders:
                yield from self.below(inner)

    def images(self, name: str = "") -> list[str]:
        """Images below a folder, relative to the root."""
        return sorted(join(folder, image) for folder in self.below(name) for image in self.folders[folder].images)

    def files(self, *suffixes: str) -> list[str]:
        """Files that are not images and have one of the suffixes, relative to the root."""
        return [
            join(name, file)
            for name, folder in self.folders.items()
            for file in folder.others
            if file.lower().endswith(suffixes)
        ]

    def children(self, name: str) -> list[str]:
        """Subfolders that hold images at any depth."""
        inner = (join(name, child) for child in self.folders[name].folders)
        return [child for child in inner if self.n_images.get(child)]

    def inmost(self, name: str = "") -> str:
        """Follow single subfolders from ``name`` down to the first folder that holds images or several subfolders."""
        while not self.folders[name].images and len(children := self.children(name)) == 1:
            name = children[0]
        return name

    def path(self, name: str) -> str:
        """Path of a file or folder for the config: relative to where snakemake starts, if the root is."""
        return (self.root / name).as_posix()


def refuse_no_folder(path: str | Path) -> None:
    """Raise if ``path`` is not a folder.

    Raises:
        DataError: it is not a folder.
    """
    if not os.path.isdir(path):
        raise DataError(f"{path} is not a folder. Name the folder of the data as downloaded, unpacked.")


def walk(path: str | Path) -> Tree:
    """Collect all folders and files below ``path``; links to folders are followed once.

    Raises:
        DataError: it is not a folder, or cannot be read.
    """
    refuse_no_folder(path)
    folders: dict[str, Folder] = {}
    unreadable: list[str] = []
    special: list[str] = []
    seen: set[str] = set()
    waiting = [""]
    while waiting:
        name = waiting.pop()
        real = os.path.realpath(os.path.join(path, name))
        if real in seen:
            continue
        seen.add(real)
        try:
            folders[name], odd = _listed(real)
            special += [join(name, file) for file in odd]
        except OSError as error:
            unreadable.append(f"{name or '.'} ({error.strerror})")
            continue
        waiting += [join(name, child) for child in folders[name].folders]
    if "" not in folders:
        raise DataError(f"{path} cannot be read: {unreadable[0]}. Correct its permissions.")
    return Tree(_as_written(Path(path)), dict(sorted(folders.items())), unreadable, sorted(special))


def _listed(path: str) -> tuple[Folder, list[str]]:
    """Contents of a folder, and names of entries that are neither file nor folder."""
    folder, special = Folder(), list[str]()
    with os.scandir(path) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            is_folder = os.path.isdir(entry.path)  # entry.is_dir() fails on a link to itself
            if not is_folder and fault(entry.path).startswith(NOT_REGULAR):
                special.append(entry.name)
                continue
            is_image = os.path.splitext(entry.name)[1].lower() in SUFFIXES
            kind = folder.folders if is_folder else folder.images if is_image else folder.others
            kind.append(entry.name)
    for names in (folder.images, folder.others, folder.folders):
        names.sort()
    return folder, special


def _as_written(path: Path) -> Path:
    """Path relative to the working folder if below it, else as the user wrote it."""
    here, there = Path.cwd(), Path(os.path.abspath(path))
    return there.relative_to(here) if there.is_relative_to(here) else path


def join(folder: str, name: str) -> str:
    """``folder/name``; in the root just ``name``."""
    return f"{folder}/{name}" if folder else name


def parent(name: str) -> str:
    """Folder of a file or folder."""
    return name.rpartition("/")[0]


def base(name: str) -> str:
    """Name without its folder."""
    return name.rpartition("/")[2]


def common(names: Iterable[str]) -> str:
    """Innermost folder that holds all of ``names``."""
    shared: list[str] | None = None
    for folder in {parent(name) for name in names}:
        parts = list(PurePosixPath(folder).parts)
        if shared is None:
            shared = parts
        keep = next((n for n, (a, b) in enumerate(zip(shared, parts, strict=False)) if a != b), None)
        shared = shared[: min(len(shared), len(parts)) if keep is None else keep]
    return "/".join(shared or [])
