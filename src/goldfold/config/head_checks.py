"""Checks of a model's own head, its statistics of pixels, and arguments of timm that keys of the config set."""

from collections.abc import Iterator

from goldfold.base.errors import shown
from goldfold.catalog import NETWORKS, POOLINGS
from goldfold.components import name_of
from goldfold.config import kinds
from goldfold.config.component_checks import component_problems
from goldfold.config.models import Model
from goldfold.tasks.facts import Facts

TIMM = {"img_size": "image_size_px", "in_chans": "data.channels", "num_classes": "the classes of the data"}
"""Arguments of timm's networks that goldfold sets, and where their value comes from."""
TWICE = {"drop_rate": "dropout", "drop_path_rate": "drop_path"}
"""Arguments of timm's networks that a key of the model sets too."""


def head_problems(model: Model, task: Facts, channels: int) -> Iterator[str]:
    """Problems of `head`, `mean` and `std`, and of arguments of timm in `params`."""
    if name_of(model.network) == "timm":
        yield from _of_timm(model)
    yield from _statistics(model, channels)
    if model.head is None:
        return
    if task.target in ("mask", "boxes") or name_of(model.network) in {**NETWORKS["maps"], **NETWORKS["boxes"]}:
        yield "head: networks for masks and boxes have heads of their own; remove it"
        return
    if model.head.pooling is not None:
        yield from component_problems("head.pooling", model.head.pooling, kinds.POOLING, POOLINGS)
        if "global_pool" in model.params:
            yield "head.pooling: params.global_pool chooses the pooling too; keep one of them"


def _of_timm(model: Model) -> Iterator[str]:
    for argument, key in TIMM.items():
        if argument in model.params:
            yield f"params: {argument!r} is set by goldfold, from {key}; remove it"
    for argument, key in TWICE.items():
        if argument in model.params and getattr(model, key):
            yield f"params: {argument!r} is what {key} sets, which is {getattr(model, key):g}; keep one of them"


def _statistics(model: Model, channels: int) -> Iterator[str]:
    """Numbers that are not one per channel, a standard deviation of 0, and values of another scale."""
    for key in ("mean", "std"):
        value = getattr(model, key)
        if value is None:
            continue
        numbers = value if isinstance(value, list) else [value] * channels
        if len(numbers) != channels:
            yield f"{key} = {shown(value)}: has {len(numbers)} values, but images have {channels} channels; give one per channel"
        low = "above 0" if key == "std" else "at least 0"
        if any(not 0 <= number <= 1 for number in numbers) or (key == "std" and min(numbers) == 0):
            yield f"{key} = {shown(value)}: must be {low} and at most 1, in units of the largest pixel value (255)"
