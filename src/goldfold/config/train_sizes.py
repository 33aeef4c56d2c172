"""The key ``train.sizes``: image sizes of training by epoch."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from goldfold.base.errors import shown
from goldfold.config.base import height_and_width
from goldfold.tasks import facts

if TYPE_CHECKING:
    from goldfold.config.learning import Model
    from goldfold.config.root import Config

WRITE = "write [first epoch, size] pairs, such as [[0, 128], [10, 192]]; a size is a number or [height, width]"
LEAST_PX = 4


def _in_order(value: Any) -> Any:
    """Check that the pairs begin with epoch 0 and are in order."""
    if value is None:
        return value
    if not isinstance(value, list) or not value or not all(map(_is_pair, value)):
        raise ValueError(WRITE)
    epochs = [epoch for epoch, _ in value]
    if epochs[0] != 0:
        raise ValueError(f"begins with epoch {epochs[0]}; the first pair must be of epoch 0")
    for first, second in pairwise(epochs):
        if second <= first:
            raise ValueError(f"epoch {second} follows epoch {first}; list the epochs in order, each once")
    return value


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_whole(value[0], 0) and _is_size(value[1])


def _is_size(value: Any) -> bool:
    sides = value if isinstance(value, list) and len(value) == 2 else [value]
    return all(_is_whole(side, LEAST_PX) for side in sides)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


Pair = Annotated[list[int | list[int]], Field(min_length=2, max_length=2)]
Sizes = Annotated[list[Pair] | None, BeforeValidator(_in_order)]


def sizes_of(written: Any) -> list[tuple[int, int]]:
    """Heights and widths of the pairs."""
    return [height_and_width(size) for _, size in written or []]


def problems(config: "Config", index: int, model: "Model") -> Iterator[str]:
    """Problems of the sizes of a model, those of its rounds included."""
    found: dict[str, None] = {}
    for number in range(len(config.every_round)):
        found |= dict.fromkeys(_of(config, config.model(model.name, number)))
    for problem in found:
        yield f"models[{index}] ({model.name}).train.sizes: {problem}"


def _of(config: "Config", model: "Model") -> Iterator[str]:
    written, (height, width), cached = model.train.sizes, model.size, config.cached_size(model)
    if not written:
        return
    if facts(config.task).target == "boxes":
        yield "detectors are trained at one size, since anchors belong to it; remove it"
        return
    if (last := int(written[-1][0])) >= model.train.epochs:  # type: ignore[arg-type]
        yield f"the size from epoch {last} on is never used, since epochs is {model.train.epochs}; epochs count from 0"
    for (_, size), (high, wide) in zip(written, sizes_of(written), strict=True):
        if isinstance(size, int) and height != width:
            yield f"{size} is square, but image_size_px is {height}x{width}; write [height, width]"
        elif high > cached[0] or wide > cached[1]:
            what = f"{shown(size)} is larger than the cached images, {cached[0]}x{cached[1]}"
            yield f"{what}; set cache_image_size_px to the largest size"
        elif model.resize != "squash" and high * width != wide * height:
            yield f"{high}x{wide} must have the shape of image_size_px, {height}x{width}, with resize: {model.resize}"
