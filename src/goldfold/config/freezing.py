"""The key ``train.freeze``: parts of the network that are not trained, by epoch."""

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from goldfold.base.errors import shown
from goldfold.components import name_of

if TYPE_CHECKING:
    from goldfold.config.learning import Train
    from goldfold.config.models import Model
    from goldfold.config.root import Config

BACKBONE, NONE = "backbone", "none"
FIRST, ALL_BUT_LAST = "first", "all_but_last"
WRITE = (
    "write backbone (trains the head alone), {first: 2} or {all_but_last: 1} stages, or [first epoch, frozen] pairs, such as "
    "[[0, backbone], [2, {all_but_last: 1}], [4, none]]"
)


def _by_epoch(value: Any) -> Any:
    """Check what is frozen, and that it becomes less; a form without epochs becomes one pair."""
    if value is None:
        return value
    if value in ("all", "everything", "network"):
        raise ValueError(f"{shown(value)} leaves nothing to train; {WRITE}")
    if not isinstance(value, list):
        value = [[0, value]]
    if not value or not all(map(_is_pair, value)):
        raise ValueError(WRITE)
    (first, what), *_ = value
    if first != 0:
        raise ValueError(f"begins with epoch {first}; the first pair must be of epoch 0, with what is frozen at first")
    if what == NONE:
        raise ValueError("nothing is frozen in epoch 0, and what is trained once stays so; remove it")
    for (before, more), (epoch, less) in pairwise(value):
        if epoch <= before:
            raise ValueError(f"epoch {epoch} follows epoch {before}; list the epochs in order, each once")
        if not _is_less(less, more):
            raise ValueError(
                f"{_words(less)} from epoch {epoch} on freezes as much as {_words(more)} before, or more; list what is frozen "
                f"from most to least"
            )
    return value


def _is_pair(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and _is_whole(value[0], 0) and _is_what(value[1])


def _is_what(value: Any) -> bool:
    if isinstance(value, dict):
        return len(value) == 1 and {*value} <= {FIRST, ALL_BUT_LAST} and all(_is_whole(n, 1) for n in value.values())
    return value in (BACKBONE, NONE)


def _is_whole(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_less(less: Any, more: Any) -> bool:
    """Return whether one part may be less than another; of first and last stages only the network tells."""
    if isinstance(less, dict) and isinstance(more, dict) and {*less} == {*more}:
        is_first = FIRST in less
        return bool(less[FIRST] < more[FIRST] if is_first else less[ALL_BUT_LAST] > more[ALL_BUT_LAST])
    return bool(more != NONE and less != BACKBONE)


def _words(what: Any) -> str:
    return what if isinstance(what, str) else ", ".join(f"{key}: {value}" for key, value in what.items())


Stages = dict[Literal["first", "all_but_last"], Annotated[int, Field(ge=1)]]
Frozen = Literal["backbone", "none"] | Stages
Pair = Annotated[list[int | Frozen], Field(min_length=2, max_length=2)]
Freeze = Annotated[list[Pair] | Frozen | None, BeforeValidator(_by_epoch)]


def train_problems(train: "Train") -> Iterator[str]:
    """Problems of what is frozen with the other settings of a training."""
    pairs: Any = train.freeze
    if not pairs:
        return
    if (last := pairs[-1][0]) >= train.epochs:
        yield f"freeze: epoch {last} is never reached, since epochs is {train.epochs}; epochs count from 0"
    if train.lr_scale is not None and train.lr_scale.backbone == 0:
        yield "freeze: lr_scale: {backbone: 0} keeps the backbone's weights in all epochs. Keep one of them"


def problems(config: "Config") -> Iterator[str]:
    """Problems of models of which random weights would be frozen."""
    for index, model in enumerate(config.models):
        rounds = [number for number in range(len(config.every_round)) if _is_random(config, model, number)]
        if rounds:
            where = f"round {rounds[0]} starts it from scratch" if config.rounds else "it is trained from scratch"
            yield (
                f"models[{index}] ({model.name}).train.freeze: pretrained is false and {where}, so random weights would be "
                f"frozen; set pretrained: true, or the path of weights"
            )


def _is_random(config: "Config", model: "Model", number: int) -> bool:
    """Return whether a model of ours has frozen random weights in a round."""
    if model.is_made or ((names := config.every_round[number].models) is not None and model.name not in names):
        return False
    its = config.model(model.name, number)
    is_started = config.grid.rounds[number].starts.get(model.name) is not None
    return bool(its.train.freeze) and its.pretrained is False and ":" not in name_of(its.network) and not is_started
