"""Refuse forms of `ensemble` that are neither a section nor a list of steps, and name the right one."""

from typing import Any

from goldfold import catalog
from goldfold.base.errors import nearest, shown

METHODS = frozenset(name for entries in catalog.ENSEMBLES.values() for name in entries)
STEP_NAMES = frozenset(
    name for entries in (*catalog.FUSIONS.values(), *catalog.POSTPROCESSING.values()) for name in entries
)


def no_name(value: Any) -> Any:
    """Return a value that is neither the name of a method or a step, nor a step as a section.

    Raises:
        ValueError: it is one of these.
    """
    if isinstance(value, str):
        hint = "" if value in METHODS | STEP_NAMES else nearest(value, METHODS | STEP_NAMES)
        known = f"{{method: {value}}}" if value in METHODS else f"a list of steps: [{value}]"
        raise ValueError(
            f"{hint}write {known if value in METHODS | STEP_NAMES else '{method: ...}, or a list of steps'}"
        )
    steps = [key for key in value if key in STEP_NAMES] if isinstance(value, dict) else []
    if steps:
        raise ValueError(f"{steps[0]} is a step; write a list of steps: [{{{steps[0]}: {shown(value[steps[0]])}}}]")
    return value


def is_average(step: Any) -> bool:
    """Return whether a step is a section `average`, as written in a config or already validated."""
    return hasattr(step, "average") or (isinstance(step, dict) and [*step] == ["average"])
