"""Hooks of a training: their short forms among the keys of ``train``, and those that cannot be combined."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator

from goldfold.catalog import HOOKS
from goldfold.components import parse
from goldfold.config.written import Written, plain_params
from goldfold.signatures import default

if TYPE_CHECKING:
    from goldfold.config.learning import Train

SHORT = {
    "clip_norm": ("clip", "norm"), "ema_decay": ("ema", "decay"), "swa": ("swa", ""),
    "early_stopping": ("early_stopping", ""), "max_hours": ("max_hours", "hours"),
}  # fmt: skip
"""Key of ``train`` -> hook, and the parameter that the key sets; empty for a key that sets them all."""
AVERAGES = ("ema", "swa")
"""Hooks that replace the network that is validated and saved."""
ENDING = ("early_stopping", "max_hours")
"""Hooks that may end a training before its last epoch."""


def _params(value: Any) -> Any:
    if value is not None and not isinstance(value, dict):
        raise ValueError("write its parameters as {name: value}; {} for the defaults")
    return plain_params(value)


Params = Annotated[dict[str, Any], BeforeValidator(_params)]
"""Parameters of a hook."""


def every_hook(train: "Train") -> list[Written]:
    """Hooks in calling order, those with a short form first."""
    short: list[Written] = []
    for key, (name, parameter) in SHORT.items():
        value = getattr(train, key)
        if value is not None:
            params = {parameter: value} if parameter else value
            short.append({name: params} if params else name)
    return [*short, *train.hooks]


def problems(train: "Train") -> Iterator[str]:
    """Problems of the hooks of a training with each other, and with its length."""
    hooks = [parse(hook) for hook in every_hook(train)]
    names = [name for name, _ in hooks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        short = next((f"; {key} is its short form" for key, (name, _) in SHORT.items() if name == twice[0]), "")
        yield f"hooks: {twice[0]!r} is listed twice{short}. Keep one"
    if set(AVERAGES) <= set(names):
        yield (
            "hooks: ema and swa are two averages, and only one of them can be the network that is validated and saved. Keep one"
        )
    if {"early_stopping", "swa"} <= set(names):
        yield (
            "hooks: early_stopping would end the training before swa has averaged its last epochs. Keep one; with "
            "checkpoint: best the best average is kept"
        )
    yield from _late(next((params for name, params in hooks if name == "swa"), None), train.epochs)
    stopping = next((params for name, params in hooks if name == "early_stopping"), None)
    if stopping is not None:
        yield from _never_stops(stopping, train.epochs, train.validate_every)


def _late(swa: Mapping[str, Any] | None, epochs: int) -> Iterator[str]:
    """Problems of an average that begins too late to be one; the single epoch of a quick run is no problem."""
    start, every = (0.75, 1) if swa is None else (swa.get("start", 0.75), swa.get("every_epochs", 1))
    if swa is None or not isinstance(start, int | float) or not isinstance(every, int) or every < 1 or start < 0:
        return
    if start >= 1:
        share = f"{max(start / epochs, 0.0):.2g}" if 1 < start < epochs else "0.75"
        yield (
            f"swa: start = {start:g} is a share of the epochs, and SWA would begin after the last one. Set a share below 1, "
            f"e.g. start: {share}"
        )
    elif epochs > 1 and (n := -(-(epochs - int(start * epochs)) // every)) < 2:
        yield (
            f"swa: with start = {start:g} and every_epochs = {every}, {n} network of {epochs} epochs is averaged, which is no "
            f"average. Set a smaller start, a smaller every_epochs, or more epochs"
        )


def _never_stops(params: Mapping[str, Any], epochs: int, validate_every: int) -> Iterator[str]:
    """Problem of early stopping that cannot end the training before its last epoch; a single epoch is no problem."""
    patience, warmup = (params.get(key, default(HOOKS["early_stopping"], key)) for key in ("patience", "warmup"))
    if epochs < 2 or not all(isinstance(value, int) and value >= 0 for value in (patience, warmup)):
        return
    first = warmup + patience  # epochs before the first stop, if the score never improves
    if not any(epoch % validate_every == 0 for epoch in range(first, epochs)):
        yield (
            f"early_stopping: with patience {patience}, warmup {warmup} and validate_every {validate_every} it cannot stop the "
            f"training before epoch {epochs}, the last. Set a smaller patience or warmup, or more epochs"
        )


def watched(train: "Train") -> Any:
    """What may end the training early: ``metric`` or ``loss``; None if there is no early stopping."""
    hooks = dict(parse(hook) for hook in every_hook(train))
    return hooks["early_stopping"].get("watch", "metric") if "early_stopping" in hooks else None
