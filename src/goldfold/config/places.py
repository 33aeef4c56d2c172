"""Places of keys in the config: where a key that stands in a wrong section belongs."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from goldfold.base.errors import ConfigError, shown
from goldfold.catalog import HOOKS, SCHEDULES, UPDATES
from goldfold.config.base import keys_of
from goldfold.config.external import External
from goldfold.config.learning import Train
from goldfold.config.root import Config
from goldfold.config.soups import Snapshot
from goldfold.signatures import read

COMPONENTS = {"schedule": SCHEDULES, "update": UPDATES, "hooks": HOOKS}
"""Keys of ``train`` whose components have parameters that may be taken for keys."""
Home = tuple[str, type[BaseModel]]


def sections_of(annotation: Any) -> list[type[BaseModel]]:
    """All sections that ``annotation`` can hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (list, Union, UnionType) or hasattr(annotation, "__metadata__"):
        return [section for inner in get_args(annotation) for section in sections_of(inner)]
    return []


def belongs(key: str, value: Any, path: Sequence[str], sections: Iterable[type[BaseModel]]) -> str:
    """Return where an unknown key belongs, as the rest of a sentence; empty if no section has it.

    Args:
        path: keys of the section that holds it.
        sections: classes that this section may have.
    """
    inside = [home for section in sections for home in homes(section, key)]
    others = [home for home in homes(Config, key) if not any(issubclass(known, home[1]) for _, known in inside)]
    here = re.sub(r"\[\d+\]", "[...]", ".".join(path).replace(".[", "["))
    if any(name == here for name, _ in others):
        return ""  # a key of another source of the same section
    names = list(dict.fromkeys(name for name, _ in [*inside, *others]))
    if not names:
        return _parameter(key, value) if any(issubclass(section, Train) for section in sections) else ""
    if len(names) == 1 and inside and re.fullmatch(r"\w+", names[0]):
        return f"it belongs under {names[0]}: write {names[0]}: {{{key}: {shown(value)}}}"
    return "it belongs " + ", or ".join(f"under {name}" if name else "at the top level" for name in names)


@cache
def homes(root: type[BaseModel], key: str) -> list[Home]:
    """Path from ``root`` and class of the sections that have a key: of those nearest to ``root``."""
    level, seen = [("", root)], {root}
    while level:
        if found := [(path, section) for path, section in level if key in keys_of(section)]:
            return found
        inner = [
            (_joined(path, name, field.annotation), one)
            for path, section in level
            for name, field in keys_of(section).items()
            for one in sections_of(field.annotation)
        ]
        level = [home for home in inner if home[1] not in seen and home[1] not in (Snapshot, External)]
        seen |= {section for _, section in level}
    return []


def _joined(path: str, name: str, annotation: Any) -> str:
    listed = "[...]" if _is_list(annotation) else ""
    return f"{path}.{name}{listed}".removeprefix(".")


def _is_list(annotation: Any) -> bool:
    """Return whether the sections of ``annotation`` are the entries of a list."""
    if get_origin(annotation) is list:
        return True
    parts = [part for part in get_args(annotation) if sections_of(part)]
    return bool(parts) and all(map(_is_list, parts))


def _parameter(key: str, value: Any) -> str:
    """Return which component of ``train`` has a parameter of this name."""
    names, written = list[str](), list[str]()
    for where, entries in COMPONENTS.items():
        for name in [name for name, defined in entries.items() if key in _parameters(defined)]:
            names.append(name)
            one = f"{{{name}: {{{key}: {shown(value)}}}}}"
            written.append(f"{where}: [{one}]" if where == "hooks" else f"{where}: {one}")
    return f"it is a parameter of {', '.join(names)}: write {', or '.join(written)}" if names else ""


@cache
def _parameters(where: str) -> frozenset[str]:
    try:
        return frozenset(part.name for part in read(where).parameters)
    except ConfigError:
        return frozenset()
