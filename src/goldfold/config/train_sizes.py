"""The key ``train.sizes``: image sizes of training by epoch or by batch."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from goldfold.base.errors import shown
from goldfold.samples.sizes import MULTI_SCALE, ranges, sides, sizes_of

if TYPE_CHECKING:
    from goldfold.config.models import Model
    from goldfold.config.root import Config

WRITE = (
    "write [first epoch, size] pairs, such as [[0, 128], [10, 192]], or {multi_scale: [96, 128, 160]}; a size is a number, "
    "[height, width], or {multi_scale: [...]} with at least two different sizes, of which each batch draws one"
)
LEAST_PX = 4


def _in_order(value: Any) -> Any:
    """Check that the pairs begin with epoch 0 and are in order; the form without epochs becomes one pair."""
    if value is None:
        return value
    if isinstance(value, dict):
        value = [[0, value]]
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
    return (
        isinstance(value, list)
        and len(value) == 2
        and _is_whole(value[0], 0)
        and (_is_size(value[1]) or _is_choice(value[1]))
    )


def _is_size(value: Any) -> bool:
    sides = value if isinstance(value, list) and len(value) == 2 else [value]
    return all(_is_whole(side, LEAST_PX) for side in sides)


def _is_choice(value: Any) -> bool:
    sizes = value.get(MULTI_SCALE) if isinstance(value, dict) and [*value] == [MULTI_SCALE] else None
    if not isinstance(sizes, list) or not all(map(_is_size, sizes)):
        return False
    return len(sizes) == len({sides(size) for size in sizes}) >= 2


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


Choice = dict[Literal["multi_scale"], Annotated[list[int | list[int]], Field(min_length=2)]]
Pair = Annotated[list[int | list[int] | Choice], Field(min_length=2, max_length=2)]
Sizes = Annotated[list[Pair] | Choice | None, BeforeValidator(_in_order)]


def problems(config: "Config") -> Iterator[str]:
    """Problems of the sizes of all models: those of their own settings, then those that rounds bring in."""
    own = {model.name: [*_of(config, model)] for model in config.models}
    in_rounds = [
        {name: [*_of(config, config.model(name, number))] for name in one.models or ()}
        for number, one in enumerate(config.every_round)
    ]
    for index, model in enumerate(config.models):
        used = {problem for found in in_rounds for problem in found.get(model.name, ())}
        own[model.name] = [problem for problem in own[model.name] if problem in used]
        yield from (f"models[{index}] ({model.name}).train.sizes: {problem}" for problem in own[model.name])
    for number, found in enumerate(in_rounds):
        new = [(problem, name) for name, lines in found.items() for problem in lines if problem not in own[name]]
        for problem in dict.fromkeys(problem for problem, _ in new):
            names = [name for one, name in new if one == problem]
            of = f" (as settings of {', '.join(names)})" if len(names) < len(found) else ""
            yield f"rounds[{number}].train.sizes: {problem}{of}"


def _of(config: "Config", model: "Model") -> Iterator[str]:
    written, (height, width), cached = model.train.sizes, model.size, config.cached_size(model)
    if not written:
        return
    if (last := ranges(written)[-1][0]) >= model.train.epochs:
        yield f"the size from epoch {last} on is never used, since epochs is {model.train.epochs}; epochs count from 0"
    if {*sizes_of(written)} == {model.size}:
        yield f"has no effect, since image_size_px is {height}x{width} too; remove it"
    for size in [size for _, choices in ranges(written) for size in choices]:
        high, wide = sides(size)
        if isinstance(size, int) and height != width:
            yield f"{size} is square, but image_size_px is {height}x{width}; write [height, width]"
        elif high > cached[0] or wide > cached[1]:
            what = f"{shown(size)} is larger than the cached images, {cached[0]}x{cached[1]}"
            yield f"{what}; set cache_image_size_px to the largest size"
        elif model.resize != "squash" and high * width != wide * height:
            yield f"{high}x{wide} must have the shape of image_size_px, {height}x{width}, with resize: {model.resize}"
