"""Metadata columns by their users: inputs of networks, auxiliary targets, and steps of the ensemble."""

from collections.abc import Callable
from typing import Any

from goldfold.config import stacked
from goldfold.config.models import Model
from goldfold.config.root import Config

Kinds = dict[str, list[str]]
"""Names of columns, ``numeric`` and ``categorical``."""


def of_branch(config: Config, model: Model) -> dict[str, Any]:
    """Metadata columns that a network takes, and its branch for them."""
    if model.branch is None:
        return {}
    return {"metadata": {**model.branch.model_dump(), **inputs(config, model)}}


def inputs(config: Config, model: Model) -> Kinds:
    """Columns that a network with a branch takes: all but its own auxiliary targets, whatever these are in a round."""
    own = next(one for one in config.models if one.name == model.name)
    targets = own.train.auxiliary.columns if own.train.auxiliary else []
    return _kinds(config, lambda name: name not in targets)


def auxiliary(config: Config, model: Model) -> dict[str, Kinds]:
    """Columns that a training has as auxiliary targets; empty if it has none."""
    how = model.train.auxiliary
    return {} if how is None else {"auxiliary": _kinds(config, lambda name: name in how.columns)}


def taken(config: Config) -> dict[str, Any] | None:
    """Columns that models or steps take, ``takers`` if steps alone do, and ``auxiliary`` targets in any round: checked with the
    folds, part of no recipe before that of their users. The few cases of a quick look may all have one value."""
    if config.quick:
        return None
    trained = [config.model(run.model, run.round) for run in config.grid.trained_runs()]
    targets = {name for model in trained if model.train.auxiliary for name in model.train.auxiliary.columns}
    learnt = {"auxiliary": _kinds(config, lambda name: name in targets)} if targets else {}
    with_branch = [inputs(config, model) for model in config.models if model.branch is not None]
    if with_branch:
        names = {name for kinds in with_branch for of_kind in kinds.values() for name in of_kind}
        return {**_kinds(config, lambda name: name in names), **learnt}
    if found := stacked.columns(config):
        return {**found, "takers": ["steps"], **learnt}
    return {"numeric": [], "categorical": [], **learnt} if learnt else None


def _kinds(config: Config, is_wanted: Callable[[str], bool]) -> Kinds:
    found = getattr(config.data, "metadata", None)
    every: Kinds = found.model_dump() if found else {"numeric": [], "categorical": []}
    return {kind: [*filter(is_wanted, names)] for kind, names in every.items()}
