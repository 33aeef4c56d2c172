"""Guess the file that a wrong name means: other case, other suffix, leading zeros, a typo."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from goldfold.images.files import SUFFIXES, files_below, without_suffix

ANY = ".*"
"""Suffix given to a missing file that was named without one; see `goldfold.images.stacks`."""
MANY = 20_000
"""Number of names above which typos are not searched for, since it takes seconds."""


def _same_case(name: str) -> str:
    return name.casefold()


def _same_stem(name: str) -> str:
    return without_suffix(name.casefold())


def _same_numbers(name: str) -> str:
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), _same_stem(name))


def _same_base(name: str) -> str:
    return _same_numbers(name.rpartition("/")[2])


KEYS: Sequence[Callable[[str], str]] = (_same_case, _same_stem, _same_numbers, _same_base)
"""Normalised forms in which two names may agree, the most certain first."""


def nearest_of(name: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that differs from ``name`` in case, suffix, leading zeros, folder or by a typo; else None.

    Different numbers are not a typo: ``img_13`` does not mean ``img_12``.
    """
    choices = list(names)
    for key in KEYS:
        wanted = key(name)
        if (found := next((choice for choice in choices if key(choice) == wanted), None)) is not None:
            return found
    if len(choices) > MANY:
        return None
    numbers = _numbers(name)
    alike = {_same_case(choice): choice for choice in reversed(choices) if _numbers(choice) == numbers}
    close = get_close_matches(_same_case(name), alike, n=1, cutoff=0.6)
    return alike[close[0]] if close else None


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", without_suffix(name))]


def nearest_name(name: str, names: Iterable[str], says: str = "nearest is") -> str:
    """Sentence such as ``The nearest image is 'a/007'. ``; empty if nothing is near."""
    found = nearest_of(name, names)
    return "" if found is None else f"{says[0].upper()}{says[1:]} {found!r}. "


def nearest_file(path: str) -> str:
    """Hint such as ``nearest is img/a.PNG: write 'a.PNG'`` for the path of a missing image (``.*`` for no suffix)."""
    folder = Path(os.path.dirname(path) or ".")
    while not os.path.isdir(folder) and folder != folder.parent:
        folder = folder.parent
    wanted = Path(os.path.relpath(path, folder)).as_posix()
    found = nearest_of(wanted.removesuffix(ANY), files_below(folder, SUFFIXES))
    if found is None:
        return ""
    written = without_suffix(found) if wanted.endswith(ANY) else found
    return f"nearest is {folder / found}: write {written!r}" + (f" below {folder}" if "/" in wanted + written else "")
