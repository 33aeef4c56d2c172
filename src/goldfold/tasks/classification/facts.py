"""Facts of classification."""

from goldfold import catalog
from goldfold.tasks.facts import Facts

FACTS = Facts(
    target="label",
    columns=("label",),
    metrics=catalog.METRICS["label"],
    reported=("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "quadratic_kappa", "roc_auc"),
    methods=catalog.ENSEMBLES["label"],
    fusions=catalog.FUSIONS["label"],
    postprocessing=catalog.POSTPROCESSING["label"],
    networks=catalog.NETWORKS["values"],
    views=catalog.VIEWS,
    losses=catalog.LOSSES["label"],
    mixes=catalog.MIXES["label"],
    default_loss="cross_entropy",
    loss_keys=("loss", "label_smoothing", "class_weights"),
    submission_keys=("format", "label_column"),
    cleans=True,
    bad_label_policies=("fail",),
    pseudo_label_keys=("soft", "class_thresholds", "adapt", "top_k"),
    takes_cases=True,
    takes_metadata=True,
    shown=("label",),
)
