"""Problems of keys that name a component."""

from collections.abc import Iterator, Mapping
from typing import Any

from goldfold.base.errors import shown
from goldfold.components import Kind, problems


def component_problems(key: str, written: Any, kind: Kind, entries: Mapping[str, str], task: str = "") -> Iterator[str]:
    """Problems of a key that names a component."""
    for problem in problems(written, kind, entries):
        of = f"allowed with {task}: " if task else "allowed: "
        yield f"{key} = {shown(written)}: {problem.replace('allowed: ', of, 1)}"
