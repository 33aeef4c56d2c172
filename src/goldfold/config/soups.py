"""Config of models that are made from trained weights: soups, and the snapshots that trainings save."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from goldfold.components import parse
from goldfold.config.base import Name, Section, Unique
from goldfold.config.hooks import ENDING

if TYPE_CHECKING:
    from goldfold.config.learning import Train

CYCLES = {"cosine": 1, "cyclic": 4}
"""Schedules with cycles, and their default number of these."""


class Soup(Section):
    """Weights of a model that is not trained: the mean of those of trained models (Wortsman et al. 2022)."""

    of: Annotated[list[Name], Field(min_length=1), Unique]
    """Ingredients: models with the same network, of which all seeds are used; the soup of a fold is made of the networks of
    that fold."""
    select: Literal["uniform", "greedy"] = "uniform"
    """uniform: all ingredients. greedy: from the best on, each ingredient that does not lower the validation score of the
    soup (recipe 1 of the paper); chosen on the validation fold, which biases the OOF score upwards."""


def _section(value: Any) -> Any:
    if isinstance(value, list):
        return {"of": value}
    if isinstance(value, str):
        raise ValueError(f"write a list of models: [{value}, ...]")
    return value


Written = Annotated[Soup | None, BeforeValidator(_section)]


class Snapshot(Section):
    """A snapshot of a training, as a model."""

    of: Name
    number: int = Field(ge=1)


def snapshot_problems(train: "Train", hooks: list[str]) -> Iterator[str]:
    """Problems of snapshots with the schedule, whose cycles they end, and with what ends or replaces the last cycle.

    Args:
        hooks: names of the hooks of the training.
    """
    n = train.snapshots
    if n is None:
        return
    name, params = parse(train.schedule)
    wanted = f"set schedule: {{{name if name in CYCLES else 'cosine'}: {{cycles: {n}}}}}"
    if name not in CYCLES:
        yield f"snapshots = {n}: a snapshot is the end of a cycle, and schedule {name!r} has none; {wanted}"
    elif (cycles := params.get("cycles", CYCLES[name])) != n:
        yield f"snapshots = {n}: a snapshot is the end of a cycle, and the schedule has {cycles}; {wanted}"
    for hook in ENDING:
        if hook in hooks:
            yield f"snapshots = {n}: {hook} may end the training before its last cycle; remove one of them"
    if "swa" in hooks:
        yield f"snapshots = {n}: swa averages networks of several cycles; remove one of them"
    if train.checkpoint == "best":
        yield f"snapshots = {n}: the last snapshot is the last epoch; set checkpoint: last"
