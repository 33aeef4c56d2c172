"""Problems of keys that name a component."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from goldfold.base.errors import shown
from goldfold.components import Kind, Written, parse, problems

if TYPE_CHECKING:
    from goldfold.config.learning import Train


def as_written(mix: Written, settings: "Train") -> str:
    """A way of mixing as the config has it: ``mixup_alpha = 0.2``, or ``mix = ...``."""
    if mix in settings.mix:
        return f"mix = {shown(mix)}"
    name, params = parse(mix)
    return f"{name}_alpha = {params['alpha']:g}"


def component_problems(key: str, written: Any, kind: Kind, entries: Mapping[str, str], task: str = "") -> Iterator[str]:
    """Problems of a key that names a component."""
    for problem in problems(written, kind, entries):
        of = f"allowed with {task}: " if task else "allowed: "
        yield f"{key} = {shown(written)}: {problem.replace('allowed: ', of, 1)}"
