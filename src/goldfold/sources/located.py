"""Files that names in an annotation file mean, whatever tool and machine wrote them."""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from unicodedata import normalize
from urllib.parse import unquote

from goldfold.images.files import SUFFIXES, files_below, inside, without_suffix

ORIGIN = re.compile(r"^(?:[A-Za-z][A-Za-z0-9+.-]*://[^/]*/|[A-Za-z]:[\\/]|[\\/])")
"""What an absolute path or an address begins with."""


class Folder:
    """Images below a folder, by their names in several spellings."""

    def __init__(self, root: str) -> None:
        """List the images; a folder that is not there has none."""
        files = files_below(Path(root), SUFFIXES) if os.path.isdir(root) else []
        self.files = set(files)
        self._alike: dict[str, list[str]] = {}
        for name in files:
            for spelling in {_plain(name), _plain(without_suffix(name))}:
                self._alike.setdefault(spelling, []).append(name)

    def find(self, name: str) -> str | None:
        """The file of a relative name, which may be %-encoded, lack its suffix, or differ in case or composition."""
        for spelling in dict.fromkeys((name, unquote(name))):
            if spelling in self.files:
                return spelling
            if len(found := self._alike.get(_plain(spelling), [])) == 1:
                return found[0]
        return None

    def find_end(self, name: str) -> str | None:
        """The file that a path ends with, the longest end that there is."""
        parts = name.split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts)))
        return next((found for end in ends if end and (found := self.find(end)) is not None), None)


def _plain(name: str) -> str:
    return normalize("NFC", name).casefold()


def located(names: Sequence[str], root: str, where: str) -> list[str]:
    """Relative path below ``root`` of each name; one whose file is not there is as written, for the message.

    Absolute paths and addresses, of this or another machine, mean the file below ``root`` that they end with. Where no
    relative name is there, a folder that begins all of them is left out.

    Raises:
        DataError: a name leads out of the folder, and no file below it is meant.
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
    """An absolute path or address after where it begins, with ``/`` between its parts."""
    plain = re.split(r"[?#]", name)[0] if "://" in name else name
    return ORIGIN.sub("", plain, count=1).replace("\\", "/").strip("/")


def _without_common(written: dict[str, str], folder: Folder) -> dict[str, str | None]:
    """The files without as few of the folders that all names begin with as lets one be found."""
    parts = [PurePosixPath(name).parts for name in written.values()]
    shortest = min(len(own) - 1 for own in parts)
    n_common = next((n for n in range(shortest) if len({own[n] for own in parts}) > 1), shortest)
    for n in range(1, n_common + 1):
        found = {name: folder.find("/".join(own[n:])) for name, own in zip(written, parts, strict=True)}
        if any(found.values()):
            return found
    return {}
