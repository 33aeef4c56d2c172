"""Read a config, and explain its problems in words."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from goldfold.base.config_files import NO_KEYS, read
from goldfold.base.errors import ConfigError, nearest, shown
from goldfold.catalog import DEMOS, SOURCES
from goldfold.config.ablation import expanded
from goldfold.config.ablation import keys as variants
from goldfold.config.ablation_checks import refuse_idle
from goldfold.config.base import keys_of
from goldfold.config.checks import check
from goldfold.config.choices import with_choices
from goldfold.config.data import NAMED, OWN
from goldfold.config.detector import detector_values, with_detector
from goldfold.config.full_data import FULL, SWITCHED, FullDataSection
from goldfold.config.made import with_made
from goldfold.config.models import BRANCH, SWITCH, MetadataBranch
from goldfold.config.own_source import Own
from goldfold.config.places import belongs, sections_of
from goldfold.config.plain import unusable
from goldfold.config.pseudo_labels import DECAY, NUMBER, SECTION, TEXT, ByAccuracy, ByCounts, Decay, SoftLabels
from goldfold.config.quick import shortened
from goldfold.config.root import AVERAGE, KEYS, OTHER, STEPS, Averaging, Config, Ensemble
from goldfold.config.rounds import BY_ACCURACY, BY_COUNTS
from goldfold.config.sizes import refuse_wrong_caches, with_sizes
from goldfold.config.stacked import refuse_twins
from goldfold.config.wording import in_words

BRANCHES = frozenset(
    {"bool", "constrained-int", "int", "float", "str", STEPS, OTHER, NAMED, SWITCH, SWITCHED, NUMBER, TEXT}
)
NARROWED: dict[Any, type[BaseModel]] = {
    KEYS: Ensemble, AVERAGE: Averaging, OWN: Own, BRANCH: MetadataBranch, DECAY: Decay, SECTION: SoftLabels,
    BY_COUNTS: ByCounts, BY_ACCURACY: ByAccuracy, FULL: FullDataSection,
}  # fmt: skip
"""Branches of a union that are a single section."""
ALL_SOURCES = ", ".join(map(repr, [*SOURCES, *DEMOS, "package.module:function"]))
ROI_METHODS = "'none', 'contour', 'column', 'boxes', 'detector'"
MOST_LINES = 50
"""Most problems that an error lists."""
QUOTED = re.compile(r"'([^']*)'")


def load(path: str | Path) -> Config:
    """Load the config of a YAML file.

    Raises:
        ConfigError: the file cannot be read, or its contents are not a valid config.
    """
    return parse(read(path), origin=str(path))


def parse(values: Any, origin: str = "config") -> Config:
    """Parse a config from plain values, as read from YAML.

    Raises:
        ConfigError: one line per problem, each with key, value, allowed values and the nearest name.
    """
    if not isinstance(values, dict) or not values:
        raise ConfigError(f"{origin}: {NO_KEYS}")
    if problems := list(unusable(values)):
        raise ConfigError(_joined(origin, problems))
    with _named(origin):
        values = expanded(values)
    if values.get("quick") is True:
        values = shortened(values)
    with _named(origin, dict(variants(values))):
        config = with_made(_valid(values))
        check(config)
        config = with_sizes(with_choices(config))
        refuse_wrong_caches(config)
        refuse_twins(config)
        refuse_idle(config)
        of_detector = detector_values(config)
    if not of_detector:
        return config
    detector = parse(**of_detector)
    with _named(origin):
        return with_detector(config, detector)


def _valid(values: dict[str, Any]) -> Config:
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_lines([dict(entry) for entry in error.errors()]))) from error


@contextmanager
def _named(origin: str, keys: Mapping[str, str] = MappingProxyType({})) -> Iterator[None]:
    """Add the origin of the config to the problems of a check, one line per problem.

    Args:
        keys: keys at the start of a problem -> what the user wrote.
    """
    try:
        yield
    except ConfigError as error:
        lines = [_renamed(line, keys) for line in str(error).splitlines()]
        raise ConfigError(_joined(origin, list(dict.fromkeys(lines)))) from error


def _renamed(line: str, keys: Mapping[str, str]) -> str:
    for key, written in keys.items():
        if line.startswith((f"{key}.", f"{key}:", f"{key} =")):
            return written + line.removeprefix(key)
    return line


def _joined(origin: str, lines: list[str]) -> str:
    shown_lines = [*lines[:MOST_LINES], *[f"and {len(lines) - MOST_LINES} more"] * (len(lines) > MOST_LINES)]
    return f"{origin}: {len(lines)} problem{'s'[: len(lines) > 1]}\n" + "\n".join(f"  {line}" for line in shown_lines)


def _lines(errors: list[dict[str, Any]]) -> list[str]:
    """One line per mistake: messages of a union's branches about the same value are joined."""
    said: dict[str, list[str]] = {}
    for entry in _without_echoes(errors):
        where, what = _describe(entry)
        said.setdefault(where, []).append(what)
    return [f"{where}: {' or '.join(dict.fromkeys(what))}" for where, what in said.items()]


def _without_echoes(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Drop errors of the shared `train` block that are repeated for each model."""
    shared = [(entry["loc"][1:], shown(entry["input"])) for entry in errors if entry["loc"][0] == "train"]
    return [
        entry
        for entry in errors
        if not (entry["loc"][0] == "models" and (entry["loc"][3:], shown(entry["input"])) in shared)
    ]


def _describe(error: dict[str, Any]) -> tuple[str, str]:
    """Key (and value) and the problem, for one pydantic error."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    place, is_key = error["loc"], kind == "invalid_key" or error["loc"][-1:] == ("[key]",)
    location, sections = _locate(place[: -1 if kind == "invalid_key" else -2] if is_key else place)
    where = _dotted(location) or "config"
    if is_key:
        if isinstance(value, str):
            return where, f"key {shown(value)}: {error['msg']}"
        return where, f"key {shown(value)} is not text{_unquoted('string_type', value)}"
    if kind == "extra_forbidden":
        allowed = sorted({name for section in sections for name in keys_of(section)})
        if elsewhere := belongs(location[-1], value, location[:-1], sections):
            return where, f"unknown key; {elsewhere}"
        return where, f"unknown key; {nearest(location[-1], allowed)}allowed: {', '.join(allowed)}"
    if kind == "model_type":
        inside = sorted({name for section in _locate([*place, ""])[1] for name in keys_of(section)})
        return f"{where} = {shown(value)}", f"write a section, {{key: value}}; allowed keys: {', '.join(inside)}"
    if kind in ("list_type", "dict_type"):
        form = (
            f"a list: [{'...' if value is None else _text(value)}]"
            if kind == "list_type"
            else "a section: {name: value}"
        )
        return f"{where} = {shown(value)}", f"write {form}"
    if kind == "missing":
        return where, "missing; it is required"
    if kind == "literal_error":
        choices = str(context["expected"])
        return f"{where} = {shown(value)}", f"{nearest(_text(value), QUOTED.findall(choices))}allowed: {choices}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key = str(context.get("discriminator", "'source'")).strip("'")
        tag = value.get(key) if isinstance(value, dict) else value
        choices = ALL_SOURCES if key == "source" else context.get("expected_tags", ROI_METHODS)
        return f"{where}.{key} = {shown(tag)}", f"{nearest(_text(tag), QUOTED.findall(choices))}allowed: {choices}"
    if isinstance(value, dict | list) and kind == "value_error":
        return where, in_words(error)
    return f"{where} = {shown(value)}", in_words(error) + _unquoted(kind, value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else shown(value)


def _unquoted(kind: str, value: Any) -> str:
    """Hint for a name that YAML reads as another type."""
    if kind != "string_type" or not isinstance(value, bool | int | float | date | list | dict | None):
        return ""
    kinds = (
        (bool, "true or false (as yes, no, on and off)"), (int | float, "a number"), (date, "a date"),
        (dict, "a section"), (object, "nothing (as null and ~)"),
    )  # fmt: skip
    if isinstance(value, list) or (isinstance(value, dict) and len(value) > 1):
        return f"; give one name, not a {'section' if isinstance(value, dict) else 'list'}"
    return f"; YAML reads it as {next(name for of, name in kinds if isinstance(value, of))}: put it in quotes"


def _locate(location: Sequence[int | str]) -> tuple[list[str], list[type[BaseModel]]]:
    """Path as written in YAML (without tags of unions), and the sections that its last key could belong to."""
    path: list[str] = []
    sections: list[type[BaseModel]] = [Config]
    annotation: Any = Config
    for part in location:
        if isinstance(part, int):
            path.append(f"[{part}]")
            continue
        if part in NARROWED:
            annotation, sections = NARROWED[part], [NARROWED[part]]
            continue
        fields = [keys_of(section)[part] for section in sections_of(annotation) if part in keys_of(section)]
        tagged = [section for section in sections_of(annotation) if part == _tag(section)]
        if tagged and len(sections_of(annotation)) > 1:  # a source may have a key of the same name: masks
            annotation, sections = tagged[0], tagged
            continue
        if get_origin(annotation) is dict:
            path.append(part)
            annotation = get_args(annotation)[1]
            continue
        if part in BRANCHES or (not fields and not sections_of(annotation)):
            continue  # tag of a union's branch, not a key
        sections = sections_of(annotation)
        path.append(str(part))
        if fields:
            annotation = fields[0].annotation
    return path, sections


def _dotted(path: list[str]) -> str:
    return ".".join(path).replace(".[", "[")


def _tag(section: type[BaseModel]) -> Any:
    field = section.model_fields.get("source") or section.model_fields.get("method")
    return next(iter(get_args(field.annotation)), None) if field else None
