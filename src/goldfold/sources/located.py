"""Files that names in an annotation file refer to, whatever tool and machine wrote them."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from unicodedata import normalize
from urllib.parse import unquote

from goldfold.images.files import SUFFIXES, files_below, inside, without_suffix

ORIGIN = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*://[^/]*/|[A-Za-z]:[\\/]|[\\/])")
"""Start of an absolute path or a URL."""


class Folder:
    """Images below a folder, looked up by several spellings of their names."""

    def __init__(self, root: str) -> None:
        """List the images; a missing folder has none."""
        files = files_below(Path(root), SUFFIXES) if os.path.isdir(root) else []
        self.files = set(files)
        self._alike: dict[str, list[str]] = {}
        for name in files:
            for spelling in {_plain(name), _plain(without_suffix(name))}:
                self._alike.setdefault(spelling, []).append(name)

    def find(self, name: str) -> str | None:
        """The file of a relative name, which may be URL-encoded, lack its suffix, or differ in case or Unicode form."""
        for spelling in dict.fromkeys((name, unquote(name))):
            if spelling in self.files:
                return spelling
            if len(found := self._alike.get(_plain(spelling), [])) == 1:
                return found[0]
        return None

    def find_end(self, name: str) -> str | None:
        """The file that matches the longest possible end of a path."""
        parts = name.split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((found for end in ends if end and (found := self.find(end)) is not None), None)


def _plain(name: str) -> str:
    return normalize("NFC", name).casefold()


def located(names: Sequence[str], root: str, where: str) -> list[str]:
    """Relative path below ``root`` of each name; names of missing files are returned as written, for error messages.

    Absolute paths and URLs, of this or another machine, refer to the file below ``root`` that they end with. If no relative
    name exists, leading folders that all names share are dropped.

    Raises:
        DataError: a name points outside the folder and matches no file below it.
    """
    folder = Folder(root)
    absolute = {name: folder.find_end(_rest(name)) for name in names if ORIGIN.match(name)}
    if any(absolute.values()):
        absolute = {name: found or PurePosixPath(_rest(name)).name for name, found in absolute.items()}
    plain = {name: absolute.get(name) or inside(name, where) for name in names}
    relative = {name: plain[name] for name in names if name not in absolute}
    found = {name: folder.find(written) for name, written in relative.items()}
    if relative and not any(found.values()):
        found = _without_common(relative, folder)
    return [found.get(name) or plain[name] for name in names]


def _rest(name: str) -> str:
    """An absolute path or URL without its start, with ``/`` between its parts."""
    plain = re.split(r"[?#]", name)[0] if "://" in name else name
    return ORIGIN.sub("", plain, count=1).replace("\\", "/").strip("/")


def _without_common(written: dict[str, str], folder: Folder) -> dict[str, str | None]:
    """Files by name, with as few as possible of the shared leading folders dropped to find any."""
    parts = [PurePosixPath(name).parts for name in written.values()]
    shortest = min(len(own) - 1 for own in parts)
    n_common = next((n for n in range(shortest) if len({own[n] for own in parts}) > 1), shortest)
    for n in range(1, n_common + 1):
        found = {name: folder.find("/".join(own[n:])) for name, own in zip(written, parts, strict=True)}
        if any(found.values()):
            return found
    return {}
