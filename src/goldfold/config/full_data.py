"""Config of runs on all labelled rows, see `goldfold.planning.full`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from goldfold.components import name_of
from goldfold.config.base import UNSET, Section, Unique
from goldfold.config.hooks import ENDING
from goldfold.config.learning import Train
from goldfold.config.rounds import Names
from goldfold.planning.full import NOTHING, FullData, every_run

if TYPE_CHECKING:
    from goldfold.config.root import Config

SWITCHED, FULL = "full_data: true or false", "full_data: section"
"""Names of the forms of `full_data`."""


class FullDataSection(Section):
    """Models that are trained again on all labelled images: the rows of all folds, and those that no fold validates. These
    networks have no out-of-fold predictions, and so no score: scores and intervals are those of the fold networks."""

    models: Names | None = UNSET
    """Models; by default all with a positive weight in the ensemble that are trained. Soups, snapshots, heads and external
    members predict the test images as without `full_data`."""
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1), Unique] | None = UNSET
    """Each model is trained once with each of these seeds; by default `seeds`."""
    test: Literal["replace", "join"] = "replace"
    """replace: these networks predict the test images instead of the fold networks; join: the test prediction is the mean over
    both, each network with the same weight."""


def _switch(value: Any) -> Any:
    if value is not None and not isinstance(value, bool | dict | FullDataSection):
        raise ValueError("write true, or a section: {seeds: [0, 1], test: join}")
    return False if value is None else value


Written = Annotated[
    Annotated[
        Annotated[bool, Tag(SWITCHED)] | Annotated[FullDataSection, Tag(FULL)],
        Discriminator(lambda value: FULL if isinstance(value, dict | FullDataSection) else SWITCHED),
    ],
    BeforeValidator(_switch),
    Field(exclude_if=lambda value: value is False),
]


def on_all_rows(config: "Config") -> FullData:
    """The runs that a config asks for."""
    if config.full_data is False:
        return NOTHING
    wanted = FullDataSection() if config.full_data is True else config.full_data
    latest = {name: config.grid.latest(name, config.grid.last) for name in wanted.models or default_models(config)}
    rounds = {name: number for name, number in sorted(latest.items()) if number is not None}
    seeds = tuple(config.seeds if config.quick or wanted.seeds is None else wanted.seeds)
    full = FullData(rounds, seeds, wanted.test)
    places = dict.fromkeys((run.model, run.round) for run in every_run(config.grid, full))
    frozen = tuple(place for place in places if takes_epochs_of_folds(config.model(*place).train))
    return FullData(rounds, seeds, wanted.test, frozen)


def default_models(config: "Config") -> list[str]:
    """Trained models with a weight."""
    return [name for name in config.weighted if name not in config.origins]


def takes_epochs_of_folds(train: Train) -> bool:
    """Return whether the folds decide how many epochs a network is trained for: by its scores, its time, or a hook of the user,
    which may end a training too."""
    hooks = [name_of(hook) for hook in train.every_hook]
    return train.checkpoint == "best" or any(name in ENDING or ":" in name for name in hooks)


def without_validation(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a training of a fold, as a training on all rows has them: without hooks that watch scores or the clock, and
    without snapshots."""
    train = {key: value for key, value in settings["model"]["train"].items() if key != "snapshots"}
    train["hooks"] = [hook for hook in train["hooks"] if name_of(hook) not in ENDING]
    return {**settings, "model": {**settings["model"], "train": train}}


def for_ensemble(config: "Config") -> dict[str, Any]:
    """Setting of the ensemble; empty without runs on all rows."""
    full = config.on_all_rows
    of = {"rounds": dict(full.rounds), "seeds": list(full.seeds), "test": full.test}
    return {"full_data": of} if full.rounds else {}
