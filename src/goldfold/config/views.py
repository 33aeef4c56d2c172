"""The key ``tta``: views, and augmentations within them."""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, WithJsonSchema

from goldfold import catalog
from goldfold.base.errors import shown
from goldfold.components import name_of, parse
from goldfold.config import augmentation, kinds
from goldfold.config.component_checks import component_problems
from goldfold.config.written import Written, component, named_schema
from goldfold.inference import parameters
from goldfold.samples.presets.reading import expanded
from goldfold.tasks.facts import Facts

FLIPS = ("none", "horizontal", "both")
SWAPS = frozenset({"rot90", "rot270", "transpose", "antitranspose"})
"""Views that swap height and width."""
D4 = frozenset({"d4", "dihedral", "d4_transform"})
"""Names of other tools for all turns by 90 degrees and their mirrored images."""


def _view(value: Any) -> Any:
    """Validate a view; a file of augmentations in it is replaced by what it lists."""
    written = component(value)
    name, params = parse(written)
    if name != "random" or "augment" not in params:
        return written
    return {name: {**params, "augment": TypeAdapter(augmentation.Augmentation).validate_python(params["augment"])}}


View = Annotated[Written, BeforeValidator(_view), WithJsonSchema(named_schema(catalog.VIEWS))]


def view_problems(key: str, written: Written, task: Facts, task_name: str) -> Iterator[str]:
    """Problems of a view: its name, and values of its parameters."""
    name, params = parse(written)
    is_lossy = name in {*catalog.VIEWS} - {*catalog.INVERTED} - {*task.views}
    why = "; masks and boxes need views that show the whole image and can be inverted" if is_lossy else ""
    if name.lower() in D4:
        yield f"{key} = {shown(written)}: is no view; the eight turns and mirrored turns are tta: [{', '.join(catalog.TURNS)}]"
        return
    found = list(component_problems(key, written, kinds.VIEW, task.views, task_name))
    yield from (f"{problem}{why}" for problem in found)
    if found or name not in catalog.VIEWS:
        return
    yield from (f"{key} = {shown(written)}: {problem}" for problem in parameters.problems(params))
    if name == "random":
        yield from (f"{key} = {shown(written)}: {problem}" for problem in _random(params))


def _random(params: dict[str, Any]) -> Iterator[str]:
    if params.get("flips", "none") not in FLIPS:
        yield f"flips = {shown(params['flips'])}: allowed: {', '.join(FLIPS)}"
    yield from (
        f"augment = {problem}" for problem in augmentation.every_problem(params.get("augment", parameters.AUGMENT))
    )


def swapping(views: Iterable[Written]) -> list[str]:
    """Names of the views that swap height and width."""
    return [name for view in views for name in parameters.turns_of(view) if name in SWAPS]


def settled(views: list[Written]) -> list[Written]:
    """Views as recipes hold them: contents of augmentation presets in place of their names."""
    return [_settled(view) for view in views]


def _settled(view: Written) -> Written:
    name, params = parse(view)
    if name != "random":
        return view
    return {name: {**params, "augment": expanded(params.get("augment", parameters.AUGMENT))}}


def needs_trial(views: list[Written]) -> bool:
    """Return whether there are views other than turns of the image, which work with every network."""
    return any(name_of(view) not in catalog.TURNS for view in views)
