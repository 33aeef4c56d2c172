"""Facts of regression."""

from goldfold import catalog
from goldfold.tasks.facts import Facts

FACTS = Facts(
    target="value",
    columns=("value",),
    metrics=catalog.METRICS["value"],
    reported=("rmse", "mae", "r2", "quadratic_kappa"),
    methods=catalog.ENSEMBLES["value"],
    fusions=catalog.FUSIONS["value"],
    postprocessing=catalog.POSTPROCESSING["value"],
    networks=catalog.NETWORKS["values"],
    views=catalog.VIEWS,
    losses=catalog.LOSSES["value"],
    mixes=catalog.MIXES["value"],
    default_loss="mse",
    submission_keys=("label_column",),
    kinds=("range", "ranges"),
    labels_by_agreement=True,
    pseudo_label_keys=("top_k",),
    takes_cases=True,
    takes_metadata=True,
    shown=("value",),
)
