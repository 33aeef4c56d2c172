"""Facts of multi-label classification."""

from dataclasses import dataclass, field

from goldfold import catalog
from goldfold.tasks.facts import Facts


@dataclass(frozen=True)
class Settings:
    """Settings of the config's ``task_params``."""

    threshold: float = 0.5
    """A class is predicted at or above this probability, in F1 and in submissions of labels."""
    positive_weights: dict[str, float] = field(default_factory=dict)
    """Loss weight of positive images by class, relative to 1 for negative ones; default 1."""


FACTS = Facts(
    target="labels",
    columns=("labels",),
    metrics=catalog.METRICS["labels"],
    reported=("f1_macro", "f1_micro", "roc_auc", "map", "log_loss"),
    methods=catalog.ENSEMBLES["labels"],
    fusions=catalog.FUSIONS["labels"],
    postprocessing=catalog.POSTPROCESSING["labels"],
    networks=catalog.NETWORKS["values"],
    views=catalog.VIEWS,
    losses=catalog.LOSSES["labels"],
    mixes=catalog.MIXES["labels"],
    default_loss="bce",
    loss_keys=("loss", "label_smoothing"),
    submission_keys=("format", "label_column"),
    settings=Settings,
    post_training_settings=("threshold",),
    bad_label_policies=("fail", "quarantine", "drop"),
    pseudo_label_keys=("soft", "top_k"),
    takes_cases=True,
    takes_metadata=True,
    shown=("labels",),
)
