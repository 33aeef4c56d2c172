"""Write settings and their reasons as YAML."""

import math
from typing import Any

import yaml

from goldfold.commands.init.choices import Values
from goldfold.commands.init.found import Setting


def as_yaml(values: Values, head: list[str]) -> str:
    """One key per line, followed by its reason.

    Args:
        head: comments at the top.
    """
    lines = [f"# {line}" for line in head]
    after_section = False
    for key, value in values.items():
        is_section = not isinstance(value, Setting)
        lines += [""] * (is_section or after_section) + _lines(key, value, "")
        after_section = is_section
    return "\n".join(lines) + "\n"


def _lines(key: str, value: Any, indent: str) -> list[str]:
    if isinstance(value, Setting):
        return [f"{indent}{key}: {inline(value.value)} # {_one_line(value.why)}"]
    if isinstance(value, list):
        listed = [line for entry in value for line in _entry(entry, indent + "  ")]
        return [f"{indent}{key}:", *listed]
    return [f"{indent}{key}:", *(line for name, inner in value.items() for line in _lines(name, inner, indent + "  "))]


def _entry(entry: Values, indent: str) -> list[str]:
    lines = [line for name, inner in entry.items() for line in _lines(name, inner, indent + "  ")]
    return [f"{indent}- {lines[0].lstrip()}", *lines[1:]]


def inline(value: Any) -> str:
    """A value on one line, quoted if YAML requires it."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf, sort_keys=False)
    return text.removesuffix("...\n").strip()


def _one_line(text: str) -> str:
    return " ".join(text.split())
