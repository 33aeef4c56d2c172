"""The complete config as a user could write it, without what goldfold adds to it."""

from collections.abc import Container, Mapping
from typing import Any

from goldfold.config.ablation import variants


def written(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with all defaults, in a form that is valid in a config and means the same.

    Left out are the members that `train.snapshots` and `ablate` add, the network of a soup, which is that of its
    ingredients, and the short form of rounds where these are set.
    """
    apart, short = {*variants(dict(settings))}, "pseudo_labels" if settings.get("rounds") else ""
    own = [one for one in settings["models"] if one["name"] not in apart and not one.get("snapshot")]
    rest = {key: _without(value, apart) for key, value in settings.items() if key not in ("models", short)}
    return {key: [*map(_model, own)] if key == "models" else rest[key] for key in settings if key != short}


def _model(model: Mapping[str, Any]) -> dict[str, Any]:
    """A model with the keys that a config may have."""
    keys = ("name", "soup") if model.get("soup") else [key for key in model if key != "snapshot"]
    return {key: model[key] for key in keys}


def _without(value: Any, names: Container[str]) -> Any:
    """Plain JSON without names of models as keys or in lists."""
    if isinstance(value, Mapping):
        return {key: _without(one, names) for key, one in value.items() if key not in names}
    if isinstance(value, list):
        return [_without(one, names) for one in value if not (isinstance(one, str) and one in names)]
    return value
