"""Settings by which a network chooses something on the scores of its own validation fold: the only list of them.

Pseudo labels of networks with such a choice would depend on labels of the fold, so such teachers are refused; for scores the
report warns.
"""

from collections.abc import Mapping
from typing import Any

from goldfold.components import name_of

EPOCH, END, RATE, INGREDIENTS = "checkpoint: best", "early_stopping", "schedule: plateau", "select: greedy"
INSTEAD = {
    EPOCH: "checkpoint: last",
    END: "a fixed number of epochs, or max_hours",
    RATE: "a schedule that watches no score, such as cosine or step",
    INGREDIENTS: "select: uniform",
}
"""Choice -> settings that do without it."""


def choices_of(model: Mapping[str, Any]) -> list[str]:
    """Return the choices, keys of `INSTEAD`, that a model makes on its validation fold.

    Args:
        model: ``soup`` of a model that is made of others, or ``train``, its settings in a round.

    >>> choices_of({"train": {"checkpoint": "best", "schedule": {"plateau": {"patience": 3}}}})
    ['checkpoint: best', 'schedule: plateau']
    """
    train = model.get("train") or {}
    hooks = [name_of(hook) for hook in train.get("hooks") or []]
    made = {
        EPOCH: train.get("checkpoint") == "best",
        END: train.get("early_stopping") is not None or "early_stopping" in hooks,
        RATE: name_of(train.get("schedule") or "cosine") == "plateau",
        INGREDIENTS: (model.get("soup") or {}).get("select") == "greedy",
    }
    return [choice for choice, is_made in made.items() if is_made]
