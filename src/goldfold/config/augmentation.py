"""The key ``train.augment``: names of presets and steps, lists of them, and files that hold such a list."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from goldfold import catalog
from goldfold.base import config_files
from goldfold.base.errors import ConfigError, shown
from goldfold.components import parse, problems
from goldfold.config import kinds
from goldfold.config.libraries import albumentations_transforms
from goldfold.config.written import Written, component, listed_schema, named_schema
from goldfold.samples.presets.reading import NESTED

ENDINGS = (".yaml", ".yml")
KNOWN = {**catalog.PRESETS, **catalog.AUGMENTATIONS}


def is_file(value: Any) -> bool:
    """Return whether a value names a file with a list of steps."""
    return isinstance(value, str) and value.lower().endswith(ENDINGS)


def from_file(path: str) -> list[Written]:
    """Steps of a YAML file, checked.

    Raises:
        ValueError: the file cannot be read, is not a list, or a step in it is wrong; the message names the file.
    """
    try:
        values = config_files.read(path)
    except ConfigError as error:  # which names the file
        raise ValueError(str(error)) from error
    if not isinstance(values, list):
        kind = "empty" if values is None else f"{shown(values)}, not a list"
        raise ValueError(
            f"{path} is {kind}; write one step per line, as in the output of goldfold augment --preset light"
        )
    steps: list[Written] = []
    for number, value in enumerate(values, 1):
        if is_file(value):
            raise ValueError(
                f"{path}, step {number} is {shown(value)}: a file cannot name another file; copy its steps"
            )
        try:
            steps.append(component(value))
        except Exception as error:
            raise ValueError(
                f"{path}, step {number} is {shown(value)}: write a name, or {{name: {{parameter: value}}}}"
            ) from error
    if found := list(every_problem(steps)):
        raise ValueError(f"{path}: {'; '.join(found)}")
    return steps


def _steps(value: Any) -> Any:
    """Validate a name or a list; files are replaced by what they list."""
    if is_file(value):
        return from_file(value)
    if not isinstance(value, list) or not value:
        return component(value)
    return [step for one in value for step in (from_file(one) if is_file(one) else [component(one)])]


Augmentation = Annotated[
    Written | list[Written], BeforeValidator(_steps), WithJsonSchema(listed_schema(named_schema(KNOWN, more=True)))
]


def every_problem(wanted: Any) -> Iterator[str]:
    """Problems of presets, steps and albumentations transforms, those of nested ones included."""
    for one in wanted if isinstance(wanted, list) else [wanted]:
        name, params = parse(one)
        if name in catalog.PRESETS:
            yield from _named(one, problems(one, kinds.PRESET, catalog.PRESETS))
        elif not isinstance(wanted, list) or name in catalog.AUGMENTATIONS or ":" in name:
            yield from _named(one, _alone(one) or problems(one, kinds.AUGMENTATION, KNOWN))
        else:
            yield from _named(one, problems(one, kinds.TRANSFORM, {**KNOWN, **albumentations_transforms()}))
        for key in NESTED:
            yield from _nested(name, key, params)


def _alone(one: Written) -> list[str]:
    """Problem of a single transform that only a list can hold."""
    name, params = parse(one)
    text = f"{{{name}: {shown(params)}}}" if params else name
    return [f"a transform of albumentations goes into a list: [{text}]"] * (name in albumentations_transforms())


def _nested(name: str, key: str, params: Mapping[str, Any]) -> Iterator[str]:
    value = params.get(key)
    if isinstance(value, list):
        yield from every_problem([part for part in value if isinstance(part, str | dict)])
        for part in value:
            if not isinstance(part, str | dict):
                yield f"{name}.{key}: {shown(part)} is neither a name nor {{name: {{parameter: value}}}}"
    elif value is not None:
        yield f"{name}.{key} = {shown(value)}: write a list of steps"


def _named(one: Written, found: Iterable[str]) -> Iterator[str]:
    yield from (f"{shown(one)}: {problem}" for problem in found)
