"""Read the config, and say what is wrong with it in words."""

import re
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from goldfold.config.checks import check
from goldfold.config.choices import with_choices
from goldfold.config.root import Config
from goldfold.config.sizes import with_sizes
from goldfold.runtime.errors import ConfigError, nearest

BRANCHES = frozenset({"bool", "constrained-int", "int", "float", "str"})
SOURCES = (
    "'digits', 'folder', 'csv', 'masks', 'instances', 'rle', 'coco', 'voc', 'yolo', 'scenes_masks', 'scenes_boxes', "
    "'digits_labels', 'digits_ink'"
)
ROI_METHODS = "'none', 'contour', 'column', 'boxes'"
QUOTED = re.compile(r"'([^']*)'")


def load(path: str | Path) -> Config:
    """Config of a YAML file.

    Raises:
        ConfigError: the file cannot be read, or its contents are not a valid config.
    """
    return parse(read(path), origin=str(path))


class _Loader(yaml.SafeLoader):
    """Plain values only, and no key twice: YAML would take the last one and say nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for number, key in enumerate(keys):
            if key in keys[:number]:
                line = node.value[number][0].start_mark.line + 1
                raise ConfigError(f"line {line}: key {key!r} is given twice in one section; remove one")
        return super().construct_mapping(node, deep)


def read(path: str | Path) -> Any:
    """Plain values of a YAML file.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or gives a key twice.
    """
    try:
        return yaml.load(Path(path).read_text(encoding="utf-8"), _Loader)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 ({error.reason} at byte {error.start}); save it as UTF-8") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def typed(value: Any, within: bool = False) -> Any:
    """A value of the command line as a config file would have it.

    Snakemake leaves ``true`` text, and all that stands within brackets. What is not YAML is left as it is.
    """
    if isinstance(value, dict):
        return {key: typed(part, within=True) for key, part in value.items()}
    if isinstance(value, list):
        return [typed(part, within=True) for part in value]
    if not isinstance(value, str):
        return value
    try:
        known = yaml.load(value, _Loader)
    except yaml.YAMLError:
        return value
    return known if within or known is None or isinstance(known, bool) else value


def parse(values: Any, origin: str = "config") -> Config:
    """Config of plain values, as YAML gives them.

    Raises:
        ConfigError: one line a problem, each with key, value, what is allowed and the nearest name.
    """
    if not isinstance(values, dict) or not values:
        raise ConfigError(f"{origin}: empty; it must hold keys such as name, data and models")
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_joined(origin, _lines([dict(entry) for entry in error.errors()]))) from error
    try:
        check(config)
    except ConfigError as error:
        raise ConfigError(_joined(origin, str(error).splitlines())) from error
    return with_sizes(with_choices(config))


def _joined(origin: str, lines: list[str]) -> str:
    return f"{origin}: {len(lines)} problem{'s'[: len(lines) > 1]}\n" + "\n".join(f"  {line}" for line in lines)


def _lines(errors: list[dict[str, Any]]) -> list[str]:
    """A line a mistake: what the branches of a union say of the same value goes into one."""
    said: dict[str, list[str]] = {}
    for entry in _without_echoes(errors):
        where, what = _describe(entry)
        said.setdefault(where, []).append(what)
    return [f"{where}: {' or '.join(dict.fromkeys(what))}" for where, what in said.items()]


def _without_echoes(errors: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Errors of the shared `train` block once, not once more for each model that inherits them."""
    shared = [(entry["loc"][1:], repr(entry["input"])) for entry in errors if entry["loc"][0] == "train"]
    return [
        entry
        for entry in errors
        if not (entry["loc"][0] == "models" and (entry["loc"][3:], repr(entry["input"])) in shared)
    ]


def _describe(error: dict[str, Any]) -> tuple[str, str]:
    """Key (and value), and what is wrong with it, for one error of pydantic's."""
    location, sections = _locate(error["loc"])
    where = _dotted(location) or "config"
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = sorted({name for section in sections for name in section.model_fields})
        return where, f"unknown key; {nearest(location[-1], allowed)}allowed: {', '.join(allowed)}"
    if kind == "missing":
        return where, "missing; it must be given"
    if kind == "literal_error":
        choices = str(context["expected"])
        return f"{where} = {value!r}", f"{nearest(str(value), QUOTED.findall(choices))}allowed: {choices}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        key = str(context.get("discriminator", "'source'")).strip("'")
        tag = value.get(key) if isinstance(value, dict) else value
        choices = context.get("expected_tags", SOURCES if key == "source" else ROI_METHODS)
        return f"{where}.{key} = {tag!r}", f"{nearest(str(tag), QUOTED.findall(choices))}allowed: {choices}"
    if isinstance(value, dict | list) and kind == "value_error":
        return where, str(error["msg"]).removeprefix("Value error, ")
    return f"{where} = {value!r}", str(error["msg"]).removeprefix("Value error, ")


def _locate(location: tuple[int | str, ...]) -> tuple[list[str], list[type[BaseModel]]]:
    """Path as a user writes it (without the tags of unions), and the sections its last key could belong to."""
    path: list[str] = []
    sections: list[type[BaseModel]] = [Config]
    annotation: Any = Config
    for part in location:
        if isinstance(part, int):
            path.append(f"[{part}]")
            continue
        fields = [section.model_fields[part] for section in _sections(annotation) if part in section.model_fields]
        tagged = [section for section in _sections(annotation) if part == _tag(section)]
        if tagged and len(_sections(annotation)) > 1:  # a source may have a key of its own name: masks
            annotation, sections = tagged[0], tagged
            continue
        if get_origin(annotation) is dict:
            path.append(part)
            annotation = get_args(annotation)[1]
            continue
        if part in BRANCHES or (not fields and not _sections(annotation)):
            continue  # name of a union's branch, not a key
        sections = _sections(annotation)
        path.append(str(part))
        if fields:
            annotation = fields[0].annotation
    return path, sections


def _dotted(path: list[str]) -> str:
    return ".".join(path).replace(".[", "[")


def _tag(section: type[BaseModel]) -> Any:
    field = section.model_fields.get("source") or section.model_fields.get("method")
    return get_args(field.annotation)[0] if field else None


def _sections(annotation: Any) -> list[type[BaseModel]]:
    """Every section that ``annotation`` can hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (list, Union, UnionType) or hasattr(annotation, "__metadata__"):
        return [section for inner in get_args(annotation) for section in _sections(inner)]
    return []
