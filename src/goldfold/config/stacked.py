"""Metadata columns that steps of the ensemble take."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from goldfold.base.errors import nearest, shown
from goldfold.components import Written
from goldfold.config.root import Config
from goldfold.ensembling.with_metadata import METADATA, metadata_of

WAY = "write metadata: true for all columns of data.metadata, or a list of their names"


def columns(config: Config) -> dict[str, list[str]]:
    """Metadata columns that steps of the ensemble take, by kind; empty if none takes any."""
    taken = [value for step in config.written_steps if (value := metadata_of(step))]
    if not taken:
        return {}
    every = any(value is True for value in taken)
    names = {name for value in taken if isinstance(value, list) for name in value}
    return {kind: [name for name in of_kind if every or name in names] for kind, of_kind in _known(config).items()}


def problems(step: Written, config: Config) -> Iterator[str]:
    """Problems of a step's metadata."""
    value: Any = metadata_of(step)
    if isinstance(value, bool):
        if value and not config.data.has_metadata:
            yield f"metadata: data.metadata names no column; list them there{_way(config)}, or remove it"
        return
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        yield f"metadata = {shown(value)}: {WAY}"
        return
    yield from _of_names(value, config)


def _of_names(names: Sequence[str], config: Config) -> Iterator[str]:
    known = [name for of_kind in _known(config).values() for name in of_kind]
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        yield f"metadata: {twice[0]!r} is listed twice; remove one"
    if unknown := [name for name in names if name not in known]:
        listed = f"it has {', '.join(known)}" if known else f"it names no column{_way(config)}"
        yield f"metadata: {unknown[0]!r} is not in data.metadata; {nearest(unknown[0], known)}{listed}"


def _known(config: Config) -> Mapping[str, list[str]]:
    """Names in ``data.metadata`` by kind."""
    found = getattr(config.data, METADATA, None)
    return found.model_dump() if found else {}


def _way(config: Config) -> str:
    """Sources that have the key, where the config's has not."""
    has_key = METADATA in type(config.data).model_fields
    return "" if has_key else " (source: csv and sources of your own have this key)"
