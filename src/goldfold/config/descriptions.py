"""Descriptions of the config's keys: the docstrings below the fields, read only for the schema and its page.

With ``use_attribute_docstrings``, pydantic reads the source whenever a section is defined. In a process that has loaded
torch this takes 0.3 s, more than the rest of ``import goldfold.config``.
"""

import ast
import inspect
import textwrap
from functools import cache
from typing import Any

from pydantic import BaseModel


@cache
def descriptions(section: type[BaseModel]) -> dict[str, str]:
    """Description of each described key of a section, from the class that declares the key."""
    keys = {name: field.alias or name for name, field in section.model_fields.items()}
    found: dict[str, str] = {}
    for base in reversed(section.__mro__):
        declared = inspect.get_annotations(base)
        found = {name: text for name, text in found.items() if name not in declared}
        if declared and issubclass(base, BaseModel) and base is not BaseModel:
            found |= _below_fields(base)
    return {key: found[name] for name, key in keys.items() if name in found}


def _below_fields(section: type[BaseModel]) -> dict[str, str]:
    """Text of the string that follows a field in the source of its class."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(definition, ast.ClassDef)
    found: dict[str, str] = {}
    for field, text in zip(definition.body, definition.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            found[ast.unparse(field.target)] = inspect.cleandoc(str(text.value.value))
    return found


def describe(schema: dict[str, Any], root: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of ``root``, in place, with the descriptions of all keys of all sections."""
    parts = {root.__name__: schema, **schema["$defs"]}
    for section in _below(BaseModel):
        properties = parts.get(section.__name__, {}).get("properties", {})
        for name, text in descriptions(section).items() if section.__module__.startswith("goldfold.config.") else ():
            properties.get(name, {})["description"] = text
    return schema


def _below(section: type[BaseModel]) -> set[type[BaseModel]]:
    """All classes derived from a section."""
    return {derived for direct in section.__subclasses__() for derived in (direct, *_below(direct))}
