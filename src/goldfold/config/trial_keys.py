"""Keys of settings as the config has them, for problems that trials find in the settings of a model in a round."""

import re
from collections.abc import Mapping

from goldfold.config.ablation import SHORT
from goldfold.config.ablation import keys as variants
from goldfold.config.models import MADE_KEYS
from goldfold.config.root import Config

WHOLE = {"metric": "metric", "ensemble": "ensemble"}
"""Keys of the whole config that trials of a model name."""


def written_keys(config: Config, name: str, number: int) -> dict[str, str]:
    """Return where the settings of a model in a round are written: by key of ``train`` if the round sets it, else by ``""``.

    Such as ``{"": "ablate.x (with m)", "train.augment": "rounds[1].train.augment"}``. Keys of the whole config stay.
    """
    models = [model.model_dump(include=MADE_KEYS) for model in config.models]
    index = next(index for index, model in enumerate(config.models) if model.name == name)
    own = dict(variants({"ablate": config.ablate, "models": models})).get(f"models[{index}]", f"models ({name})")
    set_here = config.every_round[number].train.model_fields_set
    keys = sorted({SHORT.get(key, key) for key in set_here})
    return {"": own, **WHOLE, **{f"train.{key}": f"rounds[{number}].train.{key}" for key in keys}}


def as_written(problem: str, written: Mapping[str, str], separator: str = ": ") -> str:
    """Return a problem, which begins with its key, with the key as the config has it.

    Args:
        written: see `written_keys`.
    """
    for key, place in written.items():
        if key and re.match(rf"{re.escape(key)}\b", problem):
            return place + problem.removeprefix(key)
    return f"{written['']}{separator}{problem}"
