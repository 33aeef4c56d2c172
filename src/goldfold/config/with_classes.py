"""Settings that are checked as soon as the classes are known; they are part of no recipe of the manifest, which checks them."""

from typing import Any

from goldfold.base.errors import shown
from goldfold.components import name_of, parse, summed
from goldfold.config.root import Config
from goldfold.config.trial_keys import as_written, written_keys
from goldfold.targets.class_weights import by_name
from goldfold.tasks import facts

DECISIONS = ("thresholds", "components", "instances")
"""Steps that some sets of classes do not have."""


def settings(config: Config) -> dict[str, Any]:
    """Arguments of `goldfold.stages.manifest.run` by which it checks these settings."""
    return {
        "has_thresholds": _has_thresholds(config),
        "weighted_classes": _weighted_classes(config),
        "class_lists": _class_lists(config),
    }


def _has_thresholds(config: Config) -> bool:
    """Return whether decisions are fitted or cleaned; checked with the classes, and only part of the ensemble's recipe."""
    return any(name_of(step) in DECISIONS for step in config.postprocessing)


def _weighted_classes(config: Config) -> dict[str, list[str]]:
    """Classes that models name in ``class_weights``, teachers in ``class_thresholds`` and the step ``unknown`` as its label, by
    key; checked with the classes, and only part of the recipes of trainings, pseudo labels and the ensemble."""
    found = {
        f"{'pseudo_labels' if config.rounds is None else f'rounds[{number}].teacher'}.class_thresholds": [*thresholds]
        for number, one in enumerate(config.every_round)
        if one.teacher is not None and (thresholds := one.teacher.class_thresholds)
    }
    for step in config.postprocessing:
        if name_of(step) == "unknown":
            found["ensemble: unknown.label"] = [parse(step)[1]["label"]]
    for model in config.models:
        for number in range(len(config.every_round)):
            wanted = config.model(model.name, number).train.class_weights
            if by_name(wanted) and isinstance(wanted, dict):
                key = as_written("train.class_weights", written_keys(config, model.name, number), ".")
                found[key] = [*dict.fromkeys([*found.get(key, []), *wanted])]
    return found


def _class_lists(config: Config) -> dict[str, int]:
    """Lengths of lists with one value per class in the losses of models, by key; checked with the classes, and only part of the
    training's recipe. Every list among the parameters of a loss of the catalog is of this kind.
    """
    known, found = facts(config.task).losses, dict[str, int]()
    for model in config.models:
        for number, one in enumerate(config.every_round):
            wanted = config.model(model.name, number).train.loss if model.name in (one.models or ()) else None
            for name, params in (parse(part) for part, _ in summed(wanted or [])):
                lists = {key: value for key, value in params.items() if isinstance(value, list) and name in known}
                for key, value in lists.items():
                    found[f"models ({model.name}).train.loss: {name}: {key} = {shown(value)}"] = len(value)
    return found
