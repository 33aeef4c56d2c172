"""Ways to make one prediction of many, by kind of prediction and name."""

from collections.abc import Callable
from typing import Any

from goldfold.ensembling import average
from goldfold.runtime.errors import unknown

METHODS: dict[str, dict[str, Callable[..., Any]]] = {
    "probabilities": {
        "geometric": average.geometric,
        "logit": average.logit,
        "probability": average.probability,
        "rank": average.rank,
    },
}


def build(kind: str, name: str) -> Callable[..., Any]:
    """Method by the kind of prediction it fuses and its name."""
    if kind not in METHODS:
        raise unknown("kind of prediction", kind, METHODS)
    if name not in METHODS[kind]:
        raise unknown("ensemble method", name, METHODS[kind])
    return METHODS[kind][name]
