"""The file that a wrong name most likely means: another case, another suffix, zeros in front, a slip."""

import os
import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path

from goldfold.data.files import SUFFIXES, files_below, without_suffix

MANY = 20_000
"""Of more names, slips are not looked for, which takes seconds for as many."""


def _same_case(name: str) -> str:
    return name.casefold()


def _same_stem(name: str) -> str:
    return without_suffix(name.casefold())


def _same_numbers(name: str) -> str:
    return re.sub(r"\d+", lambda digits: str(int(digits[0])), _same_stem(name))


def _same_base(name: str) -> str:
    return _same_numbers(name.rpartition("/")[2])


KEYS: Sequence[Callable[[str], str]] = (_same_case, _same_stem, _same_numbers, _same_base)
"""What two names may have in common, from the surest on."""


def nearest_of(name: str, names: Iterable[str]) -> str | None:
    """The one of ``names`` that differs from ``name`` in case, suffix, leading zeros, folder or by a slip; else None.

    Other numbers are no slip: ``img_12`` is not meant by ``img_13``.
    """
    choices = list(names)
    for key in KEYS:
        wanted = key(name)
        if (found := next((choice for choice in choices if key(choice) == wanted), None)) is not None:
            return found
    if len(choices) > MANY:
        return None
    numbers = _numbers(name)
    alike = [choice for choice in choices if _numbers(choice) == numbers]
    return next(iter(get_close_matches(name, alike, n=1, cutoff=0.6)), None)


def _numbers(name: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", without_suffix(name))]


def nearest_name(name: str, names: Iterable[str]) -> str:
    """Hint such as ``nearest is 'a/007.png'; ``, empty where nothing is near."""
    found = nearest_of(name, names)
    return "" if found is None else f"nearest is {found!r}; "


def nearest_file(path: str) -> str | None:
    """The image file that the path of a missing one (``.*`` for no suffix) most likely means."""
    folder = Path(os.path.dirname(path) or ".")
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    name = os.path.relpath(path, folder)
    found = nearest_of(name.removesuffix(".*"), files_below(folder, SUFFIXES))
    return None if found is None else str(folder / found)
