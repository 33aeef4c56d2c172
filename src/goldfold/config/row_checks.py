"""Checks of the training rows that models use: `train.rows`."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from goldfold.planning.row_lists import ALL

if TYPE_CHECKING:
    from goldfold.config.data import Data
    from goldfold.config.models import Model
    from goldfold.config.root import Config


def row_problems(model: "Model", data: "Data") -> Iterator[str]:
    """Problems of `train.rows` of a model."""
    rows = model.train.rows
    if rows != ALL and not (getattr(data, "extra_train", None) or data.key_of("train_only")):
        yield (
            f"train.rows = {rows!r}: the data have no external rows; name some by data.extra_train or data.train_only_column, or "
            f"remove rows"
        )


def frozen_row_problems(config: "Config") -> Iterator[str]:
    """Heads on frozen backbones, which are fitted on all training rows of a fold, beside the top-level `train.rows`."""
    heads = [model.name for model in config.models if model.frozen is not None]
    if heads and config.train.rows != ALL:
        yield (
            f"train.rows = {config.train.rows!r}: {heads[0]} is a head on a frozen backbone, which is fitted on all training "
            f"rows; set rows in the train of the other models, or in rounds"
        )
    for number, one in enumerate(config.rounds or []):
        trained = {*(one.models or [model.name for model in config.models])}
        if trained <= {*heads} and getattr(one.train, "rows", ALL) != ALL:
            yield (
                f"rounds[{number}].train.rows = {one.train.rows!r}: the round trains no network, and heads on frozen "
                f"backbones are fitted on all training rows; remove rows"
            )
