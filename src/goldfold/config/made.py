"""Fill in the models that are made from trained weights: members of snapshots, and the networks of soups."""

from collections.abc import Iterator, Mapping
from typing import Any

from goldfold.base.errors import ConfigError
from goldfold.config.base import LONGEST_NAME
from goldfold.config.models import Model
from goldfold.config.root import Averaging, Config, Ensemble
from goldfold.config.rounds import Round
from goldfold.config.soups import Snapshot
from goldfold.planning.origins import KEYS, snapshot_name

NETWORK = (
    "network", "backbone", "params", "image_size_px", "cache_image_size_px", "resize", "interpolation", "metadata", "head",
    "mean", "std", "views", "max_images", "dropout", "drop_path", "embedding", "windows",
)  # fmt: skip
"""Keys of a model that describe its network and images, which a model that is made from another has from that one."""


def with_made(config: Config) -> Config:
    """The config with a model for each snapshot, after all others, and with the network of each soup.

    A snapshot is made in the rounds that train its model, and has its weight in the ensemble unless it has its own. Soups
    with unknown ingredients are left to later checks.

    Raises:
        ConfigError: the config itself has the key that marks snapshots.
    """
    for index, model in enumerate(config.models):
        if model.snapshot is not None:
            raise ConfigError(
                f"models[{index}] ({model.name}).snapshot: is set by goldfold; set train.snapshots instead"
            )
    new = {model.name: [*_snapshots(model)] for model in config.models if model.train.snapshots}
    if not new and not any(model.is_made for model in config.models):
        return config
    models = [*config.models, *(one for of_model in new.values() for one in of_model)]
    names = {name: [one.name for one in of_model] for name, of_model in new.items()}
    known = {model.name: model for model in models}
    return config.model_copy(
        update={
            "models": [_filled(model, known) for model in models],
            "rounds": None if config.rounds is None else [_round(one, names) for one in config.rounds],
            "ensemble": _ensemble(config.ensemble, names),
        }
    )


def snapshots_in(values: Mapping[str, Any]) -> list[str]:
    """Names of the models of snapshots in a config as read from YAML."""
    shared = (values.get("train") or {}).get("snapshots")
    numbers = {
        model["name"]: (model.get("train") or {}).get("snapshots", shared)
        for model in values["models"]
        if not any(model.get(key) for key in KEYS)
    }
    return [snapshot_name(name, number) for name, n in numbers.items() for number in range(1, n or 1)]


def _snapshots(model: Model) -> Iterator[Model]:
    """Models of all snapshots but the last, which is the model itself."""
    described = {key: getattr(model, key) for key in NETWORK if key in model.model_fields_set}
    last = snapshot_name(model.name, max(1, (model.train.snapshots or 1) - 1))
    if len(last) > LONGEST_NAME:
        raise ConfigError(
            f"models ({model.name}): the member of its snapshot would be {last!r}, of more than {LONGEST_NAME} characters; give "
            f"the model a shorter name"
        )
    for number in range(1, model.train.snapshots or 1):
        yield Model(
            name=snapshot_name(model.name, number), snapshot=Snapshot(of=model.name, number=number), **described
        )


def _filled(model: Model, known: Mapping[str, Model]) -> Model:
    """A soup with the network of its first ingredient, neighbours with that of their model; any other model as it is."""
    of = model.soup.of[0] if model.soup else model.neighbours.of if model.neighbours else ""
    first = known.get(of)
    return model if first is None else model.model_copy(update={key: getattr(first, key) for key in NETWORK})


def _round(one: Round, snapshots: Mapping[str, list[str]]) -> Round:
    """A round that also makes the snapshots of the models that it trains."""
    if one.models is None:
        return one
    more = [name for model in one.models for name in snapshots.get(model, ()) if name not in one.models]
    return one.model_copy(update={"models": [*one.models, *more]})


def _ensemble(ensemble: Any, snapshots: Mapping[str, list[str]]) -> Any:
    """Settings of the ensemble in which snapshots have the weights of their models."""
    if isinstance(ensemble, Ensemble):
        given = ensemble.weights
        more = {
            one: given[model] for model, of in snapshots.items() if model in given for one in of if one not in given
        }
        return ensemble.model_copy(update={"weights": {**given, **more}})
    return [
        step.model_copy(update={"average": _ensemble(step.average, snapshots)}) if isinstance(step, Averaging) else step
        for step in ensemble
    ]
