"""The complete config as a user could write it, without what goldfold adds to it."""

from collections.abc import Container, Mapping
from typing import Any

from goldfold.config.ablation import variants
from goldfold.config.quick import SUFFIX


def written(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with all defaults, in a form that is valid in a config and means the same.

    Left out are the members that `train.snapshots` and `ablate` add, the network of a soup or of neighbours, which is that of the
    model that they are made of, the short form of rounds where these are set, and the end of the name of a quick run.
    """
    apart = {*variants(dict(settings))}
    own = [one for one in settings["models"] if one["name"] not in apart and not one.get("snapshot")]
    changes = {
        "name": str(settings.get("name", "")).removesuffix(SUFFIX if settings.get("quick") else ""),
        "models": [_model(one) for one in own],
        "ensemble": _ensemble(settings["ensemble"], apart),
    }
    if settings.get("rounds"):
        changes["rounds"] = [_round(one, apart) for one in settings["rounds"]]
    short = "pseudo_labels" if settings.get("rounds") else ""
    return {key: changes.get(key, value) for key, value in settings.items() if key != short}


def _model(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model with the keys that a config may have."""
    alone = next((key for key in ("soup", "neighbours") if model.get(key)), None)
    keys = ("name", alone) if alone else [key for key in model if key != "snapshot"]
    return {key: model[key] for key in keys}


def _round(one: Mapping[str, Any], names: Container[str]) -> dict[str, Any]:
    """A round without some of the models that it trains."""
    return {**one, "models": [name for name in one["models"] if name not in names]}


def _ensemble(ensemble: Any, names: Container[str]) -> Any:
    """Settings of the ensemble without the weights of some models."""
    if isinstance(ensemble, list):
        return [
            {"average": _ensemble(step["average"], names)} if isinstance(step, Mapping) and "average" in step else step
            for step in ensemble
        ]
    kept = {name: weight for name, weight in ensemble.get("weights", {}).items() if name not in names}
    return {**ensemble, "weights": kept}
