"""Checks of models that are made from trained weights."""

from collections.abc import Iterator
from typing import Any

from goldfold.base.errors import nearest, shown
from goldfold.config.base import height_and_width
from goldfold.config.models import Model
from goldfold.config.root import Config
from goldfold.config.round_checks import difference


def check_soups(config: Config) -> Iterator[str]:
    """Problems of soups: ingredients that are unknown, of other networks, too few, or trained too late; and of snapshots."""
    known = {model.name: model for model in config.models}
    for index, model in enumerate(config.models):
        if model.soup is None:
            continue
        key, found = f"models[{index}] ({model.name}).soup", [*_ingredients(model, model.soup.of, known)]
        yield from (f"{key}.of: {problem}" for problem in found)
        if not found:
            yield from (f"{key}.of: {problem}" for problem in _different([known[name] for name in model.soup.of]))
            yield from _late(config, model.name, model.soup.of)
            if len(model.soup.of) * len(config.seeds) < 2 and not config.quick:
                yield f"{key}: one model with one seed is a single network per fold; name more models, or add a seed"
    for number, one in enumerate(config.rounds or []):
        for name in one.models or []:
            snapshot = known[name].snapshot if name in known else None
            if snapshot is not None and snapshot.of not in (one.models or []):
                yield (
                    f"rounds[{number}].models: {name} is a snapshot of {snapshot.of}, which the round does not train; list "
                    f"{snapshot.of} instead, with which its snapshots are made"
                )
        if "snapshots" in one.train.model_fields_set:
            yield (
                f"rounds[{number}].train.snapshots: its members are the same in all rounds; set train.snapshots of the model"
            )


def _ingredients(soup: Model, names: list[str], known: dict[str, Model]) -> Iterator[str]:
    """Names that are no trained models."""
    untrained = {"soup": "a soup too", "neighbours": "made of neighbours", "frozen": "a head on a frozen backbone"}
    allowed = [name for name, model in known.items() if not any(getattr(model, key) for key in untrained)]
    for name in names:
        if name not in known:
            yield f"no model is named {name!r}; {nearest(name, allowed)}allowed: {', '.join(allowed)}"
        elif name not in allowed:
            other = next(what for key, what in untrained.items() if getattr(known[name], key))
            itself = "the soup itself" if name == soup.name else other
            yield f"{name!r} is {itself}; name trained models or snapshots, here {', '.join(allowed) or 'there is none'}"


def _different(ingredients: list[Model]) -> Iterator[str]:
    """Ingredients whose weights cannot be averaged with those of the first, or whose images are prepared in another way."""
    first, *others = ingredients
    for other in others:
        found = difference(other, first)
        for key in ("image_size_px", "cache_image_size_px", "resize", "interpolation"):
            there, here = getattr(first, key), getattr(other, key)
            if not found and _as_sides(there) != _as_sides(here):
                found = f"{key} is {shown(there)} there and {shown(here)} here"
        if found:
            yield f"{other.name} cannot be averaged with {first.name}: {found}; name models with the same network"


def _as_sides(value: Any) -> Any:
    """A size as height and width; anything else as it is."""
    return height_and_width(value) if isinstance(value, int | list) else value


def _late(config: Config, soup: str, names: list[str]) -> Iterator[str]:
    """Rounds that make the soup before an ingredient is trained."""
    for number, one in enumerate(config.rounds or []):
        if one.models is not None and soup not in one.models:
            continue
        earlier = (config.rounds or [])[: number + 1]
        for name in names:
            if not any(other.models is None or name in other.models for other in earlier):
                yield (
                    f"rounds[{number}].models: {soup} is made of {name}, which no round up to {number} trains; train {name} "
                    f"earlier, or list {soup} in later rounds only"
                )
