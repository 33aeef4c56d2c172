"""Checks of user-defined data sources and their files, and of the folder of demo data sets."""

import os
from collections.abc import Iterator
from typing import Any

from goldfold.base.errors import GoldfoldError, shown
from goldfold.base.files import refuse_unusable
from goldfold.catalog import DEMOS, SOURCES
from goldfold.components import problems
from goldfold.config.demo import Demo
from goldfold.config.kinds import SOURCE
from goldfold.config.mask_sources import MaskBase
from goldfold.config.own_source import Own
from goldfold.config.root import Config
from goldfold.config.sources import DataBase


def check_source(config: Config) -> Iterator[str]:
    """Problems of the data source, one line each; none for ordinary sources of the catalog."""
    data = config.data
    if isinstance(data, Demo):
        yield from _directory(data)
    if not isinstance(data, Own):
        return
    written: Any = {data.source: data.params} if data.params else data.source
    for problem in problems(written, SOURCE, {**SOURCES, **DEMOS}):
        what, _, is_lacking = problem.partition("; write {")
        yield f"data.source = {shown(data.source)}: {what}{'; add it to data.params' if is_lacking else ''}"
    if data.has_answers and not data.has_test:
        yield "data.tables: answers need test images; add test, or remove answers"
    if data.brings != "mask":
        for key in MaskBase.model_fields.keys() - DataBase.model_fields.keys():
            if getattr(data, key) != Own.model_fields[key].default:
                yield f"data.{key}: only for brings: mask; remove it"
    yield from _paths(data)


def _directory(data: Demo) -> Iterator[str]:
    try:
        refuse_unusable(data.directory)
    except GoldfoldError as error:
        yield f"data.directory = {shown(data.directory)}: {str(error).replace('results are', 'the data set is')}"


def _paths(data: Own) -> Iterator[str]:
    for path in data.files:
        if not os.path.exists(path):
            yield f"data.files: {shown(path)}: no such file or folder; correct it, or remove it"
        if within("results", [path]):
            yield f"data.files: {shown(path)} contains the results too, which change; name the files that the function reads"
    if data.writes is not None and any(
        within(data.writes, [path]) or within(path, [data.writes]) for path in data.files
    ):
        yield f"data.writes = {shown(data.writes)}: is inside data.files, or contains them; write to a separate folder"
    covered = [*data.files, *filter(None, [data.writes])]
    for name, value in data.params.items():
        if isinstance(value, str) and os.path.isfile(value) and not within(value, covered):
            yield f"data.params.{name} = {shown(value)}: a file that data.files does not cover; add it there"


def within(path: str, places: list[str]) -> bool:
    """Return whether a path is one of ``places``, or below one."""
    own = os.path.abspath(path)
    return any(own == place or own.startswith(os.path.join(place, "")) for place in map(os.path.abspath, places))
