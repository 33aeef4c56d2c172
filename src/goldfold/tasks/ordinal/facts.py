"""Facts of ordered classes."""

from dataclasses import dataclass, replace
from typing import Literal

from goldfold import catalog
from goldfold.tasks.classification.facts import FACTS as LABELS


@dataclass(frozen=True)
class Settings:
    """Settings of the config's ``task_params``."""

    link: Literal["cumulative", "proportional", "conditional"] = "cumulative"
    """Link from the outputs of networks to probabilities, see `goldfold.models.ordinal_link`."""


FACTS = replace(
    LABELS,
    metrics=catalog.METRICS["order"],
    reported=("quadratic_kappa", "mae", "accuracy", "balanced_accuracy", "f1_macro", "log_loss"),
    losses=catalog.LOSSES["order"],
    default_loss="cumulative",
    loss_keys=("loss", "class_weights"),
    settings=Settings,
    is_ordered=True,
)
