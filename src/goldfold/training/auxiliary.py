"""Auxiliary targets: a training whose network also learns metadata columns of its cases, which prediction never reads."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import nn

from goldfold.engine.parts import AUXILIARY
from goldfold.engine.seeding import seeded
from goldfold.losses import Losses
from goldfold.losses.auxiliary import of_columns
from goldfold.metadata.columns import Columns
from goldfold.metadata.encoder import Encoder
from goldfold.models.features import n_features
from goldfold.tables import read_table
from goldfold.training.lesson import Lesson
from goldfold.training.with_fields import Around, LearnWith, TargetWith

if TYPE_CHECKING:
    from collections.abc import Sequence

    from goldfold.cases import Batch
    from goldfold.engine.gradient import Loss
    from goldfold.training.spec import Spec

FIELD = AUXILIARY.rstrip(".")
"""Field of a sample and part of a batch's targets, mixed like a target; also the name of the heads within the network."""


@dataclass(frozen=True)
class Coding:
    """Auxiliary columns of the training cases as rows of numbers, see `goldfold.losses.auxiliary.of_columns`."""

    rows: NDArray[np.float32]
    """(cases, 2 n_numbers + levels)."""
    n_numbers: int
    n_levels: tuple[int, ...]

    @property
    def n_outputs(self) -> int:
        """Outputs of the heads."""
        return self.n_numbers + sum(self.n_levels)


def with_auxiliary(plain: Lesson, spec: Spec, network: nn.Module, train: pd.DataFrame, lists: Sequence[str]) -> Lesson:
    """Give the network heads for its auxiliary targets, and the training their loss, see `goldfold.training.lesson.besides`.

    Raises:
        ConfigError: it is not known where the head of the network begins.
    """
    columns = Columns.of(spec.model["auxiliary"])
    coding = coded(train, lists, columns)
    if not coding.n_outputs:
        print("train.auxiliary has no effect: no column has two values in this fold", flush=True)
        return plain
    with seeded(*spec.key, FIELD):
        network.auxiliary = nn.Linear(n_features(network, "train.auxiliary"), coding.n_outputs)
    weight = (spec.train.auxiliary or {})["weight"]
    print(f"auxiliary targets with weight {weight:g}: {', '.join(columns.all)}", flush=True)
    fields = {FIELD: coding.rows}
    loss = loss_with(plain.loss, coding, weight)
    return replace(plain, target=TargetWith(plain.target, fields), learn=LearnWith(plain.learn, [FIELD]), loss=loss)


class _Both(Around):
    """A network that keeps the outputs of its auxiliary heads, which its forward pass must return for gradients over several
    processes."""

    def forward(self, *inputs: Any) -> Any:
        """Return the output of the network."""
        outputs, self.of_heads = self.__dict__["network"](*inputs, with_auxiliary=True)
        return outputs


def coded(train: pd.DataFrame, lists: Sequence[str], columns: Columns) -> Coding:
    """Read the columns of training cases; of numbers, mean and deviation are those of the labelled cases.

    Args:
        train: training cases with ``id`` and ``split``; those without ``split`` (pseudo-labelled, generated) may have no values.
        lists: CSVs of id and metadata.
    """
    known = pd.concat([read_table(path).reindex(columns=["id", *columns.in_tables]) for path in lists]).fillna("")
    values = known.drop_duplicates("id").set_index("id").reindex(train["id"]).fillna("").reset_index()
    is_labelled = (train["split"] == "train").to_numpy()
    encoder = Encoder.fit(values[is_labelled], columns)
    for name in encoder.useless:
        print(
            f"auxiliary target {name!r}: one value in all training cases of this fold, so it is not learnt", flush=True
        )
    rows, n = encoder.encode(values), len(columns.numeric)
    has_spread = np.array([deviation > 0 for _, deviation in encoder.numeric.values()], dtype=bool)
    is_there = (1 - rows[:, n : 2 * n])[:, has_spread]
    levels = [
        (rows[:, 2 * n + place, None] == np.arange(1, number + 1)).astype(np.float32)
        for place, number in enumerate(encoder.n_levels)
    ]
    made = np.concatenate([rows[:, :n][:, has_spread], is_there, *levels], axis=1).astype(np.float32)
    return Coding(made, int(has_spread.sum()), tuple(number for number in encoder.n_levels if number))


def loss_with(own: Loss, coding: Coding, weight: float) -> Loss:
    """Return the model's own loss + weight x that of the auxiliary targets, as named parts; weights of samples apply to both."""

    def loss(model: nn.Module, batch: Batch) -> Losses:
        both = _Both(model)
        losses = own(both, replace(batch, targets=batch.targets[LearnWith.OWN]))
        costs = of_columns(both.of_heads, batch.targets[FIELD], coding.n_numbers, coding.n_levels)
        added = weight * (batch.weights * costs).mean()
        parts = losses.parts or {LearnWith.OWN: losses.total.detach()}
        return Losses(losses.total + added, {**parts, FIELD: added.detach()}, losses.rates)

    return loss
