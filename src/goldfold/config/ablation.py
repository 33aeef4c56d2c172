"""Ablation: copies of each model with one setting changed, which are trained and scored beside it."""

import re
from collections.abc import Iterator
from itertools import product
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from goldfold.base.errors import ConfigError, shown
from goldfold.catalog import POSTPROCESSING
from goldfold.config import hooks
from goldfold.config.base import NAME, Name
from goldfold.config.plain import json_value
from goldfold.planning.origins import KEYS

AVERAGE = "average"


def _by_name(value: Any) -> Any:
    if not isinstance(value, dict):
        name = value if isinstance(value, str) else "mixup"
        raise ValueError(
            f"write the settings that change, by the name of a switch: {{{name}: {{train: {{mixup_alpha: 0.2}}}}}}"
        )
    return value


def _change(value: Any) -> Any:
    if not isinstance(value, dict) or not value:
        raise ValueError("write the settings of a model that change, such as {train: {mixup_alpha: 0.2}}")
    return value


Switches = Annotated[
    dict[Name, Annotated[dict[str, Any], Field(min_length=1), BeforeValidator(_change), AfterValidator(json_value)]],
    BeforeValidator(_by_name),
]
"""Settings that change, by the name of a switch."""


def expanded(values: dict[str, Any]) -> dict[str, Any]:
    """The config with a variant of each model for each switch; invalid values are left to later checks.

    Variants follow the models of the config, in the order of the switches; soups and heads have none. Their weight in the
    ensemble is 0. In a round that lists models, the variants of these are trained too.

    Raises:
        ConfigError: a switch names its variants, or the ensemble fits its weights, so that none can be set to 0.
    """
    switches: Any = values.get("ablate")
    models: Any = values.get("models")
    if not _is_valid(switches, models):
        return values
    for name, change in switches.items():
        if "name" in change:
            raise ConfigError(f"ablate.{name}.name: variants are named by model and switch; remove it")
        for key in [key for key in KEYS if key in change]:
            raise ConfigError(
                f"ablate.{name}.{key}: it makes a member from trained models, a variant is trained; remove it"
            )
        _refuse_overridden(name, change, values.get("rounds"))
    trained = [model for model in models if not any(model.get(key) for key in KEYS)]
    bases = [model["name"] for model in trained]
    _refuse_own(values, trained)
    variants = [
        {**_with(model, change), "name": variant(model["name"], name)}
        for model in trained
        for name, change in switches.items()
    ]
    _refuse_names(bases, [*switches])
    _refuse_listed(values.get("rounds"), {variant(base, name): base for base in bases for name in switches})
    more = {
        "models": [*models, *variants],
        "ensemble": _without(values.get("ensemble"), [one["name"] for one in variants]),
    }
    if isinstance(values.get("rounds"), list):
        more["rounds"] = [_round(one, bases, [*switches]) for one in values["rounds"]]
    return {**values, **more}


def _refuse_names(bases: list[str], switches: list[str]) -> None:
    """Raise ConfigError if a variant would have the name of a model, or of another variant."""
    known = {base: f"models[{index}]" for index, base in enumerate(bases)}
    for base, switch in product(bases, switches):
        name = variant(base, switch)
        if name in known:
            raise ConfigError(
                f"ablate.{switch}: its variant of model {base!r} would be named {name!r}, like {known[name]}; rename the switch"
            )
        known[name] = f"the variant of {base!r} by ablate.{switch}"


def _refuse_listed(rounds: Any, bases: dict[str, str]) -> None:
    """Raise ConfigError if a round lists a variant.

    Args:
        bases: variant -> its model.
    """
    for number, one in enumerate(rounds if isinstance(rounds, list) else []):
        listed = one.get("models") if isinstance(one, dict) else None
        for name in listed if isinstance(listed, list) else []:
            if isinstance(name, str) and name in bases:
                raise ConfigError(
                    f"rounds[{number}].models: {name!r} is a variant of ablate; variants are trained wherever their model is: "
                    f"list {bases[name]!r} instead"
                )


SHORT = {**dict.fromkeys(hooks.SHORT, "hooks"), "mixup_alpha": "mix", "cutmix_alpha": "mix"}
"""Short forms of training settings, with the key that they stand for."""


def _refuse_overridden(name: str, change: dict[str, Any], rounds: Any) -> None:
    """Raise ConfigError if a round sets what a switch changes: its variants would be trained like the model."""

    def keys_of(settings: Any) -> dict[str, str]:
        return {SHORT.get(str(key), str(key)): str(key) for key in settings} if isinstance(settings, dict) else {}

    own = keys_of(change.get("train"))
    for number, one in enumerate(rounds if isinstance(rounds, list) else []):
        here = keys_of(one.get("train") if isinstance(one, dict) else None)
        for key in [key for key in own if key in here]:
            raise ConfigError(
                f"rounds[{number}].train.{here[key]}: overrides ablate.{name}.train.{own[key]}, so the variant would be trained "
                f"like its model; remove one of them"
            )


def _refuse_own(values: dict[str, Any], models: list[dict[str, Any]]) -> None:
    """Raise ConfigError if a model starts or learns from itself by name: its variants would from the model, not themselves."""

    def teacher(settings: Any) -> Any:
        distill = settings.get("distill") if isinstance(settings, dict) else None
        return distill.get("teacher") if isinstance(distill, dict) else None

    names = [model["name"] for model in models]
    for number, one in enumerate(values["rounds"] if isinstance(values.get("rounds"), list) else []):
        listed = one.get("models") if isinstance(one, dict) else None
        trained = names if listed is None else listed
        if isinstance(one, dict) and one.get("start") in names and one["start"] in trained:
            raise ConfigError(
                f"rounds[{number}].start = {one['start']!r}: with ablate, its variants would start from it instead of from "
                f"themselves; write start: previous"
            )
        if isinstance(one, dict) and (own := teacher(one.get("train"))) in names and own in trained:
            raise ConfigError(
                f"rounds[{number}].train.distill.teacher = {own!r}: with ablate, its variants would learn from it, not from "
                f"themselves; ablate the first round alone, or remove distill"
            )
    for model in models:
        if model["name"] in (teacher(model.get("train")), teacher(values.get("train"))):
            raise ConfigError(
                f"models ({model['name']}).train.distill.teacher: with ablate, the variants of {model['name']} would learn from "
                f"it instead of from themselves; remove distill"
            )


def variant(model: str, switch: str) -> str:
    """Name of the variant of a model.

    >>> variant("resnet", "mixup")
    'resnet-mixup'
    """
    return f"{model}-{switch}"


def variants(values: dict[str, Any]) -> list[str]:
    """Names of the variants of an expanded config, and of their snapshots."""
    found = {variant(model, switch): None for _, model, switch in _made(values)}
    return [*found, *(model["name"] for model in values["models"] if (model.get("snapshot") or {}).get("of") in found)]


def keys(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys of the variants of an expanded config, with those of the settings that they are made from."""
    for index, model, switch in _made(values):
        for key in (f"models[{index}] ({variant(model, switch)})", f"models[{index}]"):
            yield key, f"ablate.{switch} (with {model})"


def _made(values: dict[str, Any]) -> list[tuple[int, str, str]]:
    """Index, model and switch of each variant."""
    switches: Any = values.get("ablate")
    models: Any = values.get("models")
    if not switches or not _is_valid(switches, models):
        return []
    trained = [index for index, model in enumerate(models) if not any(model.get(key) for key in KEYS)]
    n = len(trained) // (1 + len(switches))
    pairs = product([models[index]["name"] for index in trained[:n]], switches)
    return [(index, *made) for index, made in zip(trained[n:], pairs, strict=True)]


def _is_valid(switches: Any, models: Any) -> bool:
    """Return whether variants can be made; otherwise the config is refused by its own checks."""
    return (
        isinstance(switches, dict)
        and all(
            isinstance(name, str) and re.match(NAME, name) and isinstance(change, dict) and change
            for name, change in switches.items()
        )
        and isinstance(models, list)
        and all(isinstance(model, dict) and isinstance(model.get("name"), str) for model in models)
    )


def _with(model: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """A model with some settings replaced; those of ``train`` and ``params`` are replaced one by one.

    ``network: {name: {parameter: value}}`` is read as ``network`` and ``params``; another network keeps none of the model's
    parameters.
    """
    model, replaced = _long(model), _long(change)
    if replaced is not change and replaced["network"] != model.get("network"):
        model = {**model, "params": {}}
    change = replaced
    joined = {
        key: {**(model.get(key) or {}), **change[key]}
        for key in ("train", "params")
        if isinstance(change.get(key), dict) and isinstance(model.get(key) or {}, dict)
    }
    return {**model, **change, **joined}


def _long(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a model without the short form of ``network``; as they are, if they set ``params`` too."""
    network = settings.get("network")
    if not isinstance(network, dict) or len(network) != 1 or settings.get("params"):
        return settings
    ((name, inner),) = network.items()
    return {**settings, "network": name, "params": inner} if isinstance(inner, dict) else settings


def _without(ensemble: Any, variants: list[str], key: str = "ensemble") -> Any:
    """Settings of the ensemble in which the variants have weight 0.

    Raises:
        ConfigError: the ensemble fits its weights, or gives one to a variant.
    """
    none = dict.fromkeys(variants, 0)
    if isinstance(ensemble, list) and ensemble:
        first = ensemble[0]
        if first == AVERAGE or (isinstance(first, dict) and [*first] == [AVERAGE]):
            inner = (first[AVERAGE] if isinstance(first, dict) else None) or {}
            return [{AVERAGE: _without(inner, variants, f"{key}[0].{AVERAGE}")}, *ensemble[1:]]
        name = next(iter(first), None) if isinstance(first, dict) else first
        if any(name in steps for steps in POSTPROCESSING.values()):
            return [{AVERAGE: {"weights": none}}, *ensemble]
        raise ConfigError(
            f"ensemble[0] = {name!r}: fits its weights to all members, which would include the variants of ablate. Use "
            f"average for the ablation."
        )
    if not isinstance(ensemble or {}, dict) or not isinstance((ensemble or {}).get("weights") or {}, dict):
        return ensemble
    given = ensemble or {}
    weights = given.get("weights") or {}
    for name in [name for name in variants if weights.get(name)]:
        raise ConfigError(
            f"{key}.weights.{name} = {shown(weights[name])}: a variant of ablate is not part of the ensemble; remove this weight"
        )
    return {**given, "weights": {**weights, **none}}


def _round(one: Any, bases: list[str], switches: list[str]) -> Any:
    """A round that also trains the variants of its models."""
    if not isinstance(one, dict) or not isinstance(one.get("models"), list):
        return one
    trained = [model for model in one["models"] if model in bases]
    return {**one, "models": [*one["models"], *(variant(model, name) for model in trained for name in switches)]}
