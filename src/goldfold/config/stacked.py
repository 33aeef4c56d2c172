"""Columns of the cases that steps of the ensemble take: metadata, and embeddings of frozen backbones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from goldfold.base.errors import ConfigError, nearest, shown
from goldfold.components import Written, parse
from goldfold.config.root import Config
from goldfold.ensembling.with_metadata import COMPONENTS, EMBEDDINGS, METADATA, embeddings_of, metadata_of

WAY = "write metadata: true for all columns of data.metadata, or a list of their names"


def columns(config: Config) -> dict[str, list[str]]:
    """Metadata columns that steps of the ensemble take, by kind; empty if none takes any."""
    taken = [value for step in config.written_steps if (value := metadata_of(step))]
    if not taken:
        return {}
    every = any(value is True for value in taken)
    names = {name for value in taken if isinstance(value, list) for name in value}
    return {kind: [name for name in of_kind if every or name in names] for kind, of_kind in _known(config).items()}


def problems(step: Written, config: Config) -> Iterator[str]:
    """Problems of a step's metadata and embeddings."""
    yield from _of_metadata(metadata_of(step), config)
    yield from _of_embeddings(embeddings_of(step), config)
    name, params = parse(step)
    number = params.get(COMPONENTS)
    if ":" in name or number is None:
        return
    if not embeddings_of(step):
        yield f"{COMPONENTS} = {shown(number)}: has no effect without embeddings; remove it, or set embeddings: true"
    elif not isinstance(number, int) or isinstance(number, bool) or number < 1:
        yield f"{COMPONENTS} = {shown(number)}: must be a whole number of at least 1"


def _of_embeddings(value: Any, config: Config) -> Iterator[str]:
    """Problems of the models whose embeddings a step takes."""
    known = [model.name for model in config.models if model.frozen is not None]
    way = "write embeddings: true for those of all models with a frozen backbone, or a list of names of such models"
    if value is False:
        return
    if value is not True and not (isinstance(value, list) and value and all(isinstance(name, str) for name in value)):
        yield f"{EMBEDDINGS} = {shown(value)}: {way}"
        return
    if value is True:
        if not known:
            yield f"{EMBEDDINGS}: no model has a frozen backbone; give one frozen: {{head: logistic}}, or remove embeddings"
        return
    yield from _of_models(value, config, known)


def _of_models(names: Sequence[str], config: Config, known: Sequence[str]) -> Iterator[str]:
    """Problems of listed models: unknown, or trained by fold."""
    models = [model.name for model in config.models]
    for name in names:
        if name not in models:
            yield f"{EMBEDDINGS}: {name!r} is no model; {nearest(name, models)}models with a frozen backbone: {_listed(known)}"
        elif name not in known:
            yield (
                f"{EMBEDDINGS}: {name!r} is trained by fold: features of different folds are not comparable, and know the "
                f"labels that they were trained on. Name models with a frozen backbone ({_listed(known)})"
            )


def refuse_twins(config: Config) -> None:
    """Refuse steps that list two models with the same embeddings, or one twice; all sizes must be filled in.

    Raises:
        ConfigError: with one line per pair.
    """
    lines = list[str]()
    for place, step in enumerate(config.written_steps):
        names = value if isinstance(value := embeddings_of(step), list) else []
        known = config.embeddings if names else {}
        for number, name in enumerate(names):
            if twin := next((one for one in names[:number] if known[one] == known[name]), None):
                what = f"{EMBEDDINGS}: {twin!r} and {name!r} have the same embeddings; name one of them"
                lines.append(f"ensemble[{place}] = {shown(step)}: {what}")
    if lines:
        raise ConfigError("\n".join(lines))


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "none here"


def _of_metadata(value: Any, config: Config) -> Iterator[str]:
    """Problems of the metadata columns of a step."""
    if isinstance(value, bool):
        if value and not config.data.has_metadata:
            yield f"metadata: data.metadata names no column; list them there{_way(config)}, or remove it"
        return
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        yield f"metadata = {shown(value)}: {WAY}"
        return
    yield from _of_names(value, config)


def _of_names(names: Sequence[str], config: Config) -> Iterator[str]:
    known = [name for of_kind in _known(config).values() for name in of_kind]
    if twice := [name for place, name in enumerate(names) if name in names[:place]]:
        yield f"metadata: {twice[0]!r} is listed twice; remove one"
    if unknown := [name for name in names if name not in known]:
        listed = f"it has {', '.join(known)}" if known else f"it names no column{_way(config)}"
        yield f"metadata: {unknown[0]!r} is not in data.metadata; {nearest(unknown[0], known)}{listed}"


def _known(config: Config) -> Mapping[str, list[str]]:
    """Names in ``data.metadata`` by kind."""
    found = getattr(config.data, METADATA, None)
    return found.model_dump() if found else {}


def _way(config: Config) -> str:
    """Sources that have the key, where the config's has not."""
    has_key = METADATA in type(config.data).model_fields
    return "" if has_key else " (source: csv and sources of your own have this key)"
