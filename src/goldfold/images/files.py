"""Find image files below a folder."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from goldfold.base.errors import DataError
from goldfold.base.words import count

SUFFIXES = frozenset(
    {".bmp", ".dcm", ".dicom", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"}
)

UNREAD = frozenset(
    {
        ".arw",
        ".avif",
        ".cr2",
        ".cr3",
        ".dng",
        ".exr",
        ".heic",
        ".heif",
        ".jp2",
        ".jxl",
        ".nef",
        ".pbm",
        ".pgm",
        ".ppm",
        ".psd",
        ".svg",
    }
)
"""Suffixes of image formats that goldfold does not read, and skips."""

TOOLS = frozenset(
    {
        "$recycle.bin", "#recycle", "#snapshot", "@eadir", "@recently-snapshot", "@recycle", "@tmp", "__macosx", "__pycache__",
        "desktop.ini", "ehthumbs.db", "icon\r", "lost+found", "network trash folder", "system volume information",
        "temporary items", "thumbs.db",
    }
)  # fmt: skip
"""Names, in lower case, of files and folders that network storage, desktops and archivers create."""

STACK = '["'
"""Prefix of a path of several files (`goldfold.images.stacks`); a file name must not start with it."""
PLAIN = re.compile(r"[^\\/:.][^\\/:]*(/[^\\/:.][^\\/:]*)*")
"""Names that need no further check: a million of them take a second instead of half a minute."""


def images_below(root: str | Path, key: str) -> list[str]:
    """Relative paths (with ``/``) of all images below ``root``, sorted; hidden files are skipped.

    Args:
        root: folder.
        key: the config key that names the folder, for errors.

    Raises:
        DataError: the folder does not exist, or has no image.
    """
    root = Path(root)
    if not os.path.isdir(root):
        raise DataError(f"{key}: {root} is not a folder. Correct the path (it is relative to where snakemake starts).")
    found = files_below(root, SUFFIXES)
    if not found:
        raise DataError(f"{key}: no images below {root}. Looked for files ending in {', '.join(sorted(SUFFIXES))}.")
    return found


def files_below(root: Path, suffixes: Collection[str]) -> list[str]:
    """Relative paths (with ``/``) of the files with these suffixes (lower case), sorted; hidden files are skipped.

    Raises:
        DataError: a name is not UTF-8.
    """
    found = sorted(
        (folder / name).relative_to(root).as_posix()
        for folder, names in _visible(root)
        for name in names
        if Path(name).suffix.lower() in suffixes
    )
    if odd := [name for name in found if not name.isascii() and not is_text(name)]:
        raise DataError(
            f"{root}: the names of {len(odd)} files are not UTF-8, first {odd[0]!a}, so tables cannot hold them. Rename them."
        )
    return found


def is_text(name: str) -> bool:
    """True if a name is UTF-8; other bytes appear as lone surrogates, which cannot be encoded."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def inside(name: str, where: str) -> str:
    """Normalise a relative path from a list: ``/`` between its parts, no leading ``./``.

    Raises:
        DataError: it leads out of its folder.
    """
    if PLAIN.fullmatch(name) and not name.startswith(STACK):
        return name
    plain = PurePosixPath(name.replace("\\", "/"))
    is_elsewhere = plain.is_absolute() or PureWindowsPath(name).is_absolute()
    passes_for_files = name.startswith(STACK) and len(plain.parts) > 1
    if is_elsewhere or ".." in plain.parts or passes_for_files:
        raise DataError(
            f"{where}: {name!r} leads out of the folder of the data. Write paths relative to it, without '..' and without a "
            f"leading '/' or '{STACK}'."
        )
    return str(plain)


def is_hidden(name: str) -> bool:
    """True for files and folders of tools (``.git``, ``.ipynb_checkpoints``, ``__MACOSX``, ``@eaDir``, ``._x.jpg``)."""
    return name.startswith((".", "~$")) or name.casefold() in TOOLS


def passed_over(roots: Iterable[str | Path]) -> Counter[str]:
    """Count hidden files and folders below ``roots`` by name; contents of hidden folders are not counted."""
    found: dict[str, str] = {}
    for root in roots:
        for folder, folders, names in _walk(Path(root)):
            found |= {os.path.join(folder, name): name for name in (*folders, *names) if is_hidden(name)}
    return Counter("._*" if name.startswith("._") else name for name in found.values())


def tools_in_words(hidden: Mapping[str, int]) -> str:
    """``skipped 3 files and folders of other tools: 2 .DS_Store, 1 @eaDir``; see `passed_over`."""
    names = ", ".join(f"{number:,} {name}" for name, number in sorted(hidden.items()))
    return f"skipped {count(sum(hidden.values()), 'file or folder', 'files and folders')} of other tools: {names}"


def _visible(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Folders below ``root`` with their files; links to folders are followed once, hidden ones are skipped."""
    for folder, _, names in _walk(root):
        yield Path(folder), [name for name in names if not is_hidden(name)]


def _walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Folders below ``root`` with all their subfolders and files, each once; hidden folders are not entered."""
    seen: set[str] = set()
    for folder, folders, names in os.walk(root, followlinks=True):
        real, every = os.path.realpath(folder), list(folders)
        folders[:] = [] if real in seen else sorted(name for name in every if not is_hidden(name))
        if real not in seen:
            seen.add(real)
            yield folder, every, names


def without_suffix(name: str) -> str:
    """``cats/1.jpg`` -> ``cats/1``, if the suffix is an image's."""
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


def below(root: str | Path) -> str:
    """Prefix that turns a relative path into one below ``root``."""
    return str(Path(root) / "x")[:-1]


def pool_of(root: str | Path, key: str) -> "list[tuple[str, str]]":
    """(id, path) of every image below ``root``; the id is the relative path without suffix."""
    return [(without_suffix(name), below(root) + name) for name in images_below(root, key)]
