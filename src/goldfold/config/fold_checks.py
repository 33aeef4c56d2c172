"""Checks that the splitter fits the groups, folds and order of the data."""

from collections.abc import Iterator

from goldfold.base.errors import shown
from goldfold.base.regular import MISSING, fault
from goldfold.catalog import SPLITTERS
from goldfold.components import name_of, problems
from goldfold.config.kinds import SPLITTER
from goldfold.config.own_source import Own
from goldfold.config.root import Config

ORDERED = ("ordered", "ordered_blocks")
BY_GROUP = ("group", "stratified_group", "multilabel_stratified_group")


def check_folds(config: Config) -> Iterator[str]:
    """Problems of the folds, one line each."""
    yield from _groups(config)
    yield from _given(config)
    folds, splitter = config.folds, name_of(config.folds.splitter)
    yield from (
        f"folds.splitter = {shown(folds.splitter)}: {what}" for what in problems(folds.splitter, SPLITTER, SPLITTERS)
    )
    if folds.gap and splitter not in ORDERED:
        yield f"folds.gap = {folds.gap:g}: only splitters ordered and ordered_blocks have a gap; remove it"
    if folds.sticky and splitter in ORDERED:
        yield f"folds.sticky: splitter {splitter!r} depends on the order only, which new images shift; remove it"
    if folds.file is not None and (reason := no_file(folds.file)):
        yield f"folds.file = {shown(folds.file)}: {reason}; correct it, or remove it"
    if getattr(config.data, "extra_images", None) and not getattr(config.data, "extra_train", None):
        yield "data.extra_images: there is no data.extra_train; name it, or remove extra_images"


def _groups(config: Config) -> Iterator[str]:
    splitter, data = name_of(config.folds.splitter), config.data
    grouped = data.has_groups
    own = "data.columns: [group]" if isinstance(data, Own) else ""
    if splitter in BY_GROUP and not grouped:
        ways = own or "data.group_column (source csv), data.groups or data.group_level"
        yield f"folds.splitter = {splitter!r}: needs {ways}"
    if splitter in ("stratified", "multilabel_stratified") and grouped:
        other = f"{splitter}_group"
        yield (
            f"there are groups ({own or 'data.group_column or data.groups, or folders by data.group_level'}) but "
            f"folds.splitter is {splitter!r}, which would split groups over folds: use {other} or group, or remove the groups"
        )


def _given(config: Config) -> Iterator[str]:
    """Problems of given folds or a given order: missing for a splitter that needs them, or unused."""
    splitter, file = name_of(config.folds.splitter), config.folds.file
    for column, wanted, names in (
        ("fold", ("predefined",), "predefined"),
        ("order", ORDERED, "ordered or ordered_blocks"),
    ):
        given = config.data.key_of(column)
        if splitter not in wanted and given:
            yield f"{given} is set but folds.splitter is {splitter!r}: use {names}, or remove {given.removeprefix('data.')}"
        if splitter in wanted and given is None and file is None:
            way = f"data.columns: [{column}]" if isinstance(config.data, Own) else f"data.{column}_column (source csv)"
            yield f"folds.splitter = {splitter!r}: needs {way} or folds.file (id, {column})"
        if splitter in wanted and given and file:
            yield f"{given} and folds.file both give the {column}; remove one"
    if file is not None and splitter not in ("predefined", *ORDERED):
        yield f"folds.file is set but folds.splitter is {splitter!r}: use predefined or ordered, or remove it"


def no_file(path: str) -> str:
    """Reason why a path is not a readable file; empty if it is one."""
    reason = fault(path)
    return "no such file" if reason == MISSING else reason
